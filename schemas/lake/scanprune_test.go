package lake_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// clusteredRows are rows in the order of our files, by product and client, with
// pages of one client, and a run of rows without an offset.
func clusteredRows(n int) []foreignRow {
	out := foreignRows(n)
	for i := range out {
		r := &out[i]
		r.Product, r.Client = 1+int64(i*3/n), int64(i/700)
		r.Time, r.Arrival = int64(i*7919%n)*1000, int64(i/100)*1_000_000
		if i > n/2 && i < n/2+1500 {
			r.Offset = 0 // null
		}
	}
	return out
}

// editFooter returns a file with another footer.
func editFooter(t *testing.T, body []byte, edit func(body []byte, m *format.FileMetaData) []byte) []byte {
	t.Helper()
	end := len(body) - 8
	from := end - int(binary.LittleEndian.Uint32(body[end:]))
	var m format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), body[from:end], &m); err != nil {
		t.Fatal(err)
	}
	out := edit(slices.Clone(body[:from]), &m)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(append(out, footer...), uint32(len(footer))), "PAR1"...)
}

// forColumns calls edit for each column chunk of a file.
func forColumns(m *format.FileMetaData, edit func(c *format.ColumnChunk)) {
	for g := range m.RowGroups {
		for i := range m.RowGroups[g].Columns {
			edit(&m.RowGroups[g].Columns[i])
		}
	}
}

func withoutIndex(body []byte, m *format.FileMetaData) []byte {
	forColumns(m, func(c *format.ColumnChunk) {
		c.ColumnIndexOffset, c.ColumnIndexLength, c.OffsetIndexOffset, c.OffsetIndexLength = 0, 0, 0, 0
	})
	return body
}

func withoutEncodings(body []byte, m *format.FileMetaData) []byte {
	forColumns(m, func(c *format.ColumnChunk) { c.MetaData.EncodingStats = nil })
	return body
}

// editIndexes writes the bounds of pages anew, after edit.
func editIndexes(t *testing.T, edit func(*format.ColumnIndex)) func([]byte, *format.FileMetaData) []byte {
	return func(body []byte, m *format.FileMetaData) []byte {
		forColumns(m, func(c *format.ColumnChunk) {
			var index format.ColumnIndex
			if err := thrift.Unmarshal(new(thrift.CompactProtocol), body[c.ColumnIndexOffset:c.ColumnIndexOffset+int64(c.ColumnIndexLength)], &index); err != nil {
				t.Fatal(err)
			}
			edit(&index)
			raw, err := thrift.Marshal(new(thrift.CompactProtocol), &index)
			if err != nil {
				t.Fatal(err)
			}
			c.ColumnIndexOffset, c.ColumnIndexLength = int64(len(body)), int32(len(raw))
			body = append(body, raw...)
		})
		return body
	}
}

// padded moves the page index further from the end than is fetched with it.
func padded(body []byte, m *format.FileMetaData) []byte {
	m.KeyValueMetadata = append(m.KeyValueMetadata, format.KeyValue{Key: "padding", Value: string(bytes.Repeat([]byte("x"), 300<<10))})
	return body
}

// TestPrunedScansEqualWholeOnes asks for random rows of files whose pages are
// described in every way, and compares with what the rows themselves say.
func TestPrunedScansEqualWholeOnes(t *testing.T) {
	rows := clusteredRows(12_000)
	whole := func(body []byte, _ *format.FileMetaData) []byte { return body }
	for name, edit := range map[string]func([]byte, *format.FileMetaData) []byte{
		"as written":               whole,
		"no page index":            withoutIndex,
		"no encodings of pages":    withoutEncodings,
		"page index before tail":   padded,
		"truncated bounds":         editIndexes(t, func(i *format.ColumnIndex) { cutBounds(i.MinValues, 3); cutBounds(i.MaxValues, 3) }),
		"bounds of too few pages":  editIndexes(t, func(i *format.ColumnIndex) { i.MinValues = i.MinValues[:len(i.MinValues)-1] }),
		"no counts of nulls":       editIndexes(t, func(i *format.ColumnIndex) { i.NullCounts = nil }),
		"index of too few pages":   editIndexes(t, shortIndex),
		"page index out of bounds": func(body []byte, m *format.FileMetaData) []byte { forColumns(m, moveIndex); return body },
	} {
		for pages, options := range map[string][]parquet.WriterOption{
			"tiny pages":            {parquet.PageBufferSize(400), parquet.MaxRowsPerRowGroup(5000)},
			"large pages":           {parquet.DataPageVersion(1), parquet.MaxRowsPerRowGroup(7000)},
			"dictionaries that end": {parquet.DictionaryMaxBytes(100), parquet.PageBufferSize(700)},
			"random ids too large":  {parquet.PageBufferSize(3000), parquet.Compression(&parquet.Uncompressed)},
		} {
			t.Run(name+", "+pages, func(t *testing.T) {
				l, file := editedFile(t, rows, options, edit)
				r := rand.New(rand.NewPCG(1, uint64(len(name))))
				for range 25 {
					checkRandomFilter(t, r, l, file, rows)
				}
			})
		}
	}
}

