package parquet

import (
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"
)

// ColumnReader makes Arrow arrays of rows of a column chunk. Its caller calls
// Begin, Read for one or more ranges, and Array, as often as wanted, and Close
// at the end. It belongs to one goroutine.
type ColumnReader interface {
	// Begin starts an array of that many rows.
	Begin(rows int)
	// Read appends rows [row, row+n) of the row group to it. Rows only go
	// forward.
	Read(row int64, n int) error
	// Array ends the array and returns it. The caller releases it.
	Array() arrow.Array
	// Close frees everything, an unfinished array too.
	Close() error
}

// newColumnReader returns the reader that makes arrays of type t. The type that
// the table wants decides, not the encoding of the file: files of other engines
// may hold the same values with or without a dictionary, and every reader takes
// both.
func newColumnReader(c *cursor, t arrow.DataType, mem memory.Allocator) ColumnReader {
	valid := validity{mem: mem}
	switch t.ID() {
	case arrow.INT64, arrow.TIMESTAMP:
		return newInt64Reader(c, t, valid)
	case arrow.INT32, arrow.DATE32:
		return newInt32Reader(c, t, valid)
	case arrow.BOOL:
		return &boolReader{cursor: c, mem: mem}
	case arrow.DECIMAL128:
		return newDecimalReader(c, t, valid)
	case arrow.DICTIONARY:
		return newDictionaryReader(c, t, valid)
	default:
		return &stringReader{cursor: c, as: t, valid: valid}
	}
}

// physicalType returns the Parquet type of a column.
func physicalType(t arrow.DataType) parquet.Kind {
	switch t.ID() {
	case arrow.INT64, arrow.TIMESTAMP:
		return parquet.Int64
	case arrow.INT32, arrow.DATE32:
		return parquet.Int32
	case arrow.BOOL:
		return parquet.Boolean
	case arrow.DECIMAL128:
		return parquet.FixedLenByteArray
	case arrow.DICTIONARY:
		return physicalType(valueType(t))
	default:
		return parquet.ByteArray
	}
}

// valueType returns the type of the values of a dictionary.
func valueType(t arrow.DataType) arrow.DataType {
	d, _ := t.(*arrow.DictionaryType)
	return d.ValueType
}

// validity builds the validity bitmap of an array. There is no bitmap until a
// row is null.
type validity struct {
	mem    memory.Allocator
	rows   int // that the array will have
	filled int // that it has
	nulls  int
	bits   *memory.Buffer // nil while every row has a value
}

func (v *validity) begin(rows int) { v.rows, v.filled, v.nulls = rows, 0, 0 }

// add appends the rows of p.
func (v *validity) add(p pageRows) {
	if p.levels != nil && v.bits == nil {
		v.bits = memory.NewResizableBuffer(v.mem)
		v.bits.Resize(int(bitutil.BytesForBits(int64(v.rows))))
		memory.Set(v.bits.Bytes(), 0xff)
	}
	for i, level := range p.levels {
		if level == 0 {
			bitutil.ClearBit(v.bits.Bytes(), v.filled+i)
		}
	}
	v.filled += p.rows
	v.nulls += p.rows - p.values
}

// take returns the bitmap of the array, nil if there is none. The caller owns
// it.
func (v *validity) take() *memory.Buffer {
	bits := v.bits
	v.bits = nil
	return bits
}

func (v *validity) release() {
	if v.bits != nil {
		v.bits.Release()
		v.bits = nil
	}
}

// newArray makes an array of the rows of v from buffers. It takes over the
// buffers.
func newArray(t arrow.DataType, v *validity, buffers ...*memory.Buffer) arrow.Array {
	all := append([]*memory.Buffer{v.take()}, buffers...)
	data := array.NewData(t, v.filled, all, nil, v.nulls, 0)
	defer data.Release()
	for _, b := range all {
		if b != nil {
			b.Release()
		}
	}
	return array.MakeFromData(data)
}

// fixedWidthReader reads values of a fixed width straight into the array's
// memory.
type fixedWidthReader[V any] struct {
	*cursor
	as     arrow.DataType
	valid  validity
	decode func(to []V, p pageRows) error // decodes the values of p into to, as many as to has room for
	cast   func([]byte) []V
	width  int // bytes of a value
	out    *memory.Buffer
}

func (r *fixedWidthReader[V]) Begin(rows int) {
	r.valid.begin(rows)
	r.out = memory.NewResizableBuffer(r.valid.mem)
	r.out.Resize(rows * r.width)
}

// Read decodes values into the front of the rows of each page, and then spreads
// them where rows are null.
func (r *fixedWidthReader[V]) Read(row int64, n int) error {
	dst := r.cast(r.out.Bytes())
	return r.forEachPage(row, n, func(p pageRows) error {
		rows := dst[r.valid.filled : r.valid.filled+p.rows]
		if p.values > 0 {
			if err := r.decode(rows[:p.values], p); err != nil {
				return err
			}
		}
		spreadNulls(rows, p)
		r.valid.add(p)
		return nil
	})
}

func (r *fixedWidthReader[V]) Array() arrow.Array {
	out := r.out
	r.out = nil
	return newArray(r.as, &r.valid, out)
}

func (r *fixedWidthReader[V]) Close() error {
	r.valid.release()
	if r.out != nil {
		r.out.Release()
		r.out = nil
	}
	return r.cursor.close()
}

// spreadNulls moves the values of p, which are the first of rows, to the rows
// that have a value, from the last to the first, so that none is overwritten.
// Null rows become 0.
func spreadNulls[V any](rows []V, p pageRows) {
	if p.levels == nil {
		return
	}
	var zero V
	from := p.values
	for i := p.rows - 1; i >= 0; i-- {
		if p.levels[i] == 0 {
			rows[i] = zero
			continue
		}
		from--
		rows[i] = rows[from]
	}
}

