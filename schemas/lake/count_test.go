package lake_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// countedStore counts what is read.
type countedStore struct {
	*laketest.Store
	reads atomic.Int64
	bytes atomic.Int64
}

func (s *countedStore) Get(ctx context.Context, key string) ([]byte, error) {
	s.reads.Add(1)
	return s.Store.Get(ctx, key)
}

func (s *countedStore) GetRange(ctx context.Context, key string, off, n int64) ([]byte, error) {
	s.reads.Add(1)
	s.bytes.Add(n)
	return s.Store.GetRange(ctx, key, off, n)
}

// openCounted is a lake over a store that counts reads.
func openCounted(t testing.TB) (*lake.Lake, *countedStore) {
	t.Helper()
	world := laketest.New()
	store := &countedStore{Store: world.Store}
	l, err := lake.Open(t.Context(), lake.Config{Bucket: laketest.Bucket, CacheBytes: 1}, lake.NewCatalog(world.Pointers, store), store)
	if err != nil {
		t.Fatal(err)
	}
	store.reads.Store(0)
	return l, store
}

// TestCountTouchesEdges counts a file by periods and products that touch its bounds:
// what lies inside is counted without a read, what does not is not.
func TestCountTouchesEdges(t *testing.T) {
	const first, last = 1_700_000_000_000, 1_700_000_009_000
	events := make([]schemas.Event, 10)
	for i := range events {
		events[i] = schemas.Event{Product: 1 + 2*int64(i%2), Client: 5, Time: first + 1000*int64(i), Name: "n", RandomID: "r"}
	}
	for name, c := range map[string]struct {
		filter columns.Filter
		rows   int64
		reads  bool
	}{
		"everything":           {columns.Filter{}, 10, false},
		"its bounds":           {columns.Filter{TimeFrom: first, TimeTo: last + 1}, 10, false},
		"ends with last":       {columns.Filter{TimeFrom: first, TimeTo: last}, 9, true},
		"begins after first":   {columns.Filter{TimeFrom: first + 1, TimeTo: last + 1}, 9, true},
		"ends with first":      {columns.Filter{TimeFrom: first - 1, TimeTo: first}, 0, false},
		"ends after first":     {columns.Filter{TimeFrom: first - 1, TimeTo: first + 1}, 1, true},
		"both products":        {columns.Filter{Products: []int64{1, 3}}, 10, true}, // whether there is a 2 its bounds do not say
		"more products":        {columns.Filter{Products: []int64{9, 3, 2, 1, 1}}, 10, false},
		"one product twice":    {columns.Filter{Products: []int64{1, 1, 1}}, 5, true},
		"other product":        {columns.Filter{Products: []int64{2}}, 0, true},
		"no product":           {columns.Filter{Products: []int64{}}, 0, false},
		"all offsets":          {columns.Filter{OffsetTo: map[int32]int64{2: 17}}, 10, false},
		"all offsets but last": {columns.Filter{OffsetTo: map[int32]int64{2: 16}}, 9, true},
		"offsets of another":   {columns.Filter{OffsetTo: map[int32]int64{1: 0}}, 10, false},
		"other shard":          {columns.Filter{Shard: new(int32(1))}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			l, store := openCounted(t)
			files, err := l.WriteEvents(t.Context(), 2, buildBatches(t, memory.DefaultAllocator, 2, 7, 100, events))
			if err != nil {
				t.Fatal(err)
			}
			n, err := lake.CountEvents(t.Context(), l, files, c.filter)
			if err != nil || n != c.rows || (store.reads.Load() > 0) != c.reads {
				t.Errorf("%d rows after %d reads, want %d, read %v: %v", n, store.reads.Load(), c.rows, c.reads, err)
			}
		})
	}
}

// TestCountEqualsRows counts random periods of random files, and compares with the
// events themselves.
func TestCountEqualsRows(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 5))
		l, _ := openCounted(t)
		var files []lake.DataFile
		var rows []schemas.Event
		var offsets []int64
		for shard := range int32(3) {
			for cut := range int64(3) {
				events := someEvents(r, 500+r.IntN(9000))
				more, err := l.WriteEvents(t.Context(), shard, buildBatches(t, memory.DefaultAllocator, shard, cut*10_000, 4096, events))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, more...)
				for i := range events {
					rows, offsets = append(rows, events[i]), append(offsets, int64(shard)<<32|cut*10_000+int64(i))
				}
			}
		}
		for range 60 {
			checkCount(t, r, l, files, rows, offsets)
		}
	}
}

// someEvents are n events of two months or of a day, of one product or of some.
func someEvents(r *rand.Rand, n int) []schemas.Event {
	span, products := []int64{testDayMS, 60 * testDayMS}[r.IntN(2)], []int64{1, 4}[r.IntN(2)]
	start, out := 1_700_000_000_000+r.Int64N(20)*testDayMS, make([]schemas.Event, n)
	for i := range out {
		out[i] = schemas.Event{
			Product: 1 + r.Int64N(products), Client: 1 + r.Int64N(50), Time: start + r.Int64N(span), RandomID: "r",
			Name: []string{"a", "b", "rare"}[min(2, r.IntN(200)%3*r.IntN(3))],
		}
		if r.IntN(2) == 0 {
			out[i].User = []byte([]string{`{"id":"u"}`, `{"id":"v"}`}[r.IntN(2)])
		}
	}
	return out
}

func checkCount(t *testing.T, r *rand.Rand, l *lake.Lake, files []lake.DataFile, rows []schemas.Event, offsets []int64) {
	t.Helper()
	var f columns.Filter
	edge := func() int64 { return rows[r.IntN(len(rows))].Time + r.Int64N(3) - 1 }
	if r.IntN(3) > 0 {
		f.TimeFrom = edge()
		f.TimeTo = max(edge(), f.TimeFrom+1)
	}
	if r.IntN(2) == 0 {
		f.Products = [][]int64{{1}, {4, 3, 2, 1}, {1, 3}, {2, 2}, {}}[r.IntN(5)]
	}
	if r.IntN(3) == 0 {
		f.OffsetTo = map[int32]int64{1: 10_000 * r.Int64N(4), 2: r.Int64N(30_000)}
	}
	var textFilters []lake.TextFilter
	named, user := r.IntN(3) == 0, r.IntN(3) == 0
	if named {
		textFilters = append(textFilters, lake.TextFilter{Column: columns.Name, Matches: func(text string) bool { return text == "rare" }})
	}
	if user {
		textFilters = append(textFilters, lake.TextFilter{Column: columns.User, Matches: func(text string) bool { return text == "" }})
	}
	want := int64(0)
	for i, e := range rows {
		to, bounded := f.OffsetTo[int32(offsets[i]>>32)]
		if (f.Products == nil || slices.Contains(f.Products, e.Product)) && e.Time >= f.TimeFrom && (f.TimeTo == 0 || e.Time < f.TimeTo) &&
			(!bounded || offsets[i]&(1<<32-1) < to) && (!named || e.Name == "rare") && (!user || e.User == nil) {
			want++
		}
	}
	got, err := lake.CountEvents(t.Context(), l, lake.Prune(files, f), f, textFilters...)
	if err != nil || got != want {
		t.Fatalf("%+v, named %v, user %v: %d rows, want %d: %v", f, named, user, got, want, err)
	}
	scanned := countRows(t, l.ScanEvents(t.Context(), lake.Prune(files, f), []string{columns.Client, columns.Time}, f, textFilters...))
	if int64(scanned) != want {
		t.Fatalf("%+v, named %v, user %v: scan has %d rows, want %d", f, named, user, scanned, want)
	}
}
