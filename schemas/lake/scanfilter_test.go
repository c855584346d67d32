package lake_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

// TestScanFilters compares a filtered scan with a filter of every row.
func TestScanFilters(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := laketest.Lake(t, lake.Config{Memory: mem})
	g := newTraffic(3, 300)
	g.step = 60_000 // ten thousand events in a week
	batches := g.batches(t, 2, 1000, 8000, 512)
	files, err := l.WriteEvents(t.Context(), 2, batches)
	if err != nil {
		t.Fatal(err)
	}
	views := make([]columns.View, len(batches))
	for i := range batches {
		if views[i], err = columns.Bind(batches[i]); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(9, 9))
	for range 60 {
		f := randomFilter(r, g)
		want := 0
		for _, v := range views {
			for i := range v.Rows {
				if matchesFilter(f, &v, i) {
					want++
				}
			}
		}
		names := [][]string{nil, {"name", "time"}, {"offset"}, {"properties", "value", "client_id", "offline"}}[r.IntN(4)]
		if got := countRows(t, l.ScanEvents(t.Context(), lake.Prune(files, f), names, f)); got != want {
			t.Errorf("%+v: %d rows, want %d", f, got, want)
		}
	}
}

func randomFilter(r *rand.Rand, g *traffic) (f columns.Filter) {
	span := func() (from, to int64) {
		from = 1_700_000_000_000 + r.Int64N(g.start-1_700_000_000_000)
		to = from + r.Int64N(1+g.start-from)
		return []int64{0, from}[r.IntN(2)], []int64{0, to}[r.IntN(2)]
	}
	switch r.IntN(3) {
	case 0:
		f.Products = []int64{1001, 1003}[:r.IntN(3)]
	case 1:
		for range 1 + r.IntN(12) {
			f.Clients = append(f.Clients, (1+r.Int64N(300))<<32+7)
		}
	}
	if r.IntN(2) == 0 {
		f.TimeFrom, f.TimeTo = span()
	}
	if r.IntN(3) == 0 {
		f.ArrivalFrom, f.ArrivalTo = span()
	}
	if r.IntN(3) == 0 {
		f.OffsetFrom = map[int32]int64{2: 1000 + r.Int64N(8000), 3: 0}
		f.OffsetTo = map[int32]int64{2: 1000 + r.Int64N(8000)}
	}
	if r.IntN(4) == 0 {
		f.Shard = new(int32(1 + r.IntN(2)))
	}
	return f
}

// matchesFilter is the definition of a Filter, row by row.
func matchesFilter(f columns.Filter, v *columns.View, i int) bool {
	in := func(x, from, to int64) bool { return (from == 0 || x >= from) && (to == 0 || x < to) }
	from, hasFrom := f.OffsetFrom[v.Shard[i]]
	to, hasTo := f.OffsetTo[v.Shard[i]]
	return (f.Products == nil || slices.Contains(f.Products, v.Product[i])) &&
		(f.Clients == nil || slices.Contains(f.Clients, v.Client[i])) &&
		in(v.TimeMS(i), f.TimeFrom, f.TimeTo) && in(v.ArrivalMS(i), f.ArrivalFrom, f.ArrivalTo) &&
		(f.Shard == nil || *f.Shard == v.Shard[i]) &&
		(!hasFrom || v.Offset[i] >= from) && (!hasTo || v.Offset[i] < to)
}

func TestFilterOfDays(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	set := rollup.NewSet()
	events := withStorableTimes(randomEvents(newTraffic(1, 1).r, 300))
	for i := range events {
		events[i].Time = (int64(i%5)-2)*testDayMS + 1000 // two days before 1970, three of it
	}
	for _, rec := range buildBatches(t, memory.DefaultAllocator, 0, 0, 300, events) {
		if err := set.AddBatch(rec); err != nil {
			t.Fatal(err)
		}
	}
	files, err := l.WriteRollups(t.Context(), 0, set)
	if err != nil {
		t.Fatal(err)
	}
	check := func(from, to int64, want ...int32) {
		t.Helper()
		f := columns.Filter{TimeFrom: from, TimeTo: to}
		days := map[int32]bool{}
		for r, err := range l.ScanClientDays(t.Context(), lake.Prune(files[lake.ClientDays], f), f) {
			if err != nil {
				t.Fatal(err)
			}
			days[r.Day] = true
		}
		for _, d := range want {
			if !days[d] {
				t.Errorf("%d to %d: day %d is missing", from, to, d)
			}
		}
		if len(days) != len(want) {
			t.Errorf("%d to %d: days %v, want %v", from, to, days, want)
		}
	}
	check(0, 0, -2, -1, 0, 1, 2)
	check(-testDayMS, testDayMS, -1, 0)
	check(-testDayMS-1, testDayMS+1, -1, 0, 1)
	check(-testDayMS+1, 1, 0)
	check(1, testDayMS)
}
