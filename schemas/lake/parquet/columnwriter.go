package parquet

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
	"github.com/parquet-go/parquet-go/format"
)

// largeValueBytes is the size from which a dictionary-encoded value counts
// towards the size of a row group for each row that has it. Smaller ones are
// few and stand in the dictionary once.
const largeValueBytes = 4 << 10

// columnWriter gathers rows of one column of the bound batches into pages.
type columnWriter struct {
	bloom      bool     // row groups have a bloom filter; of plain strings only
	hashes     []uint64 // of the row group's values, if it has one
	bounds     bool     // pages have a smallest and a largest value
	field      arrow.Field
	encoding   columnEncoding
	arrays     []boundArray    // the column in each bound batch
	hasStrings bool            // rows may have long strings
	allNull    bool            // no row of the bound batches has a value: rows need no look
	plain      bool            // the page does without the dictionary: see nextPage
	page       pageBuffer      // the page being gathered
	dict       chunkDictionary // finished pages of the row group, if encoding has one
	chunk      columnChunk     // finished pages of the row group
}

// columnEncoding is how a column lies in a data file.
type columnEncoding struct {
	index      int  // position of the column
	width      int  // bytes of a value; 0 for strings, 1 for booleans, 16 for decimals
	dictionary bool // pages have codes of a dictionary
	encoding   encoding.Encoding
	codec      compress.Codec // nil if pages are not compressed
}

// newColumnEncoding returns the encoding of a column of a schema made by
// newSchema.
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
		f.codec = nil // deltas are packed to the bit: compression would find nothing
	}
	return f
}

// boundArray is one column of one batch, taken apart into slices, so that a row
// costs no call through Arrow's interfaces.
type boundArray struct {
	valid   []byte // validity bitmap; nil if every row has a value
	offset  int    // of the first row, in bits of valid
	allNull bool   // no row has a value

	int64s   []int64 // 64-bit integers and timestamps
	int32s   []int32 // 32-bit integers, dates, codes of a dictionary
	decimals []decimal128.Num
	bools    *array.Boolean
	data     []byte  // bytes of strings and binaries, or those of the dictionary's values
	offsets  []int32 // of the values in data, and one more for the end of the last
	codeMap  []int32 // code in the batch → code in the row group, or unmapped; nil without a dictionary
	group    int     // number of the row group that codeMap is valid for
}

// unmapped marks a code that no row of the row group has had yet.
const unmapped = -1

// isNull reports whether a row has no value.
func (s *boundArray) isNull(row uint32) bool {
	return s.allNull || (s.valid != nil && bitutil.BitIsNotSet(s.valid, s.offset+int(row)))
}

// value returns string number i of data.
func (s *boundArray) value(i int32) []byte { return s.data[s.offsets[i]:s.offsets[i+1]] }

// unbind drops the references to the bound batches.
func (c *columnWriter) unbind() {
	clear(c.arrays)
	c.arrays, c.hasStrings, c.allNull = c.arrays[:0], false, true
}

// bind adds a batch's column to arrays.
func (c *columnWriter) bind(col arrow.Array) error {
	if !arrow.TypeEqual(col.DataType(), c.field.Type) {
		return fmt.Errorf("type %s, want %s", col.DataType(), c.field.Type)
	}
	if !c.field.Nullable && col.NullN() > 0 {
		return fmt.Errorf("%d rows lack a value", col.NullN())
	}
	s := boundArray{offset: col.Data().Offset(), allNull: col.NullN() == col.Len()}
	if col.NullN() > 0 {
		s.valid = col.NullBitmapBytes()
	}
	if !s.allNull {
		c.allNull = false
		c.bindValues(&s, col)
	}
	c.arrays = append(c.arrays, s)
	return nil
}

