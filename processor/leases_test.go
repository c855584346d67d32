package processor

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/lake"
	"weir/schemas/registry"
)

func TestFairSharesSumToShards(t *testing.T) {
	for processes := 1; processes <= 7; processes++ {
		for shards := 1; shards <= 20; shards++ {
			var alive []string
			for p := range processes {
				alive = append(alive, fmt.Sprint("p", p))
			}
			sum, least, most := 0, shards, 0
			for _, id := range alive {
				share := fairShare(alive, id, shards)
				sum, least, most = sum+share, min(least, share), max(most, share)
			}
			if sum != shards || most-least > 1 {
				t.Errorf("%d shards for %d: sum %d, from %d to %d", shards, processes, sum, least, most)
			}
		}
	}
	if got := fairShare([]string{"b"}, "a", 4); got != 2 {
		t.Errorf("share of a process whose heartbeat is not listed yet = %d, want 2", got)
	}
}

func TestTwoProcessesShareAndTakeOver(t *testing.T) {
	withHarness(t, 4, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		time.Sleep(5 * time.Second)
		q := w.start("q", Config{})
		time.Sleep(10 * time.Second)
		if a, b := len(p.service.owned()), len(q.service.owned()); a != 2 || b != 2 {
			t.Errorf("shards of two processes = %d and %d, want 2 and 2", a, b)
		}
		for shard := range int32(4) {
			w.post(shard, "a", "b")
		}
		time.Sleep(time.Second)
		p.crash()
		time.Sleep(20 * time.Second)
		if b := len(q.service.owned()); b != 4 {
			t.Errorf("shards of the remaining process = %d, want 4", b)
		}
		for shard := range int32(4) {
			w.post(shard, "b", "c")
		}
		q.stopAfter(func() { time.Sleep(time.Second) })
		for shard := range int32(4) {
			w.wantCounters(shard, lake.Counters{Stored: 3, Duplicates: 1})
		}
		w.checkDone()
	})
}

// TestZombie has a process that does not notice that it lost its lease. Its cut
// overlaps with that of the new owner; one of the two is committed.
func TestZombie(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		zombie := w.start("zombie", Config{CutAge: 10 * time.Minute})
		time.Sleep(time.Second)
		w.post(0, "a", "b")
		time.Sleep(time.Second)
		zombie.leases.zombie.Store(true)
		time.Sleep(time.Minute)
		owner := w.start("owner", Config{})
		w.post(0, "c", "a")
		time.Sleep(30 * time.Minute) // both have cut
		w.post(0, "d")
		time.Sleep(30 * time.Minute)
		zombie.stopAndWait()
		owner.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 4, Duplicates: 1, Control: w.counters(0).Control})
		w.checkDone()
	})
}

// TestZombieAgainstOnlyDuplicates is TestZombie with an owner whose cuts move the
// offset without any row.
func TestZombieAgainstOnlyDuplicates(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		w.start("first", Config{}).stopAfter(func() { w.post(0, "a", "b") })
		zombie := w.start("zombie", Config{CutAge: 10 * time.Minute})
		time.Sleep(time.Second)
		w.post(0, "a")
		time.Sleep(time.Second)
		zombie.leases.zombie.Store(true)
		time.Sleep(time.Minute)
		owner := w.start("owner", Config{})
		w.post(0, "b", "a")
		time.Sleep(30 * time.Minute)
		zombie.stopAndWait()
		owner.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 2, Duplicates: 3})
		w.checkDone()
	})
}

// TestZombieCutEndsBelowTheOwners commits a cut that was sealed before the shard was
// taken over, when the owner is further on with nothing but duplicates.
func TestZombieCutEndsBelowTheOwners(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.start("first", Config{}).stopAfter(func() { w.post(0, "a", "b") })
		w.post(0, "a", "b", "a")
		g := newTestGatherer(t) // the zombie: without fingerprints, it stores what it reads
		defer g.dedupe.Close()
		defer g.buffer.stop()
		g.state, g.from = w.shardStates(lake.Events)[0], 2
		_, err := g.gather([]*kgo.Record{eventRecord(2, "a", time.Now())}, time.Now())
		w.must(err)
		cut := g.seal(time.Now())
		defer release(cut.rows)
		files := map[lake.Table][]lake.DataFile{}
		files[lake.Events], err = w.reader.WriteEvents(t.Context(), 0, cut.rows)
		w.must(err)

		w.start("owner", Config{}).stopAfter(func() { time.Sleep(2 * time.Minute) })
		outcomes, err := w.openLake().Commit(t.Context(), lake.Events, cutsFor(lake.Events, []*submission{{cut: cut, files: files}}))
		if err != nil || outcomes[0] != lake.AlreadyApplied || cut.mayProceed(lake.Events, outcomes[0]) {
			t.Errorf("the zombie's cut: %v, %v; want that the table is past it", outcomes, err)
		}
		w.wantCounters(0, lake.Counters{Stored: 2, Duplicates: 3})
		w.checkDone()
	})
}

// TestProcessorStopsWhenAFormatIsNewer has a running processor whose cluster begins to
// write what it does not understand. It commits what it has gathered, and ends.
func TestProcessorStopsWhenAFormatIsNewer(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("older", Config{CutAge: time.Hour})
		time.Sleep(time.Second)
		w.post(0, "a", "b")
		time.Sleep(time.Second)
		_, err := w.registry.DB().ExecContext(t.Context(), `INSERT INTO schema_version (version, applied) VALUES (2000000, 0)`)
		w.must(err)
		time.Sleep(time.Minute)
		p.stop()
		if err := <-p.done; !errors.Is(err, registry.ErrNewer) {
			t.Errorf("run: %v, want %v", err, registry.ErrNewer)
		}
		w.wantCounters(0, lake.Counters{Stored: 2})
	})
}
