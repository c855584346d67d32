package processor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

func TestCutByAge(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		defer p.stopAndWait()
		synctest.Wait()
		w.post(0, "a", "b")
		time.Sleep(59 * time.Second)
		if got := w.shardStates(lake.Events); len(got) != 0 {
			t.Fatalf("after 59 s: events has %v, want nothing", got)
		}
		next, offsets, err := p.tailOf(0, 0)
		if err != nil || next != 2 || !cmp.Equal(offsets, []int64{0, 1}) {
			t.Errorf("tail = %v to %d, %v; want both events", offsets, next, err)
		}
		time.Sleep(3 * time.Second)
		w.wantCounters(0, lake.Counters{Stored: 2})
	})
}

func TestTailIsFresh(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		defer p.stopAndWait()
		time.Sleep(time.Second)
		w.post(0, "a")
		time.Sleep(300 * time.Millisecond)
		part, err := p.service.Tail(0, 0)
		if err != nil || part.Next != 1 {
			t.Errorf("tail 300 ms after the event: next %d, %v; want 1", part.Next, err)
		}
		part.Release()
	})
}

func TestDrainCommitsWhatIsGathered(t *testing.T) {
	withHarness(t, 2, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		synctest.Wait()
		w.post(0, "a")
		w.post(1, "b", "c")
		time.Sleep(time.Second)
		p.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 1})
		w.wantCounters(1, lake.Counters{Stored: 2})
		if owners, err := w.registry.Owners(t.Context()); err != nil || len(owners) != 0 {
			t.Errorf("owners after the end = %v, %v; want none", owners, err)
		}
		if _, err := p.service.Tail(0, 0); !errors.Is(err, tail.ErrNotOwner) {
			t.Errorf("tail after the end: %v, want %v", err, tail.ErrNotOwner)
		}
	})
}

func TestRestartResumesFromLake(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		p := w.start("p", Config{})
		w.post(0, "a", "b")
		time.Sleep(90 * time.Second)
		w.post(0, "c") // gathered, not committed
		time.Sleep(time.Second)
		p.crash()
		w.post(0, "d", "a")
		q := w.start("p", Config{}) // the same name: no lease to wait for
		defer q.stopAndWait()
		w.waitCommitted()
		w.wantCounters(0, lake.Counters{Stored: 4, Duplicates: 1})
	})
}

func TestDuplicatesAcrossRestartAndWindow(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		w.window = time.Hour
		w.start("p", Config{}).stopAfter(func() {
			w.post(0, "a")
			time.Sleep(2 * time.Minute)
		})
		w.start("q", Config{}).stopAfter(func() {
			time.Sleep(57 * time.Minute)
			w.post(0, "a") // 59 minutes after: a duplicate, by the rows of the lake
			time.Sleep(2 * time.Minute)
			w.post(0, "a") // 61 minutes after: stored again
			time.Sleep(time.Minute)
			w.post(0, "a")
		})
		w.wantCounters(0, lake.Counters{Stored: 2, Duplicates: 2})
	})
}

// stopAfter does something while p runs and then ends it in good order.
func (p *process) stopAfter(do func()) {
	p.w.t.Helper()
	do()
	time.Sleep(time.Second)
	p.stopAndWait()
}

func TestPoisonRecordBecomesDeadLetter(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() {
			w.post(0, "a")
			w.record(0, []byte("no record of ours"))
			w.record(0, topic.AppendTick(nil))
			w.post(0, "b")
		})
		w.wantCounters(0, lake.Counters{Stored: 2, Dead: 1, Control: 1})
		s, err := w.reader.Load(t.Context(), lake.DeadLetters)
		w.must(err)
		files, err := s.Files(t.Context())
		w.must(err)
		var letters []lake.DeadLetter
		for letter, err := range w.reader.ReadDeadLetters(t.Context(), files, columns.Filter{}) {
			w.must(err)
			letters = append(letters, letter)
		}
		if len(letters) != 1 || letters[0].Offset != 1 || string(letters[0].Value) != "no record of ours" || letters[0].Reason == "" {
			t.Errorf("dead letters = %+v, want that of offset 1", letters)
		}
	})
}

func TestQuietShardTicksPastMidnight(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		time.Sleep(11*time.Hour + 50*time.Minute)
		p := w.start("p", Config{})
		defer p.stopAndWait()
		w.post(0, "a")
		time.Sleep(2 * time.Minute)
		before := w.shardStates(lake.Events)[0]
		time.Sleep(20 * time.Minute)
		after := w.shardStates(lake.Events)[0]
		if after.LogTime/dayMS != before.LogTime/dayMS+1 || after.Counters.Control != before.Counters.Control+1 {
			t.Errorf("a day later: %+v, before %+v; want log time of the next day by one tick", after, before)
		}
	})
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
			t.Errorf("shards of the one that is left = %d, want 4", b)
		}
		for shard := range int32(4) {
			w.post(shard, "b", "c")
		}
		q.stopAfter(func() { time.Sleep(time.Second) })
		for shard := range int32(4) {
			w.wantCounters(shard, lake.Counters{Stored: 3, Duplicates: 1})
		}
	})
}

// TestZombie: a process whose lease was stolen goes on believing in it. Its
// cut and the rightful owner's overlap; one of them stands.
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
	})
}

// TestZombieAgainstOnlyDuplicates: the rightful owner's cuts move the offset
// without a single row.
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
	})
}

func TestForeignLogStopsTheShard(t *testing.T) {
	withHarness(t, 2, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a", "b"); w.post(1, "c") })
		w.commitForeignLog(0)
		p := w.start("q", Config{})
		time.Sleep(10 * time.Second)
		if err := p.service.Ready(); err == nil {
			t.Error("ready although the log of shard 0 is another one")
		}
		if _, _, err := p.tailOf(1, 1); err != nil {
			t.Errorf("tail of the other shard: %v, want that it goes on", err)
		}
		p.stopAndWait()
	})
}
