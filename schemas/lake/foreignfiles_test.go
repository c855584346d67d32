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
			l, file := foreignFile(t, lake.Config{Memory: mem}, rows, options)
			checkForeign(t, l, file, rows, columns.Filter{})
			checkForeign(t, l, file, rows, columns.Filter{OffsetFrom: map[int32]int64{4: 1000}, OffsetTo: map[int32]int64{4: 4000}})
			checkForeign(t, l, file, rows, columns.Filter{Clients: []int64{3}, TimeFrom: 500})
		})
	}
}

// foreignFile is a lake with a data file of rows, of shard 4, that another engine
// wrote.
func foreignFile[R any](t *testing.T, cfg lake.Config, rows []R, options []parquet.WriterOption) (*lake.Lake, lake.DataFile) {
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
