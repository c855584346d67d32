// Package parquet writes and reads the data files of a table: it encodes the
// columns of Arrow batches as Parquet pages, and decodes pages into Arrow
// arrays. It does not depend on any table: columns, rows and where an object is
// stored are handed in. A File and its row groups may be read by several
// goroutines at once; an Encoder belongs to one at a time.
package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Limits of what a column is given at a time: enough rows to be worth the call,
// few enough for their strings to stay in the cache.
const (
	sliceRows  = 1024
	sliceBytes = 4 << 20
)

// magic begins and ends a Parquet file.
const magic = "PAR1"

// RowRef is one row of the batches bound to an Encoder.
type RowRef struct{ Batch, Row uint32 }

// Encoder writes data files of one table, one after the other. It makes pages
// with the encodings of parquet-go, straight from the columns of batches, since
// parquet-go's own writer takes every value by itself and hashes each
// dictionary-encoded one again. Per CPU second BenchmarkWriteEvents of package
// lake sorts and writes 443 k rows in 57 MB, BenchmarkWriteEventsParquetGo
// writes 315 k unsorted ones in 314 MB.
//
// A file is Begin, then Bind and Write as often as needed, then Finish. The
// buffers are worth keeping for the next file. An Encoder belongs to one
// goroutine at a time.
type Encoder struct {
	emptyFooter format.FileMetaData // the part of a footer that is the same for every file: the schema
	columns     []columnWriter
	sorting     []format.SortingColumn
	pages       pageEncoder    // shared by the columns
	out         countingWriter // the file being written
	lastSize    int64          // of the file before
	lastRows    int64

	groups     []format.RowGroup // of the file
	indexes    []pageIndex
	rows       int64 // of the file
	group      int   // number of the row group, over all files, so that codes of an earlier one are never taken for valid
	groupRows  int64 // of the row group being written
	groupBytes int64 // of its strings
}

// pageIndex is the page index of a row group, by column.
type pageIndex struct {
	columns []format.ColumnIndex // bounds of each page; empty where the column has none
	offsets []format.OffsetIndex // place of each page
}

// NewEncoder returns an encoder of data files with the given columns, whose
// pages are compressed by the codec of that name.
func NewEncoder(table string, columns []Column, compression string) (*Encoder, error) {
	codec, err := newCodec(compression)
	if err != nil {
		return nil, err
	}
	schema := newSchema(table, columns)
	empty := parquet.NewWriter(io.Discard, schema)
	if err := empty.Close(); err != nil {
		return nil, fmt.Errorf("make schema of %s: %w", table, err)
	}
	e := &Encoder{emptyFooter: *empty.File().Metadata(), sorting: sortingColumns(columns)}
	for i := range columns {
		c := columnWriter{field: columns[i].Field, bounds: columns[i].Bounds, bloom: columns[i].Bloom, encoding: newColumnEncoding(i, schema.Fields()[i], codec)}
		if c.encoding.dictionary {
			c.dict.int64Codes, c.dict.stringCodes = map[int64]int32{}, map[string]int32{}
		}
		e.columns = append(e.columns, c)
	}
	e.Begin(io.Discard)
	return e, nil
}

// Size returns how many bytes have gone to the file so far. Rows of the row
// group being built are not among them.
func (e *Encoder) Size() int64 { return e.out.size }

// Bytes returns about how much memory e holds.
func (e *Encoder) Bytes() int64 {
	n := cap(e.pages.values) + cap(e.pages.compressed)
	for i := range e.columns {
		c := &e.columns[i]
		n += c.chunk.body.Cap() + cap(c.dict.values) + 100*cap(c.dict.keys) + cap(c.page.data) + cap(c.page.levels) +
			8*cap(c.page.int64s) + 4*(cap(c.page.codes)+cap(c.page.ends))
	}
	return int64(n)
}

// SizeHint returns about how many bytes a file of so many rows will have, by the one
// before: no more than that had, and no more for each row.
func (e *Encoder) SizeHint(rows int) int {
	const perFile = 16 << 10 // footer and dictionaries
	hint := min(e.lastSize, perFile+e.lastSize*int64(rows)/max(1, e.lastRows))
	return int(hint + hint/8)
}

// Begin starts a data file that is written to out. A file that was not finished
// is abandoned.
func (e *Encoder) Begin(out io.Writer) {
	e.out = countingWriter{to: out}
	e.groups, e.indexes = nil, nil
	e.rows = 0
	e.beginGroup()
}

