package report

import (
	"fmt"
	"slices"
	"strings"

	"weir/schemas/rollup"
)

// eventIndex numbers the events that rows name, and keeps what the question
// computes from each.
type eventIndex struct {
	q       *base
	numbers map[event]int32  // index in all, by event
	shared  map[string]int32 // index in all of events that no answer names, by what they count for
	all     []indexedEvent
	listed  int   // events that the answer lists
	others  int32 // index in all of OtherEvents; −1 before there are any
}

// indexedEvent is an event and what the question computes from it.
type indexedEvent struct {
	event
	numbers []int32       // numbers under which it is counted for each client
	usages  []int32       // slots of the lifetimeEventUsage filters that count it
	totals  []eventTotals // by bucket; nil if they are not needed
	listed  bool          // the answer lists the event because it is there
	other   bool          // the totals are those of OtherEvents
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
func newEventIndex(q *base) eventIndex {
	return eventIndex{q: q, numbers: map[event]int32{}, shared: map[string]int32{}, others: -1}
}

// number returns the index of an event in all, and adds the event if it is new.
// It copies the names, which belong to a batch.
func (x *eventIndex) number(category, name string) int32 {
	if i, known := x.numbers[event{category, name}]; known {
		return i
	}
	e := indexedEvent{event: event{strings.Clone(category), strings.Clone(name)}}
	own := tracked(name) && x.plan(&e)
	i := x.place(&e, own)
	if own || len(x.numbers) < maxIndexed {
		x.numbers[event{strings.Clone(category), strings.Clone(name)}] = i
	}
	return i
}

// maxIndexed is how many events are remembered although no answer names them.
// Others are looked at again in each batch.
const maxIndexed = 1 << 16

// place returns the index of an event in all. Events that no answer names share
// a place with those that count for the same.
func (x *eventIndex) place(e *indexedEvent, own bool) int32 {
	i := int32(len(x.all))
	if !own {
		e.event = event{}
		key := fmt.Sprint(e.numbers, e.usages, e.totals != nil)
		if at, known := x.shared[key]; known {
			return at
		}
		x.shared[key] = i
	}
	if e.listed && x.q.everyEvent {
		e.numbers = append(e.numbers, i)
	}
	x.all = append(x.all, *e)
	return i
}

// otherEvents returns the place of the events that are counted together.
func (x *eventIndex) otherEvents() int32 {
	if x.others < 0 {
		e := indexedEvent{event: event{name: OtherEvents}}
		x.others = int32(len(x.all))
		if x.q.everyEvent {
			e.numbers = []int32{x.others}
		}
		if x.q.needs.eventTotals {
			e.totals = make([]eventTotals, len(x.q.days.Buckets))
		}
		x.numbers[e.event], x.all = x.others, append(x.all, e)
	}
	return x.others
}

// planListed decides what an event counts for in an answer that lists all
// events: for itself, or for OtherEvents if the answer does not name it.
func (x *eventIndex) planListed(e *indexedEvent) {
	if x.q.needs.eventTotals && !x.q.isBasic(e.event) {
		return
	}
	if _, named := x.q.named[e.event]; x.q.named == nil || named {
		x.listed++
		e.listed = true
		if x.q.needs.eventTotals {
			e.totals = make([]eventTotals, len(x.q.days.Buckets))
		}
		return
	}
	other := x.otherEvents()
	e.other, e.totals = true, x.all[other].totals
	if x.q.everyEvent {
		e.numbers = []int32{other}
	}
}

// plan decides once for each event what it is counted for, so that adding a row
// compares no names. It reports whether the answer names the event.
func (x *eventIndex) plan(e *indexedEvent) (own bool) {
	if x.q.listsEvents() {
		x.planListed(e)
		own = e.listed
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
	if x.q.needs.eventTotals && slices.Contains(x.q.totalEvents, e.event) {
		own, e.totals = true, make([]eventTotals, len(x.q.days.Buckets))
	}
	return own
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
