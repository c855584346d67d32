package laketest

import "github.com/apache/arrow/go/v17/arrow/memory"

// OverwriteFreed is an allocator that overwrites what is given back to it: who reads a
// batch after it was released reads nonsense, as the next batch would be.
var OverwriteFreed memory.Allocator = overwriter{memory.DefaultAllocator}

type overwriter struct{ memory.Allocator }

const freedByte = 0xa5

// Free overwrites b.
func (overwriter) Free(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = freedByte
	}
}

// Reallocate always moves b, and spoils what it was.
func (s overwriter) Reallocate(size int, b []byte) []byte {
	out := s.Allocate(size)
	copy(out, b)
	s.Free(b)
	return out
}
