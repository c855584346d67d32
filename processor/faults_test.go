package processor

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// stepsPerCut is how often one kind of step is taken while a cut goes to six
// tables.
const stepsPerCut = 6

// cutAge of the processes here; a cut is committed in less than a second.
const cutAge = 10 * time.Second

// forEachStep calls story for the n-th time that each step is taken, failing each
// way.
func forEachStep(t *testing.T, story func(t *testing.T, step laketest.Step, n int, kind laketest.Kind)) {
	ways := 0
	for _, step := range laketest.Steps() {
		for n := range stepsPerCut {
			for _, kind := range laketest.Kinds() {
				if kind == laketest.Late && step != laketest.Swap {
					continue // a late put is one that was applied
				}
				if ways++; ways%laketest.OneIn == 0 {
					t.Run(fmt.Sprintf("%s %d %s", step, n, kind), func(t *testing.T) {
						t.Parallel()
						story(t, step, n, kind)
					})
				}
			}
		}
	}
}

// failStep makes the n-th step of its kind fail, counted from now, and tells
// whether it has. `then` decides about all steps after it; nil is None.
func (w *harness) failStep(step laketest.Step, n int, kind laketest.Kind, then laketest.Kind) (failed func() bool) {
	var mu sync.Mutex
	seen, done := 0, false
	w.backend.Faults.Set(func(at laketest.Step) laketest.Kind {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return then
		}
		if at != step {
			return laketest.None
		}
		seen++
		if seen <= n {
			return laketest.None
		}
		done = true
		return kind
	})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return done
	}
}

// postEveryVerdict posts records of each verdict.
func (w *harness) postEveryVerdict(round string) {
	w.t.Helper()
	w.post(0, round+"a", "twice")
	w.record(0, []byte("poison"))
	w.postChange(0, round)
	w.post(0, "twice", round+"b")
	w.postChange(0, round)
}

// wantBothRounds is what the lake must have after two rounds.
func (w *harness) wantBothRounds() {
	w.t.Helper()
	control := w.counters(0).Control // ticks past midnight
	w.wantCounters(0, lake.Counters{Stored: 9, Changes: 4, Duplicates: 3, Dead: 2, Control: control})
	w.checkDone()
}

// TestEachCutStepFails: a step of a cut fails, and the process goes on.
func TestEachCutStepFails(t *testing.T) {
	forEachStep(t, func(t *testing.T, step laketest.Step, n int, kind laketest.Kind) {
		withHarness(t, 1, func(t *testing.T, w *harness) {
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

// TestCrashAtEachCutStep: the process dies at a step of a cut, and another goes
// on.
func TestCrashAtEachCutStep(t *testing.T) {
	forEachStep(t, func(t *testing.T, step laketest.Step, n int, kind laketest.Kind) {
		withHarness(t, 1, func(t *testing.T, w *harness) {
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
			w.backend.Faults.Deliver() // of the dead
			w.check()
			w.postEveryVerdict("2")
			time.Sleep(4 * cutAge)
			q.stopAndWait()
			w.wantBothRounds()
		})
	})
}
