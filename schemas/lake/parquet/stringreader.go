package parquet

import (
	"fmt"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go/encoding"
)

// byteArrays returns the bytes of v, and where each value begins and the last
// one ends.
func byteArrays(v encoding.Values) ([]byte, []uint32) { return v.ByteArray() }

// maxReserve is how much memory a batch of strings reserves at most before its
// size is known.
const maxReserve = 16 << 20

// stringReader reads strings and binaries that the array holds in full.
type stringReader struct {
	*cursor
	as      arrow.DataType
	valid   validity
	offsets *memory.Buffer
	data    *memory.Buffer
	width   int // bytes of a value, about; 0 if unknown
}

func (r *stringReader) Begin(rows int) {
	r.valid.begin(rows)
	r.offsets = memory.NewResizableBuffer(r.valid.mem)
	r.offsets.Resize((rows + 1) * arrow.Int32SizeBytes)
	arrow.Int32Traits.CastFromBytes(r.offsets.Bytes())[0] = 0
	r.data = memory.NewResizableBuffer(r.valid.mem)
	r.data.Reserve(min(rows*r.width, maxReserve))
}

func (r *stringReader) Read(row int64, n int) error {
	offsets := arrow.Int32Traits.CastFromBytes(r.offsets.Bytes())
	return r.forEachPage(row, n, func(p pageRows) error {
		err := r.fill(offsets[r.valid.filled+1:r.valid.filled+1+p.rows], p)
		r.valid.add(p)
		return err
	})
}

// fill appends the values of p to data and where they end to ends.
func (r *stringReader) fill(ends []int32, p pageRows) error {
	if dict := r.page.Dictionary(); dict != nil {
		raw, offsets := byteArrays(dict.Page().Data())
		codes := r.cursor.data.Int32()[p.firstValue : p.firstValue+p.values]
		return r.append(ends, p, func(i int) []byte { return raw[offsets[codes[i]]:offsets[codes[i]+1]] })
	}
	raw, offsets := byteArrays(r.cursor.data)
	if p.levels == nil {
		return r.appendRun(ends, raw[offsets[p.firstValue]:offsets[p.firstValue+p.rows]], offsets[p.firstValue:p.firstValue+p.rows+1])
	}
	return r.append(ends, p, func(i int) []byte { return raw[offsets[p.firstValue+i]:offsets[p.firstValue+i+1]] })
}

// appendRun appends values that lie one after the other, in one copy.
func (r *stringReader) appendRun(ends []int32, raw []byte, offsets []uint32) error {
	end, err := r.grow(len(raw))
	if err != nil {
		return err
	}
	copy(r.data.Bytes()[end:], raw)
	shift := int32(end) - int32(offsets[0])
	for i := range ends {
		ends[i] = int32(offsets[i+1]) + shift
	}
	return nil
}

// append appends the values of p one by one. It measures them first, so that
// data grows once.
func (r *stringReader) append(ends []int32, p pageRows, value func(i int) []byte) error {
	size := 0
	for i := range p.values {
		size += len(value(i))
	}
	end, err := r.grow(size)
	if err != nil {
		return err
	}
	to, k := r.data.Bytes(), 0
	for i := range ends {
		if p.levels == nil || p.levels[i] != 0 {
			end += copy(to[end:], value(k))
			k++
		}
		ends[i] = int32(end)
	}
	return nil
}

// grow makes room for n more bytes and returns where they begin. The offsets of
// Arrow's strings have 32 bits, so a batch holds 2 GB of them.
func (r *stringReader) grow(n int) (end int, err error) {
	end = r.data.Len()
	if end+n > math.MaxInt32 {
		return 0, fmt.Errorf("a batch of %d rows has more than 2 GB of strings", r.valid.rows)
	}
	if end+n > r.data.Cap() {
		r.data.Reserve(max(end+n, 2*r.data.Cap()))
	}
	r.data.ResizeNoShrink(end + n)
	return end, nil
}

// Array returns the array, and remembers the mean size of a value to reserve
// for the next one.
func (r *stringReader) Array() arrow.Array {
	offsets, data := r.offsets, r.data
	if r.valid.filled > 0 {
		r.width = data.Len()/r.valid.filled + 1 // the next array will be about as long
	}
	r.offsets, r.data = nil, nil
	return newArray(r.as, &r.valid, offsets, data)
}

func (r *stringReader) Close() error {
	r.valid.release()
	if r.offsets != nil {
		r.offsets.Release()
		r.data.Release()
		r.offsets, r.data = nil, nil
	}
	return r.cursor.close()
}
