package lake_test

import (
	"testing"
	"testing/synctest"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// TestBubbles writes, scans and merges in one bubble after the other: what is
// pooled must not belong to the first.
func TestBubbles(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			l := laketest.Lake(t, lake.Config{Compression: "snappy"})
			g := newTraffic(1, 50)
			var files []lake.DataFile
			for cut := range int64(2) {
				more, err := l.WriteEvents(t.Context(), 0, g.batches(t, 0, cut*500, 500, 100))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, more...)
			}
			merged, err := l.Merge(t.Context(), lake.Events, files)
			if err != nil {
				t.Fatal(err)
			}
			if got := count(t, l.ScanEvents(t.Context(), merged, nil, columns.Filter{})); got != 1000 {
				t.Errorf("%d rows", got)
			}
		})
	}
}
