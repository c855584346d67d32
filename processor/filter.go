package processor

import "math/bits"

// filter says of most fingerprints that are not in a run that they are not: a
// Bloom filter whose bits for one fingerprint lie in one cache line. It can be
// folded to half its size at any time, at the price of more false alarms.
type filter struct {
	blocks []block // a power of two of them
}

type block [8]uint64 // one cache line

const (
	filterBits = 10 // wanted for each fingerprint: false alarms below 2 %
	filterTips = 6  // bits set for each fingerprint
)

func newFilter(n int) filter {
	blocks := max(n*filterBits/512, 1)
	return filter{blocks: make([]block, 1<<bits.Len(uint(blocks-1)))}
}

func (f *filter) bytes() int64 { return int64(len(f.blocks)) * 64 }

func (f *filter) add(p fingerprint) {
	b := &f.blocks[p.lo&uint64(len(f.blocks)-1)]
	for h, i := p.hi, 0; i < filterTips; h, i = h>>9, i+1 {
		b[h>>6&7] |= 1 << (h & 63)
	}
}

// maybe is false only of what was never added.
func (f *filter) maybe(p fingerprint) bool {
	b := &f.blocks[p.lo&uint64(len(f.blocks)-1)]
	for h, i := p.hi, 0; i < filterTips; h, i = h>>9, i+1 {
		if b[h>>6&7]&(1<<(h&63)) == 0 {
			return false
		}
	}
	return true
}

// fold halves the filter; false when it cannot be smaller.
func (f *filter) fold() bool {
	half := len(f.blocks) / 2
	if half == 0 {
		return false
	}
	small := make([]block, half)
	for i := range small {
		for j := range small[i] {
			small[i][j] = f.blocks[i][j] | f.blocks[i+half][j]
		}
	}
	f.blocks = small
	return true
}