// bindValues finds the memory of the values of col. It is not copied.
func (c *columnWriter) bindValues(s *boundArray, col arrow.Array) {
	switch a := col.(type) {
	case *array.Int64, *array.Timestamp:
		s.int64s = arrow.Int64Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[s.offset : s.offset+a.Len()]
	case *array.Int32, *array.Date32:
		s.int32s = arrow.Int32Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[s.offset : s.offset+a.Len()]
	case *array.Boolean:
		s.bools = a
	case *array.Decimal128:
		s.decimals = a.Values()
	case *array.String:
		s.data, s.offsets, c.hasStrings = stringBytes(a), a.ValueOffsets(), true
	case *array.Binary:
		s.data, s.offsets, c.hasStrings = stringBytes(a), a.ValueOffsets(), true
	case *array.Dictionary:
		codes, _ := a.Indices().(*array.Int32)
		values, _ := a.Dictionary().(*array.String) // bind has compared the types
		s.int32s, s.data, s.offsets = codes.Int32Values(), stringBytes(values), values.ValueOffsets()
		s.codeMap = make([]int32, values.Len())
		c.hasStrings = c.hasStrings || len(s.data) > largeValueBytes
	}
}

// stringBytes returns the bytes of a string or binary array, which its offsets
// count in; there may be none if all strings are empty.
func stringBytes(a arrow.Array) []byte {
	if buf := a.Data().Buffers()[2]; buf != nil {
		return buf.Bytes()
	}
	return nil
}

// size returns how many bytes a row's string adds to the row group.
func (c *columnWriter) size(r RowRef) int64 {
	s := &c.arrays[r.Batch]
	if s.isNull(r.Row) {
		return 0
	}
	if s.codeMap == nil {
		return int64(s.offsets[r.Row+1] - s.offsets[r.Row])
	}
	code := s.int32s[r.Row]
	if n := s.offsets[code+1] - s.offsets[code]; n >= largeValueBytes {
		return int64(n)
	}
	return 0
}

// append adds rows to the page. group is the number of the row group.
func (c *columnWriter) append(rows []RowRef, group int) {
	p := &c.page
	p.rows += len(rows)
	switch {
	case c.allNull:
		p.appendNulls(len(rows))
	case c.field.Type.ID() == arrow.DICTIONARY:
		c.appendDictionary(rows, group)
	case c.encoding.dictionary && c.encoding.width == 0 && !c.plain:
		c.appendStringCodes(rows)
	case c.field.Type.ID() == arrow.BOOL:
		c.appendBools(rows)
	case c.field.Type.ID() == arrow.DECIMAL128:
		c.appendDecimals(rows)
	case c.encoding.width == 0:
		c.appendStrings(rows)
	case c.encoding.width == 4:
		for _, r := range rows {
			c.appendIntegerCode(int64(c.arrays[r.Batch].int32s[r.Row]))
		}
	default:
		c.appendInt64s(rows)
	}
}

// appendInt64s appends 64-bit integers and timestamps.
func (c *columnWriter) appendInt64s(rows []RowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.arrays[r.Batch]
		if c.field.Nullable {
			if s.isNull(r.Row) {
				p.appendNulls(1)
				continue
			}
			p.levels = append(p.levels, 1)
		}
		if c.encoding.dictionary {
			c.appendIntegerCode(s.int64s[r.Row])
			continue
		}
		p.int64s = append(p.int64s, s.int64s[r.Row])
	}
}

// appendIntegerCode appends the code of an integer. Sorted rows have the same
// integer many times in a row, so most need no look into the dictionary.
func (c *columnWriter) appendIntegerCode(v int64) {
	d := &c.dict
	if d.size == 0 || v != d.lastInt64 {
		code, known := d.int64Codes[v]
		if !known {
			code = d.size
			d.int64Codes[v] = code
			d.size++
			d.values = appendLittleEndian(d.values, v, c.encoding.width)
		}
		d.lastInt64, d.lastCode = v, code
	}
	c.page.low, c.page.high = min(c.page.low, v), max(c.page.high, v)
	c.page.codes = append(c.page.codes, d.lastCode)
}