// cutBounds cuts bounds short.
func cutBounds(bounds [][]byte, n int) {
	for i := range bounds {
		bounds[i] = bounds[i][:min(n, len(bounds[i]))]
	}
}

func shortIndex(i *format.ColumnIndex) {
	n := len(i.NullPages) - 1
	i.NullPages, i.MinValues, i.MaxValues, i.NullCounts = i.NullPages[:n], i.MinValues[:n], i.MaxValues[:n], nil
}

func moveIndex(c *format.ColumnChunk) { c.ColumnIndexOffset, c.OffsetIndexOffset = 1<<40, 1<<40 }

// editedFile is foreignFile with another footer.
func editedFile(
	t *testing.T, rows []foreignRow, options []parquet.WriterOption, edit func([]byte, *format.FileMetaData) []byte,
) (*lake.Lake, lake.DataFile) {
	t.Helper()
	var body bytes.Buffer
	w := parquet.NewGenericWriter[foreignRow](&body, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := editFooter(t, body.Bytes(), edit)
	world := laketest.New()
	l, err := world.Open(t.Context(), lake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	file := lake.DataFile{Path: "f.parquet", Rows: int64(len(rows)), Bytes: int64(len(whole)), Shard: 4}
	if err := world.Store.Put(t.Context(), file.Path, whole); err != nil {
		t.Fatal(err)
	}
	return l, file
}

// randomForeignFilter asks for products, clients, times, arrivals and offsets, of each
// all, some or one.
func randomForeignFilter(r *rand.Rand, n int64) columns.Filter {
	var f columns.Filter
	between := func(most int64) (int64, int64) {
		from := r.Int64N(most)
		return from, from + 1 + r.Int64N(1+most/(1+r.Int64N(20)))
	}
	if r.IntN(2) == 0 {
		f.Products = []int64{1 + r.Int64N(4)}
	}
	if r.IntN(3) == 0 {
		for range 1 + r.IntN(12) {
			f.Clients = append(f.Clients, r.Int64N(n/700+3))
		}
	}
	if r.IntN(3) == 0 {
		f.TimeFrom, f.TimeTo = between(n)
	}
	if r.IntN(3) == 0 {
		f.ArrivalFrom, f.ArrivalTo = between(n * 10)
	}
	if r.IntN(3) == 0 {
		from, to := between(n)
		f.OffsetFrom, f.OffsetTo = map[int32]int64{4: from}, map[int32]int64{4: to}
	}
	return f
}

// wantedOffsets are the offsets of the rows that f lets through.
func wantedOffsets(rows []foreignRow, f columns.Filter) []string {
	in := func(list []int64, v int64) bool { return list == nil || slices.Contains(list, v) }
	within := func(from, to, v int64) bool { return (from == 0 || v >= from) && (to == 0 || v < to) }
	var out []string
	for i, r := range rows {
		if in(f.Products, r.Product) && in(f.Clients, r.Client) && within(f.TimeFrom, f.TimeTo, r.Time/1000) &&
			within(f.ArrivalFrom, f.ArrivalTo, r.Arrival/1000) &&
			(f.OffsetFrom == nil || (r.Offset != 0 && within(f.OffsetFrom[4], f.OffsetTo[4], r.Offset))) {
			out = append(out, fmt.Sprint(i, " ", r.Client, " ", r.Name))
		}
	}
	return out
}

func checkRandomFilter(t *testing.T, r *rand.Rand, l *lake.Lake, file lake.DataFile, rows []foreignRow) {
	t.Helper()
	f := randomForeignFilter(r, int64(len(rows)))
	names := []string{columns.RandomID, columns.ClientID, columns.Name}
	var got []string
	for rec, err := range l.ScanEvents(t.Context(), []lake.DataFile{file}, names, f) {
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		v, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.Rows {
			got = append(got, v.RandomID.At(i)+" "+fmt.Sprint(v.Client[i])+" "+v.Name.At(i))
		}
	}
	want := wantedOffsets(rows, f)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%+v: (-want +got)\n%s", f, diff)
	}
}
