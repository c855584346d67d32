package report

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas/rollup"
)

// eventIndex knows of each event that rows name what the question makes of it.
type eventIndex struct {
	q   *base
	of  map[event]int32 // index in all
	all []oneEvent
}

// oneEvent is what the question makes of an event.
type oneEvent struct {
	event
	numbers []int32      // under which it is counted for each client
	usages  []int32      // slots of filters that count it
	tallies []eventTally // by bucket; nil if they are not asked for
}

// eventTally is what one event came to in one bucket.
type eventTally struct {
	count      int64
	valueSum   decimal128.Num // in units of 10^-9
	valueCount int64
}

func (t *eventTally) add(o *eventTally) {
	t.count += o.count
	t.valueSum = t.valueSum.Add(o.valueSum)
	t.valueCount += o.valueCount
}

// addRow adds row i of a batch.
func (t *eventTally) addRow(b *rollup.EventBatch, i int) {
	t.count += b.Count[i]
	if b.ValueCount != nil {
		t.valueSum = t.valueSum.Add(b.ValueSum[i])
		t.valueCount += b.ValueCount[i]
	}
}

func newEventIndex(q *base) eventIndex { return eventIndex{q: q, of: map[event]int32{}} }

// index is the place of an event in all. Its strings may go away.
func (x *eventIndex) index(category, name string) int32 {
	if i, known := x.of[event{category, name}]; known {
		return i
	}
	e := oneEvent{event: event{strings.Clone(category), strings.Clone(name)}}
	i := int32(len(x.all))
	if tracked(name) {
		x.use(&e, i)
	}
	x.of[e.event] = i
	x.all = append(x.all, e)
	return i
}

// use says what e is counted for.
func (x *eventIndex) use(e *oneEvent, i int32) {
	if x.q.everyEvent {
		e.numbers = []int32{i}
	}
	for n := range x.q.askedFor {
		a := &x.q.askedFor[n]
		if a.has(e.event) && (a.of == nil || x.q.countsIn(e.event)) {
			e.numbers = append(e.numbers, int32(n))
		}
	}
	for slot := range x.q.props.usages {
		if x.q.props.usages[slot].has(e.event) {
			e.usages = append(e.usages, int32(slot))
		}
	}
	if x.q.needs.tallies && (x.q.tallied == nil || slices.Contains(x.q.tallied, e.event)) {
		e.tallies = make([]eventTally, len(x.q.days.Buckets))
	}
}

// countsIn says that an event is counted in combinations.
func (q *base) countsIn(e event) bool {
	if !q.advancedOnly || q.given.Collected == nil {
		return true
	}
	_, advanced := q.given.Collected(e.category, e.name)
	return advanced
}

// boundEvents finds the events of one batch.
type boundEvents struct {
	*eventIndex
	batch *rollup.EventBatch
	known []int32 // by name and category: index in all + 1, or 0
	width int
}

func (x *eventIndex) bind(b *rollup.EventBatch) boundEvents {
	width := len(b.Category.Values) + 1
	out := boundEvents{eventIndex: x, batch: b, width: width}
	const most = 1 << 20 // places; what has more is looked up row by row
	if size := len(b.Name.Values) * width; size <= most {
		out.known = make([]int32, size)
	}
	return out
}

// at is the place in all of the event of row i.
func (b *boundEvents) at(i int) int32 {
	name, category := b.batch.Name.Codes[i], b.batch.Category.Codes[i]
	if b.known == nil {
		return b.look(name, category)
	}
	known := &b.known[int(name)*b.width+int(category)+1]
	if *known == 0 {
		*known = b.look(name, category) + 1
	}
	return *known - 1
}

func (b *boundEvents) look(name, category int32) int32 {
	of := ""
	if category >= 0 {
		of = b.batch.Category.Values[category]
	}
	return b.index(of, b.batch.Name.Values[name])
}
