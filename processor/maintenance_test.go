package processor

import (
	"context"
	"fmt"
	"testing"
	"time"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/registry"
)

// TestSnapshotsThatAreReadStay lets one process read an old snapshot while another
// commits, merges and expires: its files stay as long as its statement holds.
func TestSnapshotsThatAreReadStay(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.oldestRead = func(ctx context.Context) (time.Time, error) { return registry.OldestRead(ctx, w.registry) }
		p := w.start("p", Config{CutAge: 5 * time.Second, CompactEvery: 10 * time.Second, KeepSnapshots: time.Minute})
		fill := func(n int) {
			for range n {
				w.postEveryVerdict(time.Now().String())
				time.Sleep(15 * time.Second)
			}
		}
		fill(4)
		s, err := w.reader.Load(t.Context(), lake.Events)
		w.must(err)
		files := w.files(lake.Events)
		read := func() (rows int64, err error) {
			for batch, err := range w.openLake().ScanEvents(t.Context(), files, []string{columns.Offset}, columns.Filter{}) {
				if err != nil {
					return rows, err
				}
				rows += batch.NumRows()
			}
			return rows, nil
		}
		rows, err := read()
		w.must(err)
		for range 10 {
			w.must(registry.StateRead(t.Context(), w.registry, "reader", s.Time(), 2*time.Minute))
			fill(4)
		}
		if got, err := read(); err != nil || got != rows {
			t.Errorf("while the snapshot is read: %d rows, %v; want %d", got, err, rows)
		}
		fill(20) // the reader is dead
		if _, err := read(); err == nil {
			t.Error("the files of a snapshot that nobody reads are still there")
		}
		p.stopAndWait()
		w.checkDone()
	})
}

// TestCatchUpMakesWholeRows crashes a process when it has committed a large cut to events
// and to no rollup. The next owner catches up from the rows of events, in a second
// cut come the same clients and days, and compaction merges both: every column
// must be as if nothing had happened.
func TestCatchUpMakesWholeRows(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.manyFiles = true
		p := w.start("p", Config{CutAge: cutAge})
		w.post(0, numbered(300)...)
		for i := range 20 {
			w.postChange(0, fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		failed := w.failStep(laketest.Swap, 3, laketest.Lost, laketest.Lost) // after dead_letters, client_changes and events
		time.Sleep(3 * cutAge)
		if !failed() {
			t.Fatal("the fault was never met")
		}
		p.crash()
		w.backend.Faults.Set(nil)
		for _, table := range lake.Rollups() {
			if at, of := w.shardStates(table)[0].Next, w.shardStates(lake.Events)[0].Next; at != 0 || of != 320 {
				t.Fatalf("%s is at %d and events at %d, want 0 and 320", table, at, of)
			}
		}
		p = w.start("next", Config{CutAge: cutAge})
		time.Sleep(time.Minute)
		w.check()
		for i := range 300 {
			w.post(0, fmt.Sprint("again ", i))
		}
		time.Sleep(3 * cutAge)
		p.stopAndWait()
		if _, err := Compact(t.Context(), w.openLake(), CompactOptions{}); err != nil {
			t.Errorf("compact: %v", err)
		}
		w.checkDone()
	})
}
