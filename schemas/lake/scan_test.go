package lake_test

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// lines are the rows of batches as text, all columns that they have.
func lines(t testing.TB, batches ...arrow.Record) []string {
	t.Helper()
	var out []string
	for _, rec := range batches {
		for i := range int(rec.NumRows()) {
			line := ""
			for c := range int(rec.NumCols()) {
				line += rec.ColumnName(c) + "=" + rec.Column(c).ValueStr(i) + " "
			}
			out = append(out, line)
		}
	}
	return out
}

// wild makes events of every shape and any age.
func wild(r *rand.Rand, n int) []schemas.Event {
	text := func() string {
		return []string{"", "a", "ä€😀", "long " + string(make([]byte, r.IntN(300)))}[r.IntN(4)]
	}
	raw := func() []byte {
		if r.IntN(2) == 0 {
			return nil
		}
		return fmt.Appendf(nil, `{"k":%d}`, r.IntN(5))
	}
	times := []int64{-62_135_596_800_000, -1, 0, 1, 31_536_000_000, 1_700_000_000_000, 253_402_300_799_999, math.MaxInt64, math.MinInt64}
	out := make([]schemas.Event, n)
	for i := range out {
		e := schemas.Event{
			Product: 1 + r.Int64N(3), Client: 1 + r.Int64N(4), Time: times[r.IntN(len(times))], Name: "n" + text(), RandomID: fmt.Sprint(i),
			SessionID: text(), AppKey: text(), AppName: text(), AppVersion: text(), ContentLocale: text(), UILocale: text(),
			UserAgent: text(), IP: text(), User: raw(), ClientProps: raw(), Properties: raw(),
		}
		if r.IntN(2) == 0 {
			e.Category = new(text())
		}
		if r.IntN(2) == 0 {
			e.Value = new(decimal128.New(r.Int64N(1<<40)-1<<39, r.Uint64()))
		}
		if r.IntN(2) == 0 {
			e.RuntimeMS = new(r.Int64() - r.Int64())
		}
		if r.IntN(2) == 0 {
			e.Offline = new(r.IntN(2) == 0)
		}
		if r.IntN(2) == 0 {
			e.Exception = &schemas.Exception{Class: text(), Method: text(), Message: text(), Stack: text()}
		}
		out[i] = e
	}
	return out
}

// build is events as batches of size rows, of a shard, from offset first on.
func build(t testing.TB, mem memory.Allocator, shard int32, first int64, size int, events []schemas.Event) []arrow.Record {
	b := columns.NewBuilder(mem)
	defer b.Release()
	var out []arrow.Record
	for i := range events {
		b.Append(&events[i], columns.Position{Shard: shard, Offset: first + int64(i), Arrival: 1_700_000_000_000 + first + int64(i)})
		if b.Len() == size || i == len(events)-1 {
			out = append(out, b.Batch())
		}
	}
	t.Cleanup(func() {
		for _, rec := range out {
			rec.Release()
		}
	})
	return out
}

// scan is all rows of files as text.
func scan(t testing.TB, l *lake.Lake, files []lake.DataFile, names []string) []string {
	t.Helper()
	var out []string
	for rec, err := range l.ScanEvents(t.Context(), files, names, columns.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, lines(t, rec)...)
	}
	return out
}

// count is how many rows batches have.
func count(t testing.TB, batches iter.Seq2[arrow.Record, error]) (rows int) {
	t.Helper()
	for rec, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		rows += int(rec.NumRows())
	}
	return rows
}

func TestEventsComeBack(t *testing.T) {
	for _, codec := range []string{"zstd", "snappy", "none"} {
		for seed := range uint64(5) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			l := laketest.Lake(t, lake.Config{Compression: codec, Memory: mem})
			r := rand.New(rand.NewPCG(seed, 7))
			batches := build(t, memory.DefaultAllocator, 5, 100, 1+r.IntN(90), wild(r, 1+r.IntN(300)))
			files, err := l.WriteEvents(t.Context(), 5, batches)
			if err != nil {
				t.Fatal(err)
			}
			want, got := lines(t, batches...), scan(t, l, files, nil)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s, seed %d: (-want +got)\n%s", codec, seed, diff)
			}
			mem.AssertSize(t, 0)
		}
	}
}

