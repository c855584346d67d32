package lake_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

// foreignRow is an event as another engine may have rewritten it: columns in
// another order and encoding, nullable where ours are not, some not there.
type foreignRow struct {
	Offset   int64     `parquet:"offset,id(26),optional"`
	Arrival  int64     `parquet:"arrival,id(27),timestamp(microsecond),plain"`
	Value    *[16]byte `parquet:"value,id(6),decimal(9:38),dict"`
	Name     string    `parquet:"name,id(4),plain"`
	Category *string   `parquet:"category,id(5),dict"`
	Random   string    `parquet:"random_id,id(9),dict"`
	Runtime  *int64    `parquet:"runtime_ms,id(8),dict"`
	Client   int64     `parquet:"client_id,id(2),plain"`
	Product  int64     `parquet:"product_id,id(1),delta"`
	Time     int64     `parquet:"time,id(3),timestamp(microsecond),dict"`
	Shard    int32     `parquet:"shard,id(25),plain"`
	Later    string    `parquet:"later,id(99)"`
}

func foreignRows(n int) []foreignRow {
	out := make([]foreignRow, n)
	for i := range out {
		r := foreignRow{
			Offset: int64(i + 1), Arrival: 5_000_000, Name: fmt.Sprint("n", i%7), Random: fmt.Sprint(i), Client: int64(i % 5),
			Product: 1, Time: int64(i) * 1000, Shard: 4, Later: "x",
		}
		if i%3 > 0 {
			r.Category, r.Runtime = new(fmt.Sprint("c", i/20)), new(int64(i))
			r.Value = &[16]byte{0: 0xff, 14: byte(i >> 8), 15: byte(i)}
		}
		out[i] = r
	}
	return out
}

func TestForeignFiles(t *testing.T) {
	rows := foreignRows(5000)
	for name, options := range map[string][]parquet.WriterOption{
		"pages of version 1":         {parquet.DataPageVersion(1), parquet.Compression(&parquet.Gzip)},
		"pages of version 2":         {parquet.PageBufferSize(2000)},
		"dictionaries that overflow": {parquet.DictionaryMaxBytes(600), parquet.PageBufferSize(1000), parquet.MaxRowsPerRowGroup(1500)},
	} {
		t.Run(name, func(t *testing.T) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			defer mem.AssertSize(t, 0)
			l, file := isForeign(t, lake.Config{Memory: mem}, rows, options)
			checkForeign(t, l, file, rows, columns.Filter{})
			checkForeign(t, l, file, rows, columns.Filter{OffsetFrom: map[int32]int64{4: 1000}, OffsetTo: map[int32]int64{4: 4000}})
			checkForeign(t, l, file, rows, columns.Filter{Clients: []int64{3}, TimeFrom: 500})
		})
	}
}

// foreign is a lake with a data file of rows, of shard 4, that another engine
// wrote.
func isForeign[R any](t *testing.T, cfg lake.Config, rows []R, options []parquet.WriterOption) (*lake.Lake, lake.DataFile) {
	t.Helper()
	var body bytes.Buffer
	w := parquet.NewGenericWriter[R](&body, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	world := laketest.New()
	l, err := world.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	file := lake.DataFile{Path: "f.parquet", Rows: int64(len(rows)), Bytes: int64(body.Len()), Shard: 4}
	if err := world.Store.Put(t.Context(), file.Path, body.Bytes()); err != nil {
		t.Fatal(err)
	}
	return l, file
}

func checkForeign(t *testing.T, l *lake.Lake, file lake.DataFile, rows []foreignRow, f columns.Filter) {
	t.Helper()
	var want, got []string
	for _, r := range rows {
		from, to := f.OffsetFrom[4], f.OffsetTo[4]
		if r.Offset < from || (to > 0 && r.Offset >= to) || (f.Clients != nil && r.Client != f.Clients[0]) || r.Time/1000 < f.TimeFrom {
			continue
		}
		line := fmt.Sprint(r.Offset, r.Arrival/1000, r.Name, r.Random, r.Client, r.Product, r.Time/1000, r.Shard)
		if r.Category != nil {
			line += fmt.Sprint(*r.Category, *r.Runtime, " ", int8(r.Value[0]), uint64(r.Value[14])<<8+uint64(r.Value[15]))
		}
		want = append(want, line)
	}
	for rec, err := range l.ScanEvents(t.Context(), []lake.DataFile{file}, nil, f) {
		if err != nil {
			t.Fatal(err)
		}
		v, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.Rows {
			line := fmt.Sprint(v.Offset[i], v.ArrivalMS(i), v.Name.At(i), v.RandomID.At(i), v.Client[i], v.Product[i], v.TimeMS(i), v.Shard[i])
			if !v.Category.Null(i) {
				line += fmt.Sprint(v.Category.At(i), v.Runtime.At(i), " ", v.Value.At(i).HighBits()>>56, v.Value.At(i).LowBits())
			}
			if !v.Properties.Null(i) || !v.User.Null(i) || !v.Offline.Null(i) {
				line += " has what the file has not"
			}
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%+v: (-want +got)\n%s", f, diff)
	}
}

func TestFilterOfDays(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	set := rollup.NewSet()
	events := tame(wild(newTraffic(1, 1).r, 300))
	for i := range events {
		events[i].Time = (int64(i%5)-2)*testDayMS + 1000 // two days before 1970, three of it
	}
	for _, rec := range build(t, memory.DefaultAllocator, 0, 0, 300, events) {
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

// TestEncodersKeepNothing writes the same rows again after others and after a
// failure: the files are the same.
func TestEncodersKeepNothing(t *testing.T) {
	world := laketest.New()
	l, err := world.Open(t.Context(), lake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	bodies := func(seed uint64, shard int32) (out [][]byte) {
		batches := build(t, memory.DefaultAllocator, 1, 0, 64, wild(newTraffic(seed, 1).r, 400))
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
