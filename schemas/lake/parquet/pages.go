package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// pageBuffer is the rows of one column that become the next data page. Which of
// the slices has the values depends on the column's encoding.
type pageBuffer struct {
	rows   int
	nulls  int
	levels []byte // definition levels of a nullable column: 1 has a value, 0 is null

	int64s    []int64  // integers that are not dictionary-encoded
	codes     []int32  // codes in the dictionary of the row group
	data      []byte   // bytes of strings, decimals and booleans
	ends      []uint32 // where each string in data ends, after a first 0
	bits      int      // booleans in data
	low, high int64    // smallest and largest of dictionary-encoded integers
}

// appendNulls appends n rows without a value.
func (p *pageBuffer) appendNulls(n int) {
	p.nulls += n
	for range n {
		p.levels = append(p.levels, 0)
	}
}

// reset empties the buffer and keeps its memory.
func (p *pageBuffer) reset() {
	*p = pageBuffer{
		levels: p.levels[:0], int64s: p.int64s[:0], codes: p.codes[:0], data: p.data[:0],
		ends: append(p.ends[:0], 0), low: math.MaxInt64, high: math.MinInt64,
	}
}

// full reports whether the page should end.
func (p *pageBuffer) full() bool { return p.rows >= maxPageRows || len(p.data) >= maxPageBytes }

// chunkDictionary is the dictionary of one column of a row group. It looks up
// by Go maps, and remembers the last value, since in sorted rows the same value
// comes many times in a row.
type chunkDictionary struct {
	size        int32  // number of values
	values      []byte // as they stand in a dictionary page
	int64Codes  map[int64]int32
	stringCodes map[string]int32
	keys        []string // strings by code

	lastInt64  int64  // the value before; valid once size > 0
	lastString string // the same for strings
	lastCode   int32  // code of lastInt64 or lastString
}

// codeOf returns the code of raw, and adds raw if it is new. Only a new value
// is copied: the conversion in the lookup does not allocate.
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

// reset empties the dictionary and keeps its memory. keys are cleared and not
// only cut, so that the strings of the last row group can be collected.
func (d *chunkDictionary) reset() {
	clear(d.int64Codes)
	clear(d.stringCodes)
	clear(d.keys)
	d.size, d.values, d.keys, d.lastString = 0, d.values[:0], d.keys[:0], ""
}

// columnChunk is the finished pages of one column of a row group, as they go to
// the file. They are kept in memory until the row group ends, because the
// dictionary page precedes them in the file and is known only then.
type columnChunk struct {
	body         bytes.Buffer
	pages        []format.PageLocation // offsets count from the start of body
	index        format.ColumnIndex
	stats        format.Statistics
	rows         int64
	plainPages   int32 // pages in plain encoding: without a value, or without a dictionary
	encodedPages int32 // pages in the encoding of the column
	size         int64 // uncompressed, with page headers
}

// reset starts the chunk of the next row group. Statistics and index of the
// last one belong to its footer now and are not reused.
func (k *columnChunk) reset() {
	k.body.Reset()
	*k = columnChunk{body: k.body, pages: k.pages[:0]}
}

// pageEncoder turns pages into bytes. Its buffers are scratch memory that all
// columns of an Encoder share.
type pageEncoder struct {
	levels     []byte
	values     []byte
	compressed []byte
	header     bytes.Buffer
}

// flush encodes the page of c into c's chunk and starts the next page.
func (e *pageEncoder) flush(c *columnWriter) error {
	p := &c.page
	if p.rows == 0 {
		return nil
	}
	defer c.nextPage()
	encoding, err := e.encode(c)
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
		NumValues: int32(p.rows), NumRows: int32(p.rows), NumNulls: int32(p.nulls), Encoding: encoding,
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
	if encoding == format.Plain && c.encoding.dictionary {
		c.chunk.plainPages++
	} else {
		c.chunk.encodedPages++
	}
	return nil
}

// encode puts the values of c's page into values and returns their encoding. A
// page without values is plain, so that it needs no dictionary.
func (e *pageEncoder) encode(c *columnWriter) (encoding format.Encoding, err error) {
	p, v := &c.page, e.values[:0]
	encoding = c.encoding.encoding.Encoding()
	switch {
	case p.rows == p.nulls:
		encoding = format.Plain
	case c.plain:
		encoding = format.Plain
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
	return encoding, err
}

// write compresses values and appends a page of levels and values to dst. In
// pages of version 2 the levels stay uncompressed.
func (e *pageEncoder) write(dst *columnChunk, header *format.PageHeader, codec compress.Codec) (err error) {
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
	dst.size += int64(e.header.Len()) + int64(header.UncompressedPageSize)
	dst.body.Write(e.header.Bytes())
	dst.body.Write(e.levels)
	dst.body.Write(body)
	return nil
}

// dictionary writes the dictionary page of c to dst; nothing if c has no
// dictionary.
func (e *pageEncoder) dictionary(c *columnWriter, dst *columnChunk) error {
	if c.dict.size == 0 {
		return nil
	}
	values := e.values
	e.levels, e.values = e.levels[:0], c.dict.values
	header := format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
		NumValues: c.dict.size, Encoding: format.Plain,
	})}
	err := e.write(dst, &header, c.encoding.codec)
	e.values = values
	if err != nil {
		return fmt.Errorf("write dictionary of column %s: %w", c.field.Name, err)
	}
	return nil
}

// addStats adds the page of c to the statistics of the chunk and to the page
// index.
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
