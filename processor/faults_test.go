package processor

import (
	"fmt"
	"testing"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// stepsPerCut is how often a cut takes each kind of step: once for each table.
const stepsPerCut = 6

// cutAge is that of all processes here; a cut is committed in less than a second.
const cutAge = 10 * time.Second

// forEachStep runs story as a subtest for each step, each of its occurrences n and
// each kind of failure.
func forEachStep(t *testing.T, story func(t *testing.T, step laketest.Step, n int, kind laketest.Kind)) {
	ways := 0
	for _, step := range laketest.Steps() {
		for n := range stepsPerCut {
			for _, kind := range laketest.Kinds() {
				if kind == laketest.Late && step != laketest.Swap {
					continue // a put has no late failure of its own: it is the same as applied
				}
				if ways++; ways%laketest.RepeatDivisor == 0 {
					t.Run(fmt.Sprintf("%s %d %s", step, n, kind), func(t *testing.T) {
						t.Parallel()
						story(t, step, n, kind)
					})
				}
			}
		}
	}
}

// wantBothRounds checks what the lake must have after two calls of
// postEveryVerdict.
func (w *harness) wantBothRounds() {
	w.t.Helper()
	control := w.counters(0).Control // ticks after midnight
	w.wantCounters(0, lake.Counters{Stored: 9, Changes: 4, Duplicates: 3, Dead: 2, Control: control})
	w.checkDone()
}

// TestEachCutStepFails lets one step of a cut fail; the process goes on.
func TestEachCutStepFails(t *testing.T) {
	forEachStep(t, func(t *testing.T, step laketest.Step, n int, kind laketest.Kind) {
		withHarness(t, 1, func(t *testing.T, w *harness) {
			w.manyFiles = true
			p := w.start("p", Config{CutAge: cutAge})
			w.postEveryVerdict("1")
			time.Sleep(time.Second)
			failed := w.failStep(step, n, kind, laketest.None)
			time.Sleep(4 * cutAge)
			if !failed() && n < 3 {
				t.Fatal("the fault was never met")
			}
			w.backend.Faults.Set(nil)
			w.backend.Faults.Deliver()
			w.check()
			w.postEveryVerdict("2")
			time.Sleep(4 * cutAge)
			p.stopAndWait()
			w.wantBothRounds()
		})
	})
}

// TestCrashAtEachCutStep crashes the process at a step of a cut; another process
// takes over.
func TestCrashAtEachCutStep(t *testing.T) {
	forEachStep(t, func(t *testing.T, step laketest.Step, n int, kind laketest.Kind) {
		withHarness(t, 1, func(t *testing.T, w *harness) {
			w.manyFiles = true
			p := w.start("p", Config{CutAge: cutAge})
			w.postEveryVerdict("1")
			time.Sleep(time.Second)
			failed := w.failStep(step, n, kind, laketest.Lost)
			time.Sleep(cutAge)
			p.crash()
			if !failed() && n < 3 {
				t.Fatal("the fault was never met")
			}
			w.backend.Faults.Set(nil)
			w.check()
			q := w.start("q", Config{CutAge: cutAge})
			time.Sleep(2 * cutAge)
			w.backend.Faults.Deliver() // late commits of the crashed process
			w.check()
			w.postEveryVerdict("2")
			time.Sleep(4 * cutAge)
			q.stopAndWait()
			w.wantBothRounds()
		})
	})
}

// TestLargerCutAfterCrash crashes the process after each of its commits. Its
// successor gathers further before it cuts, as after an outage, so that its cut ends
// elsewhere than that of the process before. No table is ahead of one that comes
// before it: what dead_letters and client_changes hold is known at the next
// take-over, while a rollup ahead of events would stay as it is although the next
// process, of another version, may decode the records otherwise.
func TestLargerCutAfterCrash(t *testing.T) {
	for n := range stepsPerCut {
		t.Run(fmt.Sprintf("after %d commits", n), func(t *testing.T) {
			withHarness(t, 1, func(t *testing.T, w *harness) {
				w.manyFiles = true
				p := w.start("p", Config{CutAge: cutAge})
				w.postEveryVerdict("1")
				time.Sleep(time.Second)
				failed := w.failStep(laketest.Swap, n, laketest.Lost, laketest.Lost)
				time.Sleep(cutAge)
				p.crash()
				if !failed() {
					t.Fatal("the fault was never met")
				}
				w.backend.Faults.Set(nil)
				w.wantTablesInOrder(lake.DeadLetters, lake.Changes, lake.Events)
				for _, rollup := range lake.Rollups() {
					w.wantTablesInOrder(lake.Events, rollup)
				}
				w.postEveryVerdict("2")
				q := w.start("q", Config{CutAge: cutAge})
				time.Sleep(4 * cutAge)
				q.stopAndWait()
				w.wantBothRounds()
			})
		})
	}
}

// wantTablesInOrder requires that no table is ahead of the one before it.
func (w *harness) wantTablesInOrder(tables ...lake.Table) {
	w.t.Helper()
	for i, t := range tables[1:] {
		before := tables[i]
		if at, ahead := w.shardStates(before)[0].Next, w.shardStates(t)[0].Next; ahead > at {
			w.t.Errorf("%s is at %d, ahead of %s at %d", t, ahead, before, at)
		}
	}
}
