package laketest

import "github.com/apache/arrow/go/v17/arrow/memory"

// Spoil is an allocator that overwrites what is given back to it: who reads a
// batch after it was released reads nonsense, as the next batch would be.
var Spoil memory.Allocator = spoiler{memory.DefaultAllocator}

type spoiler struct{ memory.Allocator }

const spoiled = 0xa5

// Free overwrites b.
func (spoiler) Free(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = spoiled
	}
}

// Reallocate always moves b, and spoils what it was.
func (s spoiler) Reallocate(size int, b []byte) []byte {
	out := s.Allocate(size)
	copy(out, b)
	s.Free(b)
	return out
}
