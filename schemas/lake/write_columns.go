package lake

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/parquet-go/parquet-go"
)

// codedTextBytes is from where on a coded value counts as a text of its own in
// the size of a row group.
const codedTextBytes = 4 << 10

// columnEncoder turns rows of one column of the bound batches into Parquet
// values.
type columnEncoder struct {
	field arrow.Field
	index int
	to    *parquet.ColumnWriter
	from  []columnSource // one of each bound batch
	texts bool           // rows may have long strings
	void  bool           // no row has a value
}

// columnSource is one column of one batch, taken apart.
type columnSource struct {
	valid  []byte // bits of rows that have a value; nil when all have
	offset int    // of the first row in valid
	void   bool   // no row has a value

	ints    []int64 // longs, timestamps
	int32s  []int32 // ints, dates, codes
	nums    []decimal128.Num
	bools   *array.Boolean
	coded   []parquet.Value // values of codes
	data    []byte          // of strings and binaries
	offsets []int32         // in data, one more than rows
}

func (s *columnSource) null(row uint32) bool {
	return s.void || (s.valid != nil && bitutil.BitIsNotSet(s.valid, s.offset+int(row)))
}

// bind adds a batch's column to from.
func (c *columnEncoder) bind(col arrow.Array) error {
	if !arrow.TypeEqual(col.DataType(), c.field.Type) {
		return fmt.Errorf("type %s, want %s", col.DataType(), c.field.Type)
	}
	if !c.field.Nullable && col.NullN() > 0 {
		return fmt.Errorf("%d rows lack a value", col.NullN())
	}
	s := columnSource{offset: col.Data().Offset(), void: col.NullN() == col.Len()}
	if col.NullN() > 0 {
		s.valid = col.NullBitmapBytes()
	}
	if len(c.from) == 0 {
		c.texts, c.void = false, true
	}
	c.void = c.void && s.void
	if !s.void {
		c.bindValues(&s, col)
	}
	c.from = append(c.from, s)
	return nil
}

func (c *columnEncoder) bindValues(s *columnSource, col arrow.Array) {
	switch a := col.(type) {
	case *array.Int64, *array.Timestamp:
		s.ints = arrow.Int64Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[s.offset : s.offset+a.Len()]
	case *array.Int32, *array.Date32:
		s.int32s = arrow.Int32Traits.CastFromBytes(a.Data().Buffers()[1].Bytes())[s.offset : s.offset+a.Len()]
	case *array.Boolean:
		s.bools = a
	case *array.Decimal128:
		s.nums = a.Values()
	case *array.String:
		s.data, s.offsets, c.texts = stringBytes(a), a.ValueOffsets(), true
	case *array.Binary:
		s.data, s.offsets, c.texts = stringBytes(a), a.ValueOffsets(), true
	case *array.Dictionary:
		c.bindCodes(s, a)
	}
}

// bindCodes makes the Parquet value of each code once.
func (c *columnEncoder) bindCodes(s *columnSource, a *array.Dictionary) {
	codes, _ := a.Indices().(*array.Int32)
	values, _ := a.Dictionary().(*array.String) // bind has compared the types
	s.int32s = codes.Int32Values()
	s.coded = make([]parquet.Value, values.Len())
	data, offsets := stringBytes(values), values.ValueOffsets()
	for i := range s.coded {
		raw := data[offsets[i]:offsets[i+1]]
		s.coded[i] = parquet.ByteArrayValue(raw).Level(0, c.level(), c.index)
		c.texts = c.texts || len(raw) >= codedTextBytes
	}
}

// stringBytes is what the offsets of a string or binary array count in; there
// may be none when all strings are empty.
func stringBytes(a arrow.Array) []byte {
	if buf := a.Data().Buffers()[2]; buf != nil {
		return buf.Bytes()
	}
	return nil
}

// level is the definition level of a value that is there.
func (c *columnEncoder) level() int {
	if c.field.Nullable {
		return 1
	}
	return 0
}

// size is what a row's string adds to the row group.
func (c *columnEncoder) size(r rowRef) int64 {
	s := &c.from[r.batch]
	if s.null(r.row) {
		return 0
	}
	if s.offsets != nil {
		return int64(s.offsets[r.row+1] - s.offsets[r.row])
	}
	if n := len(s.coded[s.int32s[r.row]].ByteArray()); n >= codedTextBytes {
		return int64(n)
	}
	return 0
}

// fill makes the values of rows. numbers is memory for 16 bytes each.
func (c *columnEncoder) fill(values []parquet.Value, numbers []byte, rows []rowRef) {
	if c.void {
		clear(values)
		return
	}
	switch c.field.Type.ID() {
	case arrow.INT64, arrow.TIMESTAMP:
		c.fillLongs(values, rows)
	case arrow.INT32, arrow.DATE32:
		for i, r := range rows {
			values[i] = parquet.Int32Value(c.from[r.batch].int32s[r.row])
		}
	case arrow.BOOL:
		c.fillBools(values, rows)
	case arrow.DECIMAL128:
		c.fillDecimals(values, numbers, rows)
	case arrow.DICTIONARY:
		c.fillCoded(values, rows)
	default:
		c.fillTexts(values, rows)
	}
}

func (c *columnEncoder) fillLongs(values []parquet.Value, rows []rowRef) {
	if !c.field.Nullable {
		for i, r := range rows {
			values[i] = parquet.Int64Value(c.from[r.batch].ints[r.row])
		}
		return
	}
	for i, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			values[i] = parquet.Value{}
			continue
		}
		values[i] = parquet.Int64Value(s.ints[r.row]).Level(0, 1, c.index)
	}
}

func (c *columnEncoder) fillBools(values []parquet.Value, rows []rowRef) {
	for i, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			values[i] = parquet.Value{}
			continue
		}
		values[i] = parquet.BooleanValue(s.bools.Value(int(r.row))).Level(0, c.level(), c.index)
	}
}

func (c *columnEncoder) fillTexts(values []parquet.Value, rows []rowRef) {
	level := c.level()
	for i, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			values[i] = parquet.Value{}
			continue
		}
		v := parquet.ByteArrayValue(s.data[s.offsets[r.row]:s.offsets[r.row+1]])
		if level > 0 {
			v = v.Level(0, level, c.index)
		}
		values[i] = v
	}
}

func (c *columnEncoder) fillCoded(values []parquet.Value, rows []rowRef) {
	for i, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			values[i] = parquet.Value{}
			continue
		}
		values[i] = s.coded[s.int32s[r.row]]
	}
}

// fillDecimals writes numbers as Parquet keeps them: big-endian.
func (c *columnEncoder) fillDecimals(values []parquet.Value, numbers []byte, rows []rowRef) {
	for i, r := range rows {
		s := &c.from[r.batch]
		if s.null(r.row) {
			values[i] = parquet.Value{}
			continue
		}
		n, at := s.nums[r.row], numbers[16*i:16*i+16]
		binary.BigEndian.PutUint64(at, uint64(n.HighBits()))
		binary.BigEndian.PutUint64(at[8:], n.LowBits())
		values[i] = parquet.FixedLenByteArrayValue(at).Level(0, c.level(), c.index)
	}
}
