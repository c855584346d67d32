package laketest

import "github.com/apache/arrow/go/v17/arrow/memory"

// OverwriteFreed is an allocator that overwrites memory when it is freed, so that a
// test which reads a batch after its release fails.
var OverwriteFreed memory.Allocator = overwriter{memory.DefaultAllocator}

type overwriter struct{ memory.Allocator }

const freedByte = 0xa5

// Free overwrites b with freedByte.
func (overwriter) Free(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = freedByte
	}
}

// Reallocate always moves b, and overwrites the old memory.
func (s overwriter) Reallocate(size int, b []byte) []byte {
	out := s.Allocate(size)
	copy(out, b)
	s.Free(b)
	return out
}
