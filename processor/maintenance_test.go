package processor

import (
	"context"
	"testing"
	"time"

	"weir/schemas/columns"
	"weir/schemas/lake"
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
