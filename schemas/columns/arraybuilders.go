package columns

import (
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// The builders below do what Arrow's do, with less work a row (BenchmarkArrayBuilders):
// they take at once the memory that the batch before needed, a column without nulls
// has no bitmap, and one of nulls alone is a number of rows until it is an array.

// minRows is how many rows a column has room for at first.
const minRows = 64

// block is memory of an allocator that grows; T must have no pointers.
type block[T arrow.FixedWidthType] struct {
	buffer *memory.Buffer // nil while it has no room
	values []T            // all that there is room for; undefined where nobody has written
}

func sizeOf[T arrow.FixedWidthType]() int {
	var one [1]T
	return len(arrow.GetBytes(one[:]))
}

// grow makes room for n values at least.
func (b *block[T]) grow(mem memory.Allocator, n int) {
	if b.buffer == nil {
		b.buffer = memory.NewResizableBuffer(mem)
	}
	b.buffer.Resize(n * sizeOf[T]())
	b.values = arrow.GetData[T](b.buffer.Bytes())
}

// take returns the first n values and leaves the block without room.
func (b *block[T]) take(n int) *memory.Buffer {
	out := b.buffer
	out.Resize(n * sizeOf[T]())
	b.buffer, b.values = nil, nil
	return out
}

func (b *block[T]) release() {
	if b.buffer != nil {
		b.buffer.Release()
	}
	b.buffer, b.values = nil, nil
}

// zeros are bytes that nobody writes to. All columns of nulls share them.
type zeros struct{ bytes []byte }

// minZeros is how many there are at least: Arrow casts also no bytes to a value of 16.
const minZeros = 64

func (z *zeros) buffer(n int) *memory.Buffer {
	if n > len(z.bytes) {
		z.bytes = make([]byte, max(n, 2*len(z.bytes), minZeros))
	}
	return memory.NewBufferBytes(z.bytes[:n])
}

// columnRows counts the rows of a column and knows which of them are null.
type columnRows struct {
	mem   memory.Allocator
	zeros *zeros
	rows  int
	nulls int
	last  int         // rows of the batch before
	bits  block[byte] // validity bitmap; without room while all rows are null, or none is
}

// room returns for how many rows a column takes memory that has room for n: a power
// of two, so that batches of about the same length take the same.
func (r *columnRows) room(n int) int {
	return 1 << bits.Len(uint(max(minRows, r.last, 2*n, r.rows+1)-1))
}

// appendValid counts a row that has a value.
func (r *columnRows) appendValid() {
	if r.nulls > 0 {
		r.setBit(true)
	}
	r.rows++
}

// appendNull counts a row without a value.
func (r *columnRows) appendNull() {
	if r.nulls < r.rows {
		r.setBit(false)
	}
	r.rows++
	r.nulls++
}

// setBit writes the next bit of the bitmap. Before the first that differs all were the
// same, and there was no bitmap.
func (r *columnRows) setBit(valid bool) {
	n := len(r.bits.values)
	if r.rows >= 8*n {
		r.bits.grow(r.mem, r.room(8*n)/8)
		clear(r.bits.values[n:])
	}
	if n == 0 && r.nulls == 0 {
		for i := range r.rows {
			bitutil.SetBit(r.bits.values, i)
		}
	}
	if valid {
		bitutil.SetBit(r.bits.values, r.rows)
	}
}

// empty reports whether no row has a value.
func (r *columnRows) empty() bool { return r.nulls == r.rows }

// newArray returns the rows as an array, with buffers for what is not the validity of
// rows, and starts the next batch.
func (r *columnRows) newArray(of arrow.DataType, buffers ...*memory.Buffer) arrow.Array {
	var validity *memory.Buffer
	switch {
	case r.nulls == 0:
	case r.empty():
		validity = r.zeros.buffer((r.rows + 7) / 8)
	default:
		validity = r.bits.take((r.rows + 7) / 8)
	}
	buffers = append([]*memory.Buffer{validity}, buffers...)
	data := array.NewData(of, r.rows, buffers, nil, r.nulls, 0)
	defer data.Release()
	for _, b := range buffers {
		if b != nil {
			b.Release() // data has it now
		}
	}
	r.last, r.rows, r.nulls = r.rows, 0, 0
	return array.MakeFromData(data)
}

// numberBuilder builds a column of numbers.
type numberBuilder[T int32 | int64 | arrow.Timestamp | decimal128.Num] struct {
	columnRows
	block[T]

	of arrow.DataType
}

func newNumberBuilder[T int32 | int64 | arrow.Timestamp | decimal128.Num](mem memory.Allocator, z *zeros, of arrow.DataType) *numberBuilder[T] {
	return &numberBuilder[T]{columnRows: columnRows{mem: mem, zeros: z}, of: of}
}

func (b *numberBuilder[T]) append(v T) {
	if b.rows >= len(b.values) {
		b.makeRoom()
	}
	b.values[b.rows] = v
	b.appendValid()
}

func (b *numberBuilder[T]) appendNull() {
	if !b.empty() {
		if b.rows >= len(b.values) {
			b.makeRoom()
		}
		var zero T
		b.values[b.rows] = zero
	}
	b.columnRows.appendNull()
}

func (b *numberBuilder[T]) makeRoom() {
	n := len(b.values)
	b.grow(b.mem, b.room(n))
	if n == 0 {
		clear(b.values[:b.rows]) // of rows that were null
	}
}

// newArray returns the rows and resets the builder.
func (b *numberBuilder[T]) newArray() arrow.Array {
	if b.empty() {
		b.block.release()
		return b.columnRows.newArray(b.of, b.zeros.buffer(b.rows*sizeOf[T]()))
	}
	return b.columnRows.newArray(b.of, b.take(b.rows))
}

func (b *numberBuilder[T]) release() {
	b.bits.release()
	b.block.release()
}

// boolBuilder builds a column of booleans.
type boolBuilder struct {
	columnRows
	block[byte]
}

func (b *boolBuilder) append(v bool) {
	if n := len(b.values); b.rows >= 8*n {
		b.grow(b.mem, b.room(8*n)/8)
		clear(b.values[n:])
	}
	if v {
		bitutil.SetBit(b.values, b.rows)
	}
	b.appendValid()
}

// newArray returns the rows and resets the builder.
func (b *boolBuilder) newArray() arrow.Array {
	n := (b.rows + 7) / 8
	if b.empty() {
		b.block.release()
		return b.columnRows.newArray(arrow.FixedWidthTypes.Boolean, b.zeros.buffer(n))
	}
	if missing := n - len(b.values); missing > 0 { // of nulls at the end
		b.grow(b.mem, n)
		clear(b.values[n-missing:])
	}
	return b.columnRows.newArray(arrow.FixedWidthTypes.Boolean, b.take(n))
}

func (b *boolBuilder) release() {
	b.bits.release()
	b.block.release()
}

// stringBuilder builds a column of strings.
type stringBuilder struct {
	columnRows

	ends     block[int32] // of each row in text, after a first 0
	text     block[byte]
	size     int // bytes in text
	lastSize int // of the batch before
}

func newStringBuilder(mem memory.Allocator, z *zeros) *stringBuilder {
	return &stringBuilder{columnRows: columnRows{mem: mem, zeros: z}}
}

func (b *stringBuilder) append(s string) {
	if b.size+len(s) > len(b.text.values) {
		b.makeRoom(len(s))
	}
	b.size += copy(b.text.values[b.size:], s)
	b.appendEnd()
	b.appendValid()
}

func (b *stringBuilder) appendBytes(raw []byte) {
	if b.size+len(raw) > len(b.text.values) {
		b.makeRoom(len(raw))
	}
	b.size += copy(b.text.values[b.size:], raw)
	b.appendEnd()
	b.appendValid()
}

// makeRoom makes room for n bytes more, and at first for as many as the batch before
// had and an eighth.
func (b *stringBuilder) makeRoom(n int) {
	b.text.grow(b.mem, max(minRows, b.lastSize+b.lastSize/8, 2*len(b.text.values), b.size+n))
}

// appendEnd appends where the next row ends. Rows before the first value are empty.
func (b *stringBuilder) appendEnd() {
	if n := len(b.ends.values); b.rows+1 >= n {
		b.ends.grow(b.mem, b.room(max(0, n-1))+1)
		if n == 0 {
			clear(b.ends.values[:b.rows+1])
		}
	}
	b.ends.values[b.rows+1] = int32(b.size)
}

func (b *stringBuilder) appendNull() {
	if !b.empty() {
		b.appendEnd()
	}
	b.columnRows.appendNull()
}

// newArray returns the rows and resets the builder.
func (b *stringBuilder) newArray() arrow.Array {
	size := b.size
	b.size, b.lastSize = 0, size
	ends, text := b.zeros.buffer((b.rows+1)*arrow.Int32SizeBytes), b.zeros.buffer(0)
	if !b.empty() {
		ends = b.ends.take(b.rows + 1)
	}
	if size > 0 {
		text = b.text.take(size)
	}
	b.ends.release()
	b.text.release()
	return b.columnRows.newArray(arrow.BinaryTypes.String, ends, text)
}

func (b *stringBuilder) release() {
	b.bits.release()
	b.ends.release()
	b.text.release()
}
