package dedupe

import "math/bits"

// bloom is a blocked Bloom filter: all bits of one fingerprint are in one cache
// line, so a lookup costs one cache miss. It can be shrunk to half its size at
// any time, at the price of more false positives; an ordinary library filter
// cannot, and what a file may take falls as further files are added.
type bloom struct {
	blocks []block // their number is a power of two
}

type block [8]uint64 // one cache line

const (
	bloomBitsPerKey = 10 // before any shrinking; false positives stay below 2 %
	bloomHashes     = 6  // bits set for each fingerprint
)

func newBloom(n int) bloom {
	blocks := max(n*bloomBitsPerKey/512, 1)
	return bloom{blocks: make([]block, 1<<bits.Len(uint(blocks-1)))}
}

func (b *bloom) bytes() int64 { return int64(len(b.blocks)) * 64 }

// add sets the bits of f: lo picks the block, each nine bits of hi pick one of
// its 512 bits. Both are uniform, so no further hashing is needed.
func (b *bloom) add(f fingerprint) {
	line := &b.blocks[f.lo&uint64(len(b.blocks)-1)]
	for h, i := f.hi, 0; i < bloomHashes; h, i = h>>9, i+1 {
		line[h>>6&7] |= 1 << (h & 63)
	}
}

// mayContain returns false only for fingerprints that were never added.
func (b *bloom) mayContain(f fingerprint) bool {
	line := &b.blocks[f.lo&uint64(len(b.blocks)-1)]
	for h, i := f.hi, 0; i < bloomHashes; h, i = h>>9, i+1 {
		if line[h>>6&7]&(1<<(h&63)) == 0 {
			return false
		}
	}
	return true
}

// shrink halves the filter, and returns false when it cannot be smaller. With
// one bit less of lo to pick a block, blocks i and i+half become one, which
// holds the bits of both.
func (b *bloom) shrink() bool {
	half := len(b.blocks) / 2
	if half == 0 {
		return false
	}
	small := make([]block, half)
	for i := range small {
		for j := range small[i] {
			small[i][j] = b.blocks[i][j] | b.blocks[i+half][j]
		}
	}
	b.blocks = small
	return true
}

// shrinkBlooms halves the largest filters until all together take at most
// limit bytes.
func shrinkBlooms(files []*fingerprintFile, limit int64) {
	for {
		var sum int64
		var largest *fingerprintFile
		for _, f := range files {
			sum += f.bloom.bytes()
			if largest == nil || f.bloom.bytes() > largest.bloom.bytes() {
				largest = f
			}
		}
		if sum <= limit || !largest.bloom.shrink() {
			return
		}
	}
}
