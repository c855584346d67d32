package lake

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
)

// countingAllocator counts its calls.
type countingAllocator struct {
	memory.Allocator
	calls int
}

func (c *countingAllocator) Allocate(size int) []byte {
	c.calls++
	return c.Allocator.Allocate(size)
}

func TestBufferPool(t *testing.T) {
	from := &countingAllocator{Allocator: memory.DefaultAllocator}
	r, random := &bufferPool{Allocator: from}, rand.New(rand.NewPCG(1, 2))
	type piece struct {
		b    []byte
		mark byte
	}
	var held []piece
	check := func(p piece) {
		t.Helper()
		if slices.ContainsFunc(p.b, func(b byte) bool { return b != p.mark }) {
			t.Fatalf("%d bytes were allocated again while in use", len(p.b))
		}
	}
	for i := range 20_000 {
		if len(held) > 20 {
			at := random.IntN(len(held))
			check(held[at])
			r.Free(held[at].b)
			held = slices.Delete(held, at, at+1)
		}
		p := piece{b: r.Allocate(random.IntN(40_000)), mark: byte(i)}
		if i%3 == 0 {
			n := copy(p.b, "kept")
			kept := string(p.b[:n])
			if p.b = r.Reallocate(len(p.b)+random.IntN(40_000), p.b); string(p.b[:n]) != kept {
				t.Fatalf("%q became %q", kept, p.b[:n])
			}
		}
		for j := range p.b {
			p.b[j] = p.mark
		}
		held = append(held, p)
	}
	for _, p := range held {
		check(p)
	}
	if from.calls > 10_000 {
		t.Errorf("%d of 20,000 buffers came from the allocator below, want fewer", from.calls)
	}
}
