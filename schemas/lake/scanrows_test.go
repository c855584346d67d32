package lake_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

// scanRowsWorld has 20,000 events of each of three shards, in files that do not come
// whole, and their random ids by offset.
func scanRowsWorld(t *testing.T, r *rand.Rand) (l *lake.Lake, store *countedStore, files []lake.DataFile, ids map[int32][]string) {
	t.Helper()
	l, store = openCounted(t)
	ids = map[int32][]string{}
	for shard := range int32(3) {
		events := someEvents(r, 20_000)
		for i := range events {
			events[i].RandomID = fmt.Sprint(shard, "-", i)
			events[i].Properties = fmt.Appendf(nil, `{"a":"%x","b":"%x","c":"%x"}`, r.Uint64(), r.Uint64(), r.Uint64())
			ids[shard] = append(ids[shard], events[i].RandomID)
		}
		more, err := l.WriteEvents(t.Context(), shard, buildBatches(t, memory.DefaultAllocator, shard, 0, 4096, events))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	return l, store, files, ids
}

// randomIDs are the random ids of batches, sorted.
func randomIDs(t *testing.T, batches iter.Seq2[arrow.Record, error]) (out []string) {
	t.Helper()
	for rec, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		v, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.Rows {
			out = append(out, v.RandomID.At(i))
		}
	}
	slices.Sort(out)
	return out
}

// TestScanRowsReturnsJustThem scans for random offsets of some shards, and for the
// first and the last of one, and compares with what was written.
func TestScanRowsReturnsJustThem(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	l, _, files, ids := scanRowsWorld(t, r)
	for n := range 30 {
		offsets := map[int32][]int64{1: {19_999, 0}}
		want := []string{"1-0", "1-19999"}
		for range n * n {
			shard, offset := int32(r.IntN(2)), r.Int64N(20_000)
			if id := ids[shard][offset]; !slices.Contains(want, id) {
				want = append(want, id)
			}
			offsets[shard] = append(offsets[shard], offset)
		}
		slices.Sort(want)
		got := randomIDs(t, lake.ScanRows(t.Context(), l, files, []string{columns.RandomID, columns.User}, columns.Filter{}, offsets))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	}
}

// TestScanRowsFetchesFewPages compares what the store is asked for with a scan of the
// range of offsets that the rows are in, which fetches all pages that may have them.
// The rows lie together in their file.
func TestScanRowsFetchesFewPages(t *testing.T) {
	l, store, files, _ := scanRowsWorld(t, rand.New(rand.NewPCG(3, 9)))
	var together []int64
	for rec, err := range l.ScanEvents(t.Context(), files, []string{columns.Offset}, columns.Filter{Shard: new(int32(1))}) {
		if err != nil {
			t.Fatal(err)
		}
		v, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		together = slices.Clone(v.Offset[:100])
		break
	}
	fetched := func(scan iter.Seq2[arrow.Record, error]) int64 {
		before := store.bytes.Load()
		if got := randomIDs(t, scan); len(got) < 100 {
			t.Fatalf("%d rows", len(got))
		}
		return store.bytes.Load() - before
	}
	few := fetched(lake.ScanRows(t.Context(), l, files, nil, columns.Filter{}, map[int32][]int64{1: together}))
	f := columns.Filter{Shard: new(int32(1)), OffsetFrom: map[int32]int64{1: slices.Min(together)}, OffsetTo: map[int32]int64{1: slices.Max(together) + 1}}
	if all := fetched(l.ScanEvents(t.Context(), files, nil, f)); few == 0 || 3*few > 2*all { // ranges that lie close come as one
		t.Errorf("%d bytes fetched for rows, %d for their range", few, all)
	}
}

// BenchmarkScanRows reads twenty whole events of ten seconds of a dense day, by their
// offsets and as a scan of the same time and range of offsets does. Of both it reports
// the bytes that the store was asked for.
func BenchmarkScanRows(b *testing.B) {
	l, store := openCounted(b)
	g := newTraffic(1, 5000)
	g.start, g.step = 1_699_920_000_000, testDayMS/benchRows
	files, err := l.WriteEvents(b.Context(), 0, g.batches(b, 0, 0, benchRows, 4096))
	if err != nil {
		b.Fatal(err)
	}
	f := columns.Filter{TimeFrom: 1_699_960_000_000, TimeTo: 1_699_960_010_000}
	var offsets []int64
	for rec, err := range l.ScanEvents(b.Context(), files, []string{columns.Offset}, f) {
		if err != nil {
			b.Fatal(err)
		}
		v, err := columns.Bind(rec)
		if err != nil {
			b.Fatal(err)
		}
		offsets = append(offsets, v.Offset...)
	}
	slices.Sort(offsets)
	measure := func(name string, rows func() iter.Seq2[arrow.Record, error]) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := store.bytes.Load()
			for b.Loop() {
				if n := countRows(b, rows()); n != len(offsets) || n == 0 {
					b.Fatalf("%d rows, want %d", n, len(offsets))
				}
			}
			b.ReportMetric(float64(store.bytes.Load()-before)/float64(b.N), "fetched/op")
		})
	}
	measure("offsets", func() iter.Seq2[arrow.Record, error] {
		return lake.ScanRows(b.Context(), l, files, nil, f, map[int32][]int64{0: offsets})
	})
	f.OffsetFrom, f.OffsetTo = map[int32]int64{0: offsets[0]}, map[int32]int64{0: offsets[len(offsets)-1] + 1}
	measure("range", func() iter.Seq2[arrow.Record, error] { return l.ScanEvents(b.Context(), files, nil, f) })
}