// integerDecoder decodes integers of pages, dictionary-encoded or not.
type integerDecoder[V int32 | int64] struct {
	*cursor
	values     func(encoding.Values) []V
	dict       parquet.Dictionary // the dictionary that was decoded last
	dictionary []V
}

// newInt64Decoder returns a decoder of the pages of c.
func newInt64Decoder(c *cursor) *integerDecoder[int64] {
	return &integerDecoder[int64]{cursor: c, values: func(v encoding.Values) []int64 { return v.Int64() }}
}

func newInt32Decoder(c *cursor) *integerDecoder[int32] {
	return &integerDecoder[int32]{cursor: c, values: func(v encoding.Values) []int32 { return v.Int32() }}
}

// decode puts the values of p into to.
func (f *integerDecoder[V]) decode(to []V, p pageRows) error {
	dict := f.page.Dictionary()
	if dict == nil {
		copy(to, f.values(f.data)[p.firstValue:])
		return nil
	}
	if dict != f.dict {
		f.dict, f.dictionary = dict, f.values(dict.Page().Data())
	}
	for i, code := range f.data.Int32()[p.firstValue : p.firstValue+len(to)] {
		to[i] = f.dictionary[code]
	}
	return nil
}

// newInt64Reader reads 64-bit integers and timestamps.
func newInt64Reader(c *cursor, as arrow.DataType, valid validity) ColumnReader {
	return &fixedWidthReader[int64]{cursor: c, as: as, valid: valid, decode: newInt64Decoder(c).decode, cast: arrow.Int64Traits.CastFromBytes, width: arrow.Int64SizeBytes}
}

// newInt32Reader reads 32-bit integers and dates.
func newInt32Reader(c *cursor, as arrow.DataType, valid validity) ColumnReader {
	return &fixedWidthReader[int32]{cursor: c, as: as, valid: valid, decode: newInt32Decoder(c).decode, cast: arrow.Int32Traits.CastFromBytes, width: arrow.Int32SizeBytes}
}

// newDecimalReader reads decimals of up to 16 bytes.
func newDecimalReader(c *cursor, as arrow.DataType, valid validity) ColumnReader {
	return &fixedWidthReader[decimal128.Num]{
		cursor: c, as: as, valid: valid, decode: c.decimals, cast: arrow.Decimal128Traits.CastFromBytes, width: arrow.Decimal128SizeBytes,
	}
}

// decimals puts decimals, which pages hold big-endian, into to.
func (c *cursor) decimals(to []decimal128.Num, p pageRows) error {
	data, dict := c.data, c.page.Dictionary()
	if dict != nil {
		data = dict.Page().Data()
	}
	raw, size := data.FixedLenByteArray()
	if size > arrow.Decimal128SizeBytes || size < 1 {
		return fmt.Errorf("decimals have %d bytes, want 1 to 16", size)
	}
	if dict == nil {
		for i := range to {
			at := (p.firstValue + i) * size
			to[i] = bigEndian(raw[at : at+size])
		}
		return nil
	}
	for i, code := range c.data.Int32()[p.firstValue : p.firstValue+len(to)] {
		to[i] = bigEndian(raw[int(code)*size : int(code+1)*size])
	}
	return nil
}

// bigEndian returns the decimal whose bytes, 16 at most, are raw: most
// significant first, in two's complement.
func bigEndian(raw []byte) decimal128.Num {
	if len(raw) == arrow.Decimal128SizeBytes {
		return decimal128.New(int64(binary.BigEndian.Uint64(raw)), binary.BigEndian.Uint64(raw[8:]))
	}
	var full [16]byte
	if raw[0] >= 0x80 {
		for i := range full {
			full[i] = 0xff
		}
	}
	copy(full[16-len(raw):], raw)
	return decimal128.New(int64(binary.BigEndian.Uint64(full[:8])), binary.BigEndian.Uint64(full[8:]))
}

// NewInt64sReader returns a reader of a column of which values has every row that is
// read, as FilterInt64s returns them.
func NewInt64sReader(as arrow.DataType, mem memory.Allocator, values Int64s) ColumnReader {
	return &decodedReader{as: as, valid: validity{mem: mem}, values: values}
}

// decodedReader copies rows of a column that FilterInt64s has decoded.
type decodedReader struct {
	as     arrow.DataType
	valid  validity
	values Int64s
	out    *memory.Buffer
}

func (r *decodedReader) Begin(rows int) {
	r.valid.begin(rows)
	r.out = memory.NewResizableBuffer(r.valid.mem)
	r.out.Resize(rows * arrow.Int64SizeBytes)
}

func (r *decodedReader) Read(row int64, n int) error {
	copy(arrow.Int64Traits.CastFromBytes(r.out.Bytes())[r.valid.filled:], r.values.Values[int(row)-r.values.From:][:n])
	r.valid.add(pageRows{rows: n, values: n})
	return nil
}

func (r *decodedReader) Array() arrow.Array {
	out := r.out
	r.out = nil
	return newArray(r.as, &r.valid, out)
}

func (r *decodedReader) Close() error {
	if r.out != nil {
		r.out.Release()
		r.out = nil
	}
	return nil
}

// nullReader stands for a column that the file was written without.
type nullReader struct {
	as   arrow.DataType
	mem  memory.Allocator
	rows int
}

func (r *nullReader) Begin(int)                 { r.rows = 0 }
func (r *nullReader) Read(_ int64, n int) error { r.rows += n; return nil }
func (r *nullReader) Array() arrow.Array        { return array.MakeArrayOfNull(r.mem, r.as, r.rows) }
func (*nullReader) Close() error                { return nil }
