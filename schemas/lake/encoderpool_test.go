package lake_test

import (
	"testing"
	"testing/synctest"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// TestEncodersWorkAcrossSynctestBubbles writes, scans and merges in one bubble
// after the other: an encoder in a pool must not be bound to the bubble that
// made it.
func TestEncodersWorkAcrossSynctestBubbles(t *testing.T) {
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
			if got := countRows(t, l.ScanEvents(t.Context(), merged, nil, columns.Filter{})); got != 1000 {
				t.Errorf("%d rows, want 1000", got)
			}
		})
	}
}

// TestEncoderKeepsNothingOfTheLastFile writes the same rows again after other
// rows and after a failure: the files are the same.
func TestEncoderKeepsNothingOfTheLastFile(t *testing.T) {
	world := laketest.New()
	l, err := world.Open(t.Context(), lake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	bodies := func(seed uint64, shard int32) (out [][]byte) {
		batches := buildBatches(t, memory.DefaultAllocator, 1, 0, 64, randomEvents(newTraffic(seed, 1).r, 400))
		files, err := l.WriteEvents(t.Context(), shard, batches)
		if err != nil && shard == 1 {
			t.Fatal(err)
		}
		for _, f := range files {
			body, err := world.Store.Get(t.Context(), f.Path)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, body)
		}
		return out
	}
	first := bodies(1, 1)
	bodies(2, 1)
	bodies(3, 2) // fails: the rows are of shard 1
	if diff := cmp.Diff(first, bodies(1, 1)); diff != "" {
		t.Error("the files differ")
	}
}
