package processor

import (
	"fmt"
	"testing"
	"time"

	"weir/schemas/lake"
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
	})
}
