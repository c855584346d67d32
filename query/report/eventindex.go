package report

import (
	"slices"
	"strings"

	"weir/schemas/rollup"
)

// eventIndex numbers the events that rows name, and keeps what the question
// computes from each.
type eventIndex struct {
	q       *base
	numbers map[event]int32 // index in all, by event
	all     []indexedEvent
}

// indexedEvent is an event and what the question computes from it.
type indexedEvent struct {
	event
	numbers []int32       // numbers under which it is counted for each client
	usages  []int32       // slots of the lifetimeEventUsage filters that count it
	totals  []eventTotals // by bucket; nil if they are not needed
}

// eventTotals is what all clients sent of one event in one bucket.
type eventTotals struct {
	count      int64
	valueSum   valueSum
	valueCount int64
}

// add adds other totals.
func (t *eventTotals) add(o *eventTotals) {
	t.count += o.count
	t.valueSum.add(&o.valueSum)
	t.valueCount += o.valueCount
}

// addRow adds row i of a batch.
func (t *eventTotals) addRow(b *rollup.EventBatch, i int) {
	t.count += b.Count[i]
	if b.ValueCount != nil {
		t.valueSum.addRow(b.ValueSum[i])
		t.valueCount += b.ValueCount[i]
	}
}

// newEventIndex returns an index without events.
func newEventIndex(q *base) eventIndex { return eventIndex{q: q, numbers: map[event]int32{}} }

// number returns the index of an event in all, and adds the event if it is new.
// It copies the names, which belong to a batch.
func (x *eventIndex) number(category, name string) int32 {
	if i, known := x.numbers[event{category, name}]; known {
		return i
	}
	e := indexedEvent{event: event{strings.Clone(category), strings.Clone(name)}}
	i := int32(len(x.all))
	if tracked(name) {
		x.plan(&e, i)
	}
	x.numbers[e.event] = i
	x.all = append(x.all, e)
	return i
}

// plan decides once for each event what it is counted for, so that adding a row
// compares no names.
func (x *eventIndex) plan(e *indexedEvent, i int32) {
	if x.q.everyEvent {
		e.numbers = []int32{i}
	}
	for n := range x.q.events {
		a := &x.q.events[n]
		if a.matches(e.event) && (a.combination == nil || x.q.isAdvanced(e.event)) {
			e.numbers = append(e.numbers, int32(n))
		}
	}
	for slot := range x.q.props.usages {
		if x.q.props.usages[slot].matches(e.event) {
			e.usages = append(e.usages, int32(slot))
		}
	}
	if x.q.needs.eventTotals && (x.q.totalEvents == nil || slices.Contains(x.q.totalEvents, e.event)) {
		e.totals = make([]eventTotals, len(x.q.days.Buckets))
	}
}

// batchEvents finds the events of the rows of one batch by the codes of their
// category and name.
type batchEvents struct {
	*eventIndex
	batch *rollup.EventBatch
	known []int32 // by name and category: index in all + 1, or 0
	width int
}

// bind returns the events of a batch. Where names and categories combine too
// often for a table, each row is looked up by name.
func (x *eventIndex) bind(b *rollup.EventBatch) batchEvents {
	width := len(b.Category.Values) + 1
	out := batchEvents{eventIndex: x, batch: b, width: width}
	const maxSize = 1 << 20 // entries of 4 bytes; 4 MiB
	if size := len(b.Name.Values) * width; size <= maxSize {
		out.known = make([]int32, size)
	}
	return out
}

// at returns the index in all of the event of row i.
func (b *batchEvents) at(i int) int32 {
	name, category := b.batch.Name.Codes[i], b.batch.Category.Codes[i]
	if b.known == nil {
		return b.find(name, category)
	}
	known := &b.known[int(name)*b.width+int(category)+1]
	if *known == 0 {
		*known = b.find(name, category) + 1
	}
	return *known - 1
}

// find looks up an event by its codes.
func (b *batchEvents) find(name, category int32) int32 {
	text := ""
	if category >= 0 {
		text = b.batch.Category.Values[category]
	}
	return b.number(text, b.batch.Name.Values[name])
}
