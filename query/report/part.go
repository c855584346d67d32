package report

import "errors"

// wholePart is the end of the hashes of clients.
const wholePart = 1 << 32

// part is the clients whose hash lies in an interval; to is exclusive.
type part struct{ from, to uint64 }

func (p part) whole() bool { return p.from == 0 && p.to == wholePart }

func (p part) has(client int64) bool {
	if p.whole() {
		return true
	}
	h := hash(uint64(client)) >> 32
	return p.from <= h && h < p.to
}

// inParts does something for all clients, for as many at once as it can without
// being full.
func inParts(do func(part) error) error {
	for width, from := uint64(wholePart), uint64(0); from < wholePart; {
		to := min(from+width, wholePart)
		err := do(part{from: from, to: to})
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
