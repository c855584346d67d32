package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// pageBuffer is the rows of one column that become a data page.
type pageBuffer struct {
	rows   int
	nulls  int
	levels []byte // of a nullable column: 1 has a value, 0 has none

	int64s    []int64  // numbers that are not coded
	codes     []int32  // in the row group's dictionary
	data      []byte   // strings, decimals, bits
	ends      []uint32 // of strings in raw, after a first 0
	bits      int      // in raw
	low, high int64    // of coded numbers
}

// appendNulls appends rows without a value.
func (p *pageBuffer) appendNulls(n int) {
	p.nulls += n
	for range n {
		p.levels = append(p.levels, 0)
	}
}

func (p *pageBuffer) reset() {
	*p = pageBuffer{
		levels: p.levels[:0], int64s: p.int64s[:0], codes: p.codes[:0], data: p.data[:0],
		ends: append(p.ends[:0], 0), low: math.MaxInt64, high: math.MinInt64,
	}
}

// full says that the page should end.
func (p *pageBuffer) full() bool { return p.rows >= maxPageRows || len(p.data) >= maxPageBytes }

// chunkDictionary is the distinct values of one column of a row group.
type chunkDictionary struct {
	size        int32
	values      []byte // as a dictionary page has them
	int64Codes  map[int64]int32
	stringCodes map[string]int32
	keys        []string // of texts, by code

	lastInt64  int64 // number before; valid once n > 0
	lastString string
	lastCode   int32 // of last or lastString
}

// codeOf is the code of raw.
func (d *chunkDictionary) codeOf(raw []byte) int32 {
	if code, known := d.stringCodes[string(raw)]; known {
		return code
	}
	own, code := string(raw), d.size
	d.stringCodes[own], d.keys = code, append(d.keys, own)
	d.values = binary.LittleEndian.AppendUint32(d.values, uint32(len(raw)))
	d.values = append(d.values, raw...)
	d.size++
	return code
}

func (d *chunkDictionary) reset() {
	clear(d.int64Codes)
	clear(d.stringCodes)
	clear(d.keys)
	d.size, d.values, d.keys, d.lastString = 0, d.values[:0], d.keys[:0], ""
}

// columnChunk is the pages of one column of a row group, as they go to the file.
type columnChunk struct {
	body         bytes.Buffer
	pages        []format.PageLocation // offsets count from the first data page
	index        format.ColumnIndex
	stats        format.Statistics
	rows         int64
	plainPages   int32 // pages without a value, which need no dictionary
	encodedPages int32
	size         int64 // uncompressed, headers included
}

func (k *columnChunk) reset() {
	k.body.Reset()
	*k = columnChunk{body: k.body, pages: k.pages[:0]}
}

// pageEncoder turns pages into bytes. Columns share it: it is scratch memory.
type pageEncoder struct {
	levels     []byte
	values     []byte
	compressed []byte
	header     bytes.Buffer
}

// flush ends the page of c.
func (e *pageEncoder) flush(c *columnWriter) error {
	p := &c.page
	if p.rows == 0 {
		return nil
	}
	defer c.nextPage()
	how, err := e.encode(c)
	if err != nil {
		return fmt.Errorf("encode page of column %s: %w", c.field.Name, err)
	}
	e.levels = e.levels[:0]
	if c.field.Nullable {
		if e.levels, err = (&rle.Encoding{BitWidth: 1}).EncodeLevels(e.levels, p.levels); err != nil {
			return fmt.Errorf("encode page of column %s: %w", c.field.Name, err)
		}
	}
	before := c.chunk.body.Len()
	header := format.PageHeader{Type: format.DataPageV2, DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
		NumValues: int32(p.rows), NumRows: int32(p.rows), NumNulls: int32(p.nulls), Encoding: how,
		DefinitionLevelsByteLength: int32(len(e.levels)), IsCompressed: thrift.New(c.encoding.codec != nil),
	})}
	if err := e.write(&c.chunk, &header, c.encoding.codec); err != nil {
		return fmt.Errorf("write page of column %s: %w", c.field.Name, err)
	}
	c.chunk.pages = append(c.chunk.pages, format.PageLocation{
		Offset: int64(before), CompressedPageSize: int32(c.chunk.body.Len() - before), FirstRowIndex: c.chunk.rows,
	})
	c.chunk.rows += int64(p.rows)
	c.chunk.addStats(c)
	if how == format.Plain && c.encoding.dictionary {
		c.chunk.plainPages++
	} else {
		c.chunk.encodedPages++
	}
	return nil
}

// nextPage starts a page. Strings of a text column that have hardly repeated in
// this row group are written as they are from here on.
func (c *columnWriter) nextPage() {
	c.page.reset()
	c.plain = c.encoding.dictionary && c.field.Type.ID() == arrow.STRING && int64(c.dict.size) > c.chunk.rows/2
}

