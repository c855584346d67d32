package report

import "errors"

// hashEnd is the end of the hashes that clients are divided by, which have 32
// bits.
const hashEnd = 1 << 32

// hashRange is the clients whose hash is in an interval; to is excluded.
type hashRange struct{ from, to uint64 }

// whole reports whether the range has all clients.
func (r hashRange) whole() bool { return r.from == 0 && r.to == hashEnd }

// has reports whether a client is in the range.
func (r hashRange) has(client int64) bool {
	if r.whole() {
		return true
	}
	h := hash(uint64(client)) >> 32
	return r.from <= h && h < r.to
}

// forEachRange calls do for ranges that cover all clients, one after another.
// It begins with all of them and halves the width whenever do returns ErrFull.
func forEachRange(do func(hashRange) error) error {
	for width, from := uint64(hashEnd), uint64(0); from < hashEnd; {
		to := min(from+width, hashEnd)
		err := do(hashRange{from: from, to: to})
		switch {
		case errors.Is(err, ErrFull) && width > 1:
			width /= 2
		case err != nil:
			return err
		default:
			from = to
		}
	}
	return nil
}

// hash mixes the bits of an id, so that ids in sequence spread over a table and
// over hash ranges.
func hash(v uint64) uint64 {
	v ^= v >> 32
	v *= 0x9e3779b97f4a7c15
	v ^= v >> 29
	v *= 0xbf58476d1ce4e5b9
	return v ^ v>>32
}