// appendDictionary appends the codes that the row group gives to the values of
// a dictionary array. Each value is hashed once per batch and row group,
// however many rows have it.
func (c *columnWriter) appendDictionary(rows []RowRef, group int) {
	p := &c.page
	for _, r := range rows {
		s := &c.arrays[r.Batch]
		if c.field.Nullable {
			if s.isNull(r.Row) {
				p.appendNulls(1)
				continue
			}
			p.levels = append(p.levels, 1)
		}
		if s.group != group {
			s.group = group
			for i := range s.codeMap {
				s.codeMap[i] = unmapped
			}
		}
		at := s.int32s[r.Row]
		code := s.codeMap[at]
		if code == unmapped {
			code = c.dict.codeOf(s.value(at))
			s.codeMap[at] = code
		}
		p.codes = append(p.codes, code)
	}
}

// appendStringCodes appends codes of strings that come without a dictionary.
// Sorted rows have the same string many times in a row.
func (c *columnWriter) appendStringCodes(rows []RowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.arrays[r.Batch]
		if s.isNull(r.Row) {
			p.appendNulls(1)
			continue
		}
		if c.field.Nullable {
			p.levels = append(p.levels, 1)
		}
		raw := s.value(int32(r.Row))
		if c.dict.size == 0 || string(raw) != c.dict.lastString {
			c.dict.lastCode = c.dict.codeOf(raw)
			c.dict.lastString = c.dict.keys[c.dict.lastCode]
		}
		p.codes = append(p.codes, c.dict.lastCode)
	}
}

// appendStrings appends strings and binaries in full.
func (c *columnWriter) appendStrings(rows []RowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.arrays[r.Batch]
		if s.isNull(r.Row) {
			p.appendNulls(1)
			continue
		}
		if c.field.Nullable {
			p.levels = append(p.levels, 1)
		}
		p.data = append(p.data, s.value(int32(r.Row))...)
		p.ends = append(p.ends, uint32(len(p.data)))
	}
}

// appendDecimals appends decimals in Parquet's form: big-endian, 16 bytes.
func (c *columnWriter) appendDecimals(rows []RowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.arrays[r.Batch]
		if s.isNull(r.Row) {
			p.appendNulls(1)
			continue
		}
		if c.field.Nullable {
			p.levels = append(p.levels, 1)
		}
		n := s.decimals[r.Row]
		p.data = binary.BigEndian.AppendUint64(p.data, uint64(n.HighBits()))
		p.data = binary.BigEndian.AppendUint64(p.data, n.LowBits())
	}
}

// appendBools appends booleans as bits, the first in the lowest bit of a byte.
func (c *columnWriter) appendBools(rows []RowRef) {
	p := &c.page
	for _, r := range rows {
		s := &c.arrays[r.Batch]
		if s.isNull(r.Row) {
			p.appendNulls(1)
			continue
		}
		p.levels = append(p.levels, 1)
		if p.bits%8 == 0 {
			p.data = append(p.data, 0)
		}
		if s.bools.Value(int(r.Row)) {
			p.data[p.bits/8] |= 1 << (p.bits % 8)
		}
		p.bits++
	}
}

// nextPage starts a page. Where the strings of a column have hardly repeated in
// this row group, further pages are written without the dictionary, which would
// only add to the size. Columns that come as dictionary arrays keep it: they
// were built that way because their values repeat, and rows are gathered by
// code.
func (c *columnWriter) nextPage() {
	c.page.reset()
	c.plain = c.encoding.dictionary && c.field.Type.ID() == arrow.STRING && int64(c.dict.size) > c.chunk.rows/2
}

// appendLittleEndian appends the lowest width bytes of v: 4 or 8.
func appendLittleEndian(dst []byte, v int64, width int) []byte {
	if width == 4 {
		return binary.LittleEndian.AppendUint32(dst, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(v))
}
