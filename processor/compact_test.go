package processor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// fillCuts commits n cuts of shard 0, so that each table has n data files.
func (w *harness) fillCuts(n int) {
	w.t.Helper()
	p := w.start("filler", Config{CutAge: 10 * time.Second})
	for i := range n {
		w.postEveryVerdict(fmt.Sprint(i))
		time.Sleep(15 * time.Second)
	}
	p.stopAndWait()
}

func TestCompactLeavesOneDataFile(t *testing.T) {
	withHarness(t, 2, func(t *testing.T, w *harness) {
		w.fillCuts(5)
		did, err := Compact(t.Context(), w.openLake(), CompactOptions{})
		if err != nil || did.Merged != 30 || did.Written != 6 {
			t.Errorf("compact = %+v, %v; want 30 data files to become 6", did, err)
		}
		for _, table := range lake.Tables() {
			if n := len(w.files(table)); n != 1 {
				t.Errorf("%s has %d data files, want 1", table, n)
			}
		}
		w.checkDone()
		if did, err := Compact(t.Context(), w.openLake(), CompactOptions{}); err != nil || did.Merged != 0 {
			t.Errorf("compact again = %+v, %v; want nothing to do", did, err)
		}
	})
}

// TestCompactInRounds has more files than one merge takes.
func TestCompactInRounds(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.fillCuts(runsPerMerge + 3)
		did, err := Compact(t.Context(), w.openLake(), CompactOptions{})
		if err != nil || did.Merged != 6*(runsPerMerge+3+2) || did.Written != 6*3 {
			t.Errorf("compact = %+v, %v; want 8 and 3 data files of each table to become 2, and these one", did, err)
		}
		for _, table := range lake.Tables() {
			if n := len(w.files(table)); n != 1 {
				t.Errorf("%s has %d data files, want 1", table, n)
			}
		}
		w.checkDone()
	})
}

// TestEachStepOfCompactionFails lets a compaction fail at each step. The tables stay
// right, and the next compaction completes.
func TestEachStepOfCompactionFails(t *testing.T) {
	forEachStep(t, func(t *testing.T, step laketest.Step, n int, kind laketest.Kind) {
		withHarness(t, 1, func(t *testing.T, w *harness) {
			w.fillCuts(2)
			w.failStep(step, n, kind, laketest.Lost)
			_, err := Compact(t.Context(), w.openLake(), CompactOptions{})
			w.backend.Faults.Set(nil)
			w.check()
			if did, err := Compact(t.Context(), w.openLake(), CompactOptions{}); err != nil {
				t.Errorf("compact again = %+v, %v", did, err)
			}
			w.backend.Faults.Deliver()
			w.checkDone()
			for _, table := range lake.Tables() {
				if n := len(w.files(table)); n != 1 {
					t.Errorf("%s has %d data files, want 1 (the first compaction returned %v)", table, n, err)
				}
			}
		})
	})
}

// TestConcurrentCompactions checks that the second of two compactions of the same
// files leaves the group alone.
func TestConcurrentCompactions(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.fillCuts(3)
		other, met := w.openLake(), false
		w.backend.Faults.Set(func(step laketest.Step) laketest.Kind {
			if step == laketest.PutData && !met { // the first has read the files and not replaced them yet
				met = true
				if _, err := Compact(t.Context(), other, CompactOptions{}); err != nil {
					t.Errorf("compact in between: %v", err)
				}
			}
			return laketest.None
		})
		did, err := Compact(t.Context(), w.openLake(), CompactOptions{Tables: []lake.Table{lake.Events}})
		if err != nil || did.Skipped != 1 || did.Merged != 0 {
			t.Errorf("compact = %+v, %v; want one group skipped", did, err)
		}
		w.checkDone()
	})
}

func TestProcessorCompactsItsShards(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{CutAge: 5 * time.Second, CompactEvery: time.Minute})
		for i := range 20 {
			w.postEveryVerdict(fmt.Sprint(i))
			time.Sleep(10 * time.Second)
		}
		p.stopAndWait()
		if n := len(w.files(lake.Events)); n >= 20 {
			t.Errorf("events has %d data files after 20 cuts, want fewer", n)
		}
		w.checkDone()
	})
}

// TestUnreadableFileStopsNothingElse deletes one data file of the first and of a later
// table behind the lake's back. Everything else is compacted, the error and the metric
// name the files.
func TestUnreadableFileStopsNothingElse(t *testing.T) {
	withHarness(t, 2, func(t *testing.T, w *harness) {
		w.fillCuts(5)
		tables := []lake.Table{lake.DeadLetters, lake.Events}
		var lost []string
		for _, table := range tables {
			path := w.files(table)[1].Path
			w.must(w.backend.Store.Delete(t.Context(), path))
			lost = append(lost, path)
		}
		did, err := Compact(t.Context(), w.openLake(), CompactOptions{})
		if diff := cmp.Diff(lost, did.Unreadable); diff != "" {
			t.Errorf("unreadable files (-want +got):\n%s", diff)
		}
		for _, path := range lost {
			if err == nil || !strings.Contains(err.Error(), path[strings.LastIndex(path, "/")+1:]) {
				t.Errorf("compact = %v, want an error that names %s", err, path)
			}
		}
		for _, table := range lake.Tables() {
			want := 1
			if slices.Contains(tables, table) {
				want = 2
			}
			if n := len(w.files(table)); n != want {
				t.Errorf("%s has %d data files, want %d", table, n, want)
			}
		}
		reg := prometheus.NewRegistry()
		m, err := newMetrics(reg)
		w.must(err)
		m.observeUnreadable(lake.Events, lost)
		m.observeUnreadable(lake.DeadLetters, lost[:1])
		m.observeUnreadable(lake.Events, nil) // the next compaction could read all of them
		families, err := reg.Gather()
		w.must(err)
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "weir_processor_unreadable_files" })
		if i < 0 || len(families[i].GetMetric()) != 1 {
			t.Errorf("the metric shows %v, want one file", families)
		}
	})
}
