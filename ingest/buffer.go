package ingest

import (
	"bytes"
	"io"
	"math/bits"
	"sync"

	"weir/schemas"
)

// Sizes of body buffers. A body starts with the smallest; what is larger than
// maxPooledBytes is left to the collector.
const (
	minBufferBits  = 14
	maxBufferBits  = 17
	firstBytes     = 1 << minBufferBits
	maxPooledBytes = 1 << maxBufferBits
)

// bufferPool keeps free buffers by size, so that a small body never holds what a
// large one needed.
type bufferPool struct {
	free [maxBufferBits + 1]sync.Pool // of *[]byte, by the logarithm of its capacity
}

// get returns an empty buffer of at least n bytes.
func (p *bufferPool) get(n int) []byte {
	if n > maxPooledBytes {
		return make([]byte, 0, n)
	}
	class := max(minBufferBits, bits.Len(uint(n-1)))
	if b, ok := p.free[class].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, 1<<class)
}

// put takes a buffer back that get has returned.
func (p *bufferPool) put(b []byte) {
	if n := cap(b); n > 0 && n <= maxPooledBytes {
		b = b[:0]
		p.free[bits.Len(uint(n-1))].Put(&b)
	}
}

// buffer is a body, as received or decompressed. It grows as bytes arrive, and
// its capacity is charged before it is allocated.
type buffer struct {
	bytes  []byte
	pool   *bufferPool
	charge *charge
}

// grow makes room for n bytes in all.
func (b *buffer) grow(n int) error {
	if n <= maxPooledBytes {
		n = 1 << max(minBufferBits, bits.Len(uint(n-1)))
	}
	if n <= cap(b.bytes) {
		return nil
	}
	if err := b.charge.add(int64(n)); err != nil {
		return err
	}
	old := b.bytes
	b.bytes = append(b.pool.get(n), old...)
	b.charge.sub(int64(cap(old)))
	b.pool.put(old)
	return nil
}

// free gives the memory back.
func (b *buffer) free() {
	b.charge.sub(int64(cap(b.bytes)))
	b.pool.put(b.bytes)
	b.bytes = nil
}

// readAll reads to the end, or one byte past the limit: a decompression bomb is
// cut off there and never expanded. length is that of the body, or −1. Before it
// grows beyond largeBody it calls large.
func (b *buffer) readAll(from io.Reader, length int64, large func() error) error {
	most := schemas.MaxBodyBytes + bytes.MinRead
	if length >= 0 {
		most = int(length) + bytes.MinRead
	}
	next := min(firstBytes, most)
	for {
		if len(b.bytes) == cap(b.bytes) {
			if next > largeBody {
				if err := large(); err != nil {
					return err
				}
			}
			if err := b.grow(next); err != nil {
				return err
			}
			next = min(2*cap(b.bytes), max(most, cap(b.bytes)+bytes.MinRead))
		}
		n, err := from.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if len(b.bytes) > schemas.MaxBodyBytes {
			return errBodyTooLarge()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
