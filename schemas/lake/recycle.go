package lake

import (
	"math/bits"
	"sync"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// recycler gives out again what was given back, as it is: a scan of rollups
// makes and lets go of many batches of one size, and to clear fresh memory for
// each, and to collect it, costs as much as to fill it. Who reads a batch after
// it was released reads something else.
type recycler struct {
	memory.Allocator

	free [recycledBits + 1]sync.Pool // of *[]byte, by the logarithm of their size
}

// Sizes that are recycled.
const (
	leastRecycled = 1 << 10
	recycledBits  = 24
)

// classOf is the logarithm of the power of two that size is rounded up to.
func classOf(size int) int { return bits.Len(uint(size - 1)) }

// Allocate returns memory that holds anything.
func (r *recycler) Allocate(size int) []byte {
	if size < leastRecycled || size > 1<<recycledBits {
		return r.Allocator.Allocate(size)
	}
	if b, ok := r.free[classOf(size)].Get().(*[]byte); ok {
		return (*b)[:size]
	}
	return r.Allocator.Allocate(1 << classOf(size))[:size]
}

// Reallocate returns as much of b as there is room for.
func (r *recycler) Reallocate(size int, b []byte) []byte {
	if size <= cap(b) {
		return b[:size]
	}
	out := r.Allocate(size)
	copy(out, b)
	r.Free(b)
	return out
}

// Free takes b back.
func (r *recycler) Free(b []byte) {
	size := cap(b)
	if size < leastRecycled || size > 1<<recycledBits || size != 1<<classOf(size) {
		r.Allocator.Free(b)
		return
	}
	b = b[:size]
	r.free[classOf(size)].Put(&b)
}