func TestDataFilesOfEvents(t *testing.T) {
	l := laketest.Lake(t, lake.Config{Prefix: "p"})
	events := []schemas.Event{
		{Product: 2, Client: 9, Time: 1_700_000_000_000, Name: "b", RandomID: "1"},
		{Product: 1, Client: 9, Time: 1_700_000_000_000, Name: "b", RandomID: "2"},
		{Product: 1, Client: 9, Time: 1_699_999_999_000, Name: "a", RandomID: "3"},
		{Product: 1, Client: 8, Time: 1_700_000_000_000, Name: "b", RandomID: "4"},
		{Product: 1, Client: 9, Time: 1_699_999_999_000, Name: "a", RandomID: "5"},
		{Product: 1, Client: 9, Time: -1, Name: "old", RandomID: "6"},
		{Product: 1, Client: 9, Time: 253_402_300_799_999, Name: "far", RandomID: "7"},
	}
	files, err := l.WriteEvents(t.Context(), 3, build(t, memory.DefaultAllocator, 3, 40, 2, events))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s %d %d: %d rows %v %v", f.Path[:len(f.Path)-len("d9428888-122b-11e1-b85c-61cd3cbb3210.parquet")],
			f.Shard, f.Partition, f.Rows, f.Min, f.Max))
	}
	want := []string{
		"p/events/data/month=1969-12/shard=3/ 3 -1: 1 rows {1 9 -1 1700000000045 45} {1 9 -1 1700000000045 45}",
		"p/events/data/month=2023-11/shard=3/ 3 646: 5 rows {1 8 1699999999000 1700000000040 40} {2 9 1700000000000 1700000000044 44}",
		"p/events/data/month=9999-12/shard=3/ 3 96359: 1 rows {1 9 253402300799999 1700000000046 46} {1 9 253402300799999 1700000000046 46}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	order := scan(t, l, files, []string{"random_id"})
	if want := []string{"random_id=6 ", "random_id=4 ", "random_id=3 ", "random_id=5 ", "random_id=2 ", "random_id=1 ", "random_id=7 "}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

func TestWriteEventsOfAnotherShard(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	batches := build(t, memory.DefaultAllocator, 3, 0, 9, wild(rand.New(rand.NewPCG(1, 1)), 9))
	if _, err := l.WriteEvents(t.Context(), 4, batches); err == nil {
		t.Error("rows of shard 3 were written as of shard 4")
	}
	if files, err := l.WriteEvents(t.Context(), 4, nil); err != nil || len(files) > 0 {
		t.Errorf("nothing written: %v %v", files, err)
	}
}

// TestScanFilters holds what a scan yields to a filter of every row.
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
				if passes(f, &v, i) {
					want++
				}
			}
		}
		names := [][]string{nil, {"name", "time"}, {"offset"}, {"properties", "value", "client_id", "offline"}}[r.IntN(4)]
		if got := count(t, l.ScanEvents(t.Context(), lake.Prune(files, f), names, f)); got != want {
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

// passes is Filter said again, row by row.
func passes(f columns.Filter, v *columns.View, i int) bool {
	in := func(x, from, to int64) bool { return (from == 0 || x >= from) && (to == 0 || x < to) }
	from, hasFrom := f.OffsetFrom[v.Shard[i]]
	to, hasTo := f.OffsetTo[v.Shard[i]]
	return (f.Products == nil || slices.Contains(f.Products, v.Product[i])) &&
		(f.Clients == nil || slices.Contains(f.Clients, v.Client[i])) &&
		in(v.TimeMS(i), f.TimeFrom, f.TimeTo) && in(v.ArrivalMS(i), f.ArrivalFrom, f.ArrivalTo) &&
		(f.Shard == nil || *f.Shard == v.Shard[i]) &&
		(!hasFrom || v.Offset[i] >= from) && (!hasTo || v.Offset[i] < to)
}
