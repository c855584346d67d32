package report

import (
	"errors"
	"math/bits"
)

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

// hash spreads ids that follow one another.
func hash(v uint64) uint64 {
	v ^= v >> 32
	v *= 0x9e3779b97f4a7c15
	v ^= v >> 29
	v *= 0xbf58476d1ce4e5b9
	return v ^ v>>32
}

// index numbers clients: an open table of twice as many places as clients, at
// least. No client has the id 0. Most rows are of the client of the row before.
type index struct {
	keys  []int64
	units []int32
	used  int
	last  int64 // id and number of the client found last
	found int32
}

func (x *index) find(client int64) (int32, bool) {
	if client == x.last && client != 0 {
		return x.found, true
	}
	if len(x.keys) == 0 {
		return 0, false
	}
	for i := hash(uint64(client)) & uint64(len(x.keys)-1); ; i = (i + 1) & uint64(len(x.keys)-1) {
		switch x.keys[i] {
		case client:
			x.last, x.found = client, x.units[i]
			return x.found, true
		case 0:
			return 0, false
		}
	}
}

// put adds a client that is not there.
func (x *index) put(client int64, unit int32) {
	if 2*(x.used+1) > len(x.keys) {
		old := *x
		size := max(1024, 2*len(old.keys))
		*x = index{keys: make([]int64, size), units: make([]int32, size)}
		for i, key := range old.keys {
			if key != 0 {
				x.put(key, old.units[i])
			}
		}
	}
	i := hash(uint64(client)) & uint64(len(x.keys)-1)
	for x.keys[i] != 0 {
		i = (i + 1) & uint64(len(x.keys)-1)
	}
	x.keys[i], x.units[i] = client, unit
	x.used++
}

func (x *index) bytes() int64 { return int64(len(x.keys)) * 12 }

// pairs counts occurrences by unit and event: an open table as index is.
type pairs struct {
	keys   []uint64 // unit<<32 | event, plus 1: 0 is a free place
	counts []int64
	used   int
}

func pairKey(unit, event int32) uint64 { return uint64(unit)<<32 | uint64(event) + 1 }

func (p *pairs) add(unit, event int32, count int64) {
	if 2*(p.used+1) > len(p.keys) {
		p.grow()
	}
	i := p.place(pairKey(unit, event))
	if p.keys[i] == 0 {
		p.keys[i] = pairKey(unit, event)
		p.used++
	}
	p.counts[i] += count
}

// place is where a key is, or would be.
func (p *pairs) place(key uint64) uint64 {
	i := hash(key) & uint64(len(p.keys)-1)
	for p.keys[i] != 0 && p.keys[i] != key {
		i = (i + 1) & uint64(len(p.keys)-1)
	}
	return i
}

func (p *pairs) grow() {
	old := *p
	size := max(1024, 2*len(old.keys))
	*p = pairs{keys: make([]uint64, size), counts: make([]int64, size), used: old.used}
	for i, key := range old.keys {
		if key != 0 {
			at := p.place(key)
			p.keys[at], p.counts[at] = key, old.counts[i]
		}
	}
}

// get is how often a unit sent an event.
func (p *pairs) get(unit, event int32) int64 {
	if len(p.keys) == 0 {
		return 0
	}
	return p.counts[p.place(pairKey(unit, event))]
}

// all yields every pair that occurred.
func (p *pairs) all(yield func(pair) bool) {
	for i, key := range p.keys {
		if key != 0 && !yield(pair{unit: int32((key - 1) >> 32), event: int32(uint32(key - 1)), count: p.counts[i]}) {
			return
		}
	}
}

type pair struct {
	unit, event int32
	count       int64
}

func (p *pairs) bytes() int64 { return int64(len(p.keys)) * 16 }

// daySet is a set of days.
type daySet struct {
	first int // number of the first word
	words []uint64
}

// add adds a day and returns the bytes that it took.
func (s *daySet) add(d Day) int64 {
	word := int(d) >> 6
	if len(s.words) == 0 {
		s.first = word
	}
	grown := 0
	if before := s.first - word; before > 0 {
		s.words = append(make([]uint64, before), s.words...)
		s.first, grown = word, before
	}
	if after := word - s.first - len(s.words) + 1; after > 0 {
		s.words = append(s.words, make([]uint64, after)...)
		grown += after
	}
	s.words[word-s.first] |= 1 << (uint(d) & 63)
	return int64(grown) * 8
}

// len is how many days there are.
func (s *daySet) len() (n int64) {
	for _, w := range s.words {
		n += int64(bits.OnesCount64(w))
	}
	return n
}

// all yields the days, ascending.
func (s *daySet) all(yield func(Day) bool) {
	for i, w := range s.words {
		for ; w != 0; w &= w - 1 {
			if !yield(Day((s.first+i)<<6 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}

// split is how many days, weeks or months the days lie in.
func (s *daySet) split(split Split) (n int64) {
	next := Day(minDay)
	for d := range s.all {
		if d >= next {
			_, next = around(d, split)
			n++
		}
	}
	return n
}
