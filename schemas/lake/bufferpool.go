package lake

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// bufferPool gives out again what was given back, as it is: a scan of rollups
// makes and lets go of many batches of one size, and to clear fresh memory for
// each, and to collect it, costs as much as to fill it. Who reads a batch after
// it was released reads something else.
type bufferPool struct {
	memory.Allocator

	free [maxPooledBits + 1]sync.Pool // of *[]byte, by the logarithm of their size
}

// Sizes that are recycled.
const (
	minPooledBytes = 1 << 10
	maxPooledBits  = 24
)

// sizeClass is the logarithm of the power of two that size is rounded up to.
func sizeClass(size int) int { return bits.Len(uint(size - 1)) }

// Allocate returns memory that holds anything.
func (r *bufferPool) Allocate(size int) []byte {
	if size < minPooledBytes || size > 1<<maxPooledBits {
		return r.Allocator.Allocate(size)
	}
	if b, ok := r.free[sizeClass(size)].Get().(*[]byte); ok {
		return (*b)[:size]
	}
	return r.Allocator.Allocate(1 << sizeClass(size))[:size]
}

// Reallocate returns as much of b as there is room for.
func (r *bufferPool) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	out := r.Allocate(size)
	copy(out, b)
	r.Free(b)
	return out
}

// Free takes b back.
func (r *bufferPool) Free(b []byte) {
	size := cap(b)
	if size < minPooledBytes || size > 1<<maxPooledBits || size != 1<<sizeClass(size) {
		r.Allocator.Free(b)
		return
	}
	b = b[:size]
	r.free[sizeClass(size)].Put(&b)
}