// encode puts the values of c's page into values. A page without any needs no
// dictionary.
func (e *pageEncoder) encode(c *columnWriter) (how format.Encoding, err error) {
	p, v := &c.page, e.values[:0]
	how = c.encoding.encoding.Encoding()
	switch {
	case p.rows == p.nulls:
		how = format.Plain
	case c.plain:
		how = format.Plain
		v, err = parquet.Plain.EncodeByteArray(v, p.data, p.ends)
	case c.encoding.dictionary:
		v, err = c.encoding.encoding.EncodeInt32(v, p.codes)
	case c.encoding.width == 8:
		v, err = c.encoding.encoding.EncodeInt64(v, p.int64s)
	case c.encoding.width == 0:
		v, err = c.encoding.encoding.EncodeByteArray(v, p.data, p.ends)
	default:
		v = append(v, p.data...) // decimals, bits
	}
	e.values = v
	return how, err
}

// write appends a page of levels and values to to.
func (e *pageEncoder) write(to *columnChunk, header *format.PageHeader, codec compress.Codec) (err error) {
	body := e.values
	if codec != nil {
		if e.compressed, err = codec.Encode(e.compressed[:0], e.values); err != nil {
			return err
		}
		body = e.compressed
	}
	header.UncompressedPageSize = int32(len(e.levels) + len(e.values))
	header.CompressedPageSize = int32(len(e.levels) + len(body))
	header.CRC = int32(crc32.Update(crc32.ChecksumIEEE(e.levels), crc32.IEEETable, body))
	e.header.Reset()
	if err := thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&e.header)).Encode(header); err != nil {
		return err
	}
	to.size += int64(e.header.Len()) + int64(header.UncompressedPageSize)
	to.body.Write(e.header.Bytes())
	to.body.Write(e.levels)
	to.body.Write(body)
	return nil
}

// dictionary is the dictionary page of c; empty where it has none.
func (e *pageEncoder) dictionary(c *columnWriter, to *columnChunk) error {
	if c.dict.size == 0 {
		return nil
	}
	values := e.values
	e.levels, e.values = e.levels[:0], c.dict.values
	header := format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
		NumValues: c.dict.size, Encoding: format.Plain,
	})}
	err := e.write(to, &header, c.encoding.codec)
	e.values = values
	if err != nil {
		return fmt.Errorf("write dictionary of column %s: %w", c.field.Name, err)
	}
	return nil
}

// addStats takes the page of c into statistics and page index.
func (k *columnChunk) addStats(c *columnWriter) {
	p := &c.page
	k.stats.NullCount += int64(p.nulls)
	if !c.bounds {
		return
	}
	low, high := c.pageBounds()
	k.index.NullPages = append(k.index.NullPages, low == nil)
	k.index.MinValues = append(k.index.MinValues, low)
	k.index.MaxValues = append(k.index.MaxValues, high)
	k.index.NullCounts = append(k.index.NullCounts, int64(p.nulls))
	if low == nil {
		return
	}
	if k.stats.MinValue == nil || boundLess(c.field.Type, low, k.stats.MinValue) {
		k.stats.MinValue = low
	}
	if k.stats.MaxValue == nil || boundLess(c.field.Type, k.stats.MaxValue, high) {
		k.stats.MaxValue = high
	}
}

// pageBounds returns the smallest and the largest value of c's page, as Parquet writes
// them; nil when it has none.
func (c *columnWriter) pageBounds() (low, high []byte) {
	p := &c.page
	if p.rows == p.nulls {
		return nil, nil
	}
	if c.encoding.width == 0 {
		return c.stringBounds()
	}
	for _, v := range p.int64s {
		p.low, p.high = min(p.low, v), max(p.high, v)
	}
	return appendLittleEndian(nil, p.low, c.encoding.width), appendLittleEndian(nil, p.high, c.encoding.width)
}

// stringBounds looks at each code of the page once.
func (c *columnWriter) stringBounds() (low, high []byte) {
	seen := make([]bool, c.dict.size)
	first, last := c.page.codes[0], c.page.codes[0]
	for _, code := range c.page.codes {
		if seen[code] {
			continue
		}
		seen[code] = true
		if c.dict.keys[code] < c.dict.keys[first] {
			first = code
		}
		if c.dict.keys[code] > c.dict.keys[last] {
			last = code
		}
	}
	return []byte(c.dict.keys[first]), []byte(c.dict.keys[last])
}

// columnEncoding is how a column lies in a data file.
type columnEncoding struct {
	index      int // of the column
	width      int // bytes of a number; 0 for strings, 1 for bits, 16 for decimals
	dictionary bool
	encoding   encoding.Encoding
	codec      compress.Codec // nil: pages are not compressed
}

// newColumnEncoding is the form of a column of a schema made by parquetSchema.
func newColumnEncoding(index int, leaf parquet.Node, codec compress.Codec) columnEncoding {
	f := columnEncoding{index: index, encoding: leaf.Encoding(), codec: codec}
	switch leaf.Type().Kind() {
	case parquet.Boolean:
		f.width = 1
	case parquet.Int32:
		f.width = 4
	case parquet.Int64:
		f.width = 8
	case parquet.FixedLenByteArray:
		f.width = 16
	default: // strings
	}
	if f.encoding == nil {
		f.encoding = &parquet.Plain
	}
	f.dictionary = f.encoding.Encoding() == format.RLEDictionary
	if f.encoding.Encoding() == format.DeltaBinaryPacked || codec.CompressionCodec() == format.Uncompressed {
		f.codec = nil // deltas are packed to the bit: nothing is left to squeeze
	}
	return f
}
