package lake_test

import (
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

// fetchedEnd is how much of a large file is fetched with its footer.
const fetchedEnd = 256 << 10

// TestIndexBeyondFetchedEnd reads few rows of a large file whose page index lies
// before the end that is fetched with the footer, or across its beginning: it has
// to prune as much as one that came with the footer.
func TestIndexBeyondFetchedEnd(t *testing.T) {
	rows := clusteredRows(12_000)
	for i := range rows {
		rows[i].Later = strings.Repeat(rows[i].Random, 40) // so that the file does not come whole
	}
	few := columns.Filter{ArrivalFrom: 50_000, ArrivalTo: 51_000}
	want := decodedFor(t, rows, few, func(body []byte, _ *format.FileMetaData) []byte { return body })
	if want == 0 || want > 12_000/4 {
		t.Fatalf("%d rows decoded with the index at hand", want)
	}
	for name, before := range map[string]func(index, size int64) int64{
		"across the fetched end": func(index, size int64) int64 { return index + size/2 },
		"just before it":         func(index, size int64) int64 { return index + size },
		"far before it":          func(index, size int64) int64 { return index + size + 40<<10 },
	} {
		t.Run(name, func(t *testing.T) {
			got := decodedFor(t, rows, few, func(body []byte, m *format.FileMetaData) []byte { return padTo(t, body, m, before) })
			if got != want {
				t.Errorf("%d rows decoded, want %d", got, want)
			}
		})
	}
}

// padTo lengthens the footer so that the end that is fetched begins where begin
// says, of a file with a page index of size bytes at index.
func padTo(t *testing.T, body []byte, m *format.FileMetaData, begin func(index, size int64) int64) []byte {
	t.Helper()
	index := int64(len(body))
	forColumns(m, func(c *format.ColumnChunk) { index = min(index, c.ColumnIndexOffset, c.OffsetIndexOffset) })
	at := begin(index, int64(len(body))-index)
	pad := int64(0)
	for range 3 { // the length of the padding is part of the footer too
		m.KeyValueMetadata = []format.KeyValue{{Key: "padding", Value: strings.Repeat("x", int(pad))}}
		footer, err := thrift.Marshal(new(thrift.CompactProtocol), m)
		if err != nil {
			t.Fatal(err)
		}
		pad += fetchedEnd - (int64(len(body)+len(footer)+8) - at)
	}
	return body
}

// decodedFor returns how many rows a scan for the rows of f decodes, and checks that
// it finds them.
func decodedFor(t *testing.T, rows []foreignRow, f columns.Filter, edit func([]byte, *format.FileMetaData) []byte) int64 {
	t.Helper()
	options := []parquet.WriterOption{parquet.PageBufferSize(2000), parquet.Compression(&parquet.Uncompressed)}
	l, file := editedFile(t, rows, options, edit)
	if file.Bytes < 2*fetchedEnd {
		t.Fatalf("the file has %d bytes and comes whole", file.Bytes)
	}
	before := lake.DecodedOf(l)
	got := countRows(t, l.ScanEvents(t.Context(), []lake.DataFile{file}, []string{columns.Offset}, f))
	if want := len(wantedOffsets(rows, f)); got != want || want == 0 {
		t.Fatalf("%d rows, want %d", got, want)
	}
	return lake.DecodedOf(l) - before
}
