package report

import "errors"

// hashEnd is the end of the hashes of clients.
const hashEnd = 1 << 32

// hashRange is the clients whose hash lies in an interval; to is exclusive.
type hashRange struct{ from, to uint64 }

func (p hashRange) whole() bool { return p.from == 0 && p.to == hashEnd }

func (p hashRange) has(client int64) bool {
	if p.whole() {
		return true
	}
	h := hash(uint64(client)) >> 32
	return p.from <= h && h < p.to
}

// forEachRange does something for all clients, for as many at once as it can without
// being full.
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
