package report

// eventCounts counts occurrences by unit and event: of each unit a list, ascending by
// the number of the event. Rows of a client's day come together, so its list
// is looked at several times while it is near.
type eventCounts struct {
	lists []countList // by unit
	cells []countCell // of all lists; a list that grew has left its place behind
}

type countList struct{ from, used, room uint32 }

type countCell struct {
	event int32
	count int64
}

func (p *eventCounts) add(unit, event int32, count int64) {
	for int(unit) >= len(p.lists) {
		p.lists = append(p.lists, countList{})
	}
	l := &p.lists[unit]
	at, known := p.find(l, event)
	if known {
		p.cells[at].count += count
		return
	}
	if l.used == l.room {
		at += p.growList(l)
	}
	cells := p.cells[at : l.from+l.used+1]
	copy(cells[1:], cells)
	cells[0] = countCell{event: event, count: count}
	l.used++
}

// find is where an event is in a list, or would be.
func (p *eventCounts) find(l *countList, event int32) (at uint32, known bool) {
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

// growList makes twice the room for a list, and returns how far it moved.
func (p *eventCounts) growList(l *countList) uint32 {
	const minRoom = 4
	from, room := uint32(len(p.cells)), max(minRoom, 2*l.room)
	p.cells = append(p.cells, p.cells[l.from:l.from+l.used]...)
	p.cells = append(p.cells, make([]countCell, room-l.used)...)
	far := from - l.from
	l.from, l.room = from, room
	return far
}

// of are the events of a unit.
func (p *eventCounts) of(unit int32) []countCell {
	if int(unit) >= len(p.lists) {
		return nil
	}
	l := &p.lists[unit]
	return p.cells[l.from : l.from+l.used]
}

// get is how often a unit sent an event.
func (p *eventCounts) get(unit, event int32) int64 {
	if int(unit) >= len(p.lists) {
		return 0
	}
	if at, known := p.find(&p.lists[unit], event); known {
		return p.cells[at].count
	}
	return 0
}

func (p *eventCounts) bytes() int64 { return int64(cap(p.cells))*16 + int64(cap(p.lists))*12 }
