package columns

import "github.com/apache/arrow/go/v17/arrow/memory"

// countingAllocator counts what a builder has allocated since its last batch: the
// capacities that it grew to, not the rows that it was asked for, which may be
// half of that. Batches are freed by other goroutines, so a free counts nothing;
// it belongs to the builder's goroutine otherwise.
type countingAllocator struct {
	memory.Allocator

	held int64
}

// Allocate implements memory.Allocator.
func (a *countingAllocator) Allocate(size int) []byte {
	b := a.Allocator.Allocate(size)
	a.held += heapBytes(cap(b))
	return b
}

// Reallocate implements memory.Allocator.
func (a *countingAllocator) Reallocate(size int, b []byte) []byte {
	before := cap(b)
	out := a.Allocator.Reallocate(size, b)
	if cap(out) != before {
		a.held += heapBytes(cap(out)) - heapBytes(before)
	}
	return out
}

// heapBytes returns what the Go heap gives for n bytes, about: up to 32 KiB by classes
// of size, above by the page of 8 KiB.
func heapBytes(n int) int64 {
	const small, page = 32 << 10, 8 << 10
	if n <= small {
		return int64(n + n/8)
	}
	return int64(n+page-1) &^ (page - 1)
}
