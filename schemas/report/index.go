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
// least. No client has the id 0.
type index struct {
	keys  []int64
	units []int32
	used  int
}

func (x *index) find(client int64) (int32, bool) {
	if len(x.keys) == 0 {
		return 0, false
	}
	for i := hash(uint64(client)) & uint64(len(x.keys)-1); ; i = (i + 1) & uint64(len(x.keys)-1) {
		switch x.keys[i] {
		case client:
			return x.units[i], true
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

// pairs counts occurrences by unit and event: of each unit a list, ascending by
// the number of the event. Rows of a client's day come together, so its list
// is looked at several times while it is near.
type pairs struct {
	lists []pairList // by unit
	cells []pairCell // of all lists; a list that grew has left its place behind
}

type pairList struct{ from, used, room uint32 }

type pairCell struct {
	event int32
	count int64
}

func (p *pairs) add(unit, event int32, count int64) {
	for int(unit) >= len(p.lists) {
		p.lists = append(p.lists, pairList{})
	}
	l := &p.lists[unit]
	at, known := p.find(l, event)
	if known {
		p.cells[at].count += count
		return
	}
	if l.used == l.room {
		at += p.move(l)
	}
	cells := p.cells[at : l.from+l.used+1]
	copy(cells[1:], cells)
	cells[0] = pairCell{event: event, count: count}
	l.used++
}

// find is where an event is in a list, or would be.
func (p *pairs) find(l *pairList, event int32) (at uint32, known bool) {
	low, high := l.from, l.from+l.used
	for low < high {
		if mid := (low + high) / 2; p.cells[mid].event < event {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < l.from+l.used && p.cells[low].event == event
}

// move makes twice the room for a list, and returns how far it moved.
func (p *pairs) move(l *pairList) uint32 {
	const least = 4
	from, room := uint32(len(p.cells)), max(least, 2*l.room)
	p.cells = append(p.cells, p.cells[l.from:l.from+l.used]...)
	p.cells = append(p.cells, make([]pairCell, room-l.used)...)
	far := from - l.from
	l.from, l.room = from, room
	return far
}

// of are the events of a unit.
func (p *pairs) of(unit int32) []pairCell {
	if int(unit) >= len(p.lists) {
		return nil
	}
	l := &p.lists[unit]
	return p.cells[l.from : l.from+l.used]
}

// get is how often a unit sent an event.
func (p *pairs) get(unit, event int32) int64 {
	if int(unit) >= len(p.lists) {
		return 0
	}
	if at, known := p.find(&p.lists[unit], event); known {
		return p.cells[at].count
	}
	return 0
}

func (p *pairs) bytes() int64 { return int64(cap(p.cells))*16 + int64(cap(p.lists))*12 }

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