// beginGroup starts a row group. Its columns have empty dictionaries.
func (e *Encoder) beginGroup() {
	e.group++
	e.groupRows, e.groupBytes = 0, 0
	for i := range e.columns {
		c := &e.columns[i]
		c.dict.reset()
		c.chunk.reset()
		c.hashes = c.hashes[:0]
		c.nextPage()
	}
}

// Bind makes batches those that rows refer to. They must have the columns of
// the table, and must not be released before the next Bind or Release.
func (e *Encoder) Bind(batches []arrow.Record) error {
	for i := range e.columns {
		c := &e.columns[i]
		c.unbind()
		for _, rec := range batches {
			if i >= int(rec.NumCols()) || rec.ColumnName(i) != c.field.Name {
				return fmt.Errorf("batch lacks column %d, %s", i, c.field.Name)
			}
			if err := c.bind(rec.Column(i)); err != nil {
				return fmt.Errorf("column %s: %w", c.field.Name, err)
			}
		}
	}
	return nil
}

// Release drops the references to batches and to what was written.
func (e *Encoder) Release() {
	for i := range e.columns {
		e.columns[i].unbind()
	}
	e.Begin(io.Discard)
}

// Write appends rows of the bound batches, which come in the sort order of the
// table.
func (e *Encoder) Write(rows []RowRef) error {
	for len(rows) > 0 {
		n, size := e.nextRows(rows)
		for i := range e.columns {
			c := &e.columns[i]
			c.append(rows[:n], e.group)
			if c.bloom {
				c.addHashes(rows[:n])
			}
			if !c.page.full() {
				continue
			}
			if err := e.pages.flush(c); err != nil {
				return err
			}
		}
		rows = rows[n:]
		e.groupRows += int64(n)
		e.groupBytes += size
		if e.groupRows >= maxRowGroupRows || e.groupBytes >= maxRowGroupBytes {
			if err := e.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// nextRows returns how many rows go to the columns at once, and the bytes of
// their strings.
func (e *Encoder) nextRows(rows []RowRef) (n int, size int64) {
	rows = rows[:min(len(rows), sliceRows)]
	sizes := make([]int64, len(rows))
	for i := range e.columns {
		if c := &e.columns[i]; c.hasStrings {
			for k, r := range rows {
				sizes[k] += c.size(r)
			}
		}
	}
	for n < len(rows) && size < sliceBytes {
		size += sizes[n]
		n++
	}
	return n, size
}

// flush ends the row group and writes its columns, one after the other.
func (e *Encoder) flush() error {
	if e.groupRows == 0 {
		return nil
	}
	if err := e.writeMagic(); err != nil {
		return err
	}
	g := format.RowGroup{NumRows: e.groupRows, FileOffset: e.out.size, Ordinal: int16(len(e.groups)), SortingColumns: e.sorting}
	var index pageIndex
	for i := range e.columns {
		c := &e.columns[i]
		if err := e.pages.flush(c); err != nil {
			return err
		}
		meta, err := e.writeChunk(c)
		if err != nil {
			return err
		}
		g.Columns = append(g.Columns, format.ColumnChunk{MetaData: meta})
		g.TotalByteSize += meta.TotalUncompressedSize
		g.TotalCompressedSize += meta.TotalCompressedSize
		c.chunk.index.BoundaryOrder = boundaryOrder(c.field.Type, &c.chunk.index)
		index.columns = append(index.columns, c.chunk.index)
		index.offsets = append(index.offsets, format.OffsetIndex{PageLocations: offsetBy(c.chunk.pages, meta.DataPageOffset)})
	}
	for i := range e.columns {
		if err := e.writeBloomFilter(&e.columns[i], &g.Columns[i].MetaData); err != nil {
			return err
		}
	}
	e.groups, e.indexes = append(e.groups, g), append(e.indexes, index)
	e.rows += e.groupRows
	e.beginGroup()
	return nil
}

// writeMagic begins the file, unless it has begun.
func (e *Encoder) writeMagic() error {
	if e.out.size > 0 {
		return nil
	}
	_, err := io.WriteString(&e.out, magic)
	return err
}

// offsetBy returns the locations of pages whose first lies at from.
func offsetBy(pages []format.PageLocation, from int64) []format.PageLocation {
	out := slices.Clone(pages)
	for i := range out {
		out[i].Offset += from
	}
	return out
}

// writeChunk writes the pages of one column, its dictionary first, and returns
// the column's entry in the footer.
func (e *Encoder) writeChunk(c *columnWriter) (format.ColumnMetaData, error) {
	m := format.ColumnMetaData{
		Type: e.emptyFooter.Schema[1+c.encoding.index].Type.V, PathInSchema: []string{c.field.Name}, Codec: codecOf(c.encoding.codec),
		NumValues: e.groupRows, Statistics: c.chunk.stats, Encoding: []format.Encoding{format.RLE},
	}
	var dict columnChunk
	if err := e.pages.dictionary(c, &dict); err != nil {
		return m, err
	}
	if dict.size > 0 {
		m.DictionaryPageOffset = e.out.size
		m.EncodingStats = append(m.EncodingStats, format.PageEncodingStats{PageType: format.DictionaryPage, Count: 1})
	}
	m.DataPageOffset = e.out.size + int64(dict.body.Len())
	m.TotalCompressedSize = int64(dict.body.Len() + c.chunk.body.Len())
	m.TotalUncompressedSize = dict.size + c.chunk.size
	if c.chunk.plainPages > 0 {
		m.EncodingStats = append(m.EncodingStats, pageStats(format.Plain, c.chunk.plainPages))
	}
	if c.chunk.encodedPages > 0 {
		m.EncodingStats = append(m.EncodingStats, pageStats(c.encoding.encoding.Encoding(), c.chunk.encodedPages))
	}
	for _, s := range m.EncodingStats {
		if !slices.Contains(m.Encoding, s.Encoding) {
			m.Encoding = append(m.Encoding, s.Encoding)
		}
	}
	for _, body := range [][]byte{dict.body.Bytes(), c.chunk.body.Bytes()} {
		if _, err := e.out.Write(body); err != nil {
			return m, fmt.Errorf("write column %s: %w", c.field.Name, err)
		}
	}
	return m, nil
}

// pageStats counts n data pages of an encoding.
func pageStats(how format.Encoding, n int32) format.PageEncodingStats {
	return format.PageEncodingStats{PageType: format.DataPageV2, Encoding: how, Count: n}
}

// codecOf returns the name of codec in a footer; nil is no compression.
func codecOf(codec compress.Codec) format.CompressionCodec {
	if codec == nil {
		return format.Uncompressed
	}
	return codec.CompressionCodec()
}

// Finish ends the file and returns its metrics. Until then the file cannot be
// read, since its footer comes last.
func (e *Encoder) Finish() (*Metrics, error) {
	if err := e.flush(); err != nil {
		return nil, err
	}
	if err := e.writeMagic(); err != nil {
		return nil, err
	}
	if err := e.writeIndexes(); err != nil {
		return nil, fmt.Errorf("write page index: %w", err)
	}
	meta := e.emptyFooter
	meta.NumRows, meta.RowGroups = e.rows, e.groups
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		return nil, fmt.Errorf("write footer: %w", err)
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	if _, err := e.out.Write(append(footer, magic...)); err != nil {
		return nil, fmt.Errorf("write footer: %w", err)
	}
	e.lastSize, e.lastRows = e.out.size, e.rows
	return metricsOf(e.columns, &meta, e.out.size), nil
}

// writeIndexes writes the page indexes of all row groups: first the bounds of
// all columns, then the places of their pages, as the specification has it.
func (e *Encoder) writeIndexes() error {
	var tail bytes.Buffer
	to := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&tail))
	put := func(v any) (offset int64, size int32, err error) {
		before := tail.Len()
		err = to.Encode(v)
		return e.out.size + int64(before), int32(tail.Len() - before), err
	}
	var err error
	for g := range e.groups {
		for i := range e.groups[g].Columns {
			c, index := &e.groups[g].Columns[i], &e.indexes[g].columns[i]
			if len(index.NullPages) == 0 {
				continue
			}
			if c.ColumnIndexOffset, c.ColumnIndexLength, err = put(index); err != nil {
				return err
			}
		}
	}
	for g := range e.groups {
		for i := range e.groups[g].Columns {
			c := &e.groups[g].Columns[i]
			if c.OffsetIndexOffset, c.OffsetIndexLength, err = put(&e.indexes[g].offsets[i]); err != nil {
				return err
			}
		}
	}
	_, err = e.out.Write(tail.Bytes())
	return err
}

// countingWriter counts the bytes that go to a data file.
type countingWriter struct {
	to   io.Writer
	size int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.size += int64(n)
	return n, err
}
