package report

import (
	"context"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/rollup"
)

// basicEvents is what both basic reports gather: the totals of every event by
// bucket, and the users, sessions and runtime that averages divide by. Clients
// are not looked at one by one: only the number of active ones counts.
type basicEvents struct {
	q       *base
	totals  map[event][]eventTotals
	buckets []bucketTotals
}

// newBasicEvents compiles what both basic reports have. The published document
// gives them neither filters nor segments nor groupBy.
func newBasicEvents(b *Body, params Params, split Split) (base, error) {
	q, err := newRangeBase(b, params, split)
	q.needs.rangeDays, q.needs.bucketTotals, q.needs.eventTotals = true, true, true
	return q, err
}

// begin makes room for the buckets of q, which the report keeps.
func (r *basicEvents) begin(q *base) {
	r.q, r.totals, r.buckets = q, map[event][]eventTotals{}, make([]bucketTotals, len(q.days.Buckets))
}

// restart forgets what was added.
func (r *basicEvents) restart() { r.begin(r.q) }

// aggregate adds the buckets and the event totals of one pass.
func (r *basicEvents) aggregate(ctx context.Context, cs *clientStats) {
	for i := range r.buckets {
		r.buckets[i].add(cs.bucketTotals[i].sessions, cs.bucketTotals[i].runtimeMS)
	}
	for u := range eachUnit(ctx, cs) {
		active := cs.activeBuckets(u)
		for bucket := range active.all {
			r.buckets[bucket].users++
		}
	}
	for i := range cs.eventIndex.all {
		r.addEvent(&cs.eventIndex.all[i])
	}
}

// addEvent adds the totals of an event that is collected as basic and occurred
// in the range.
func (r *basicEvents) addEvent(e *indexedEvent) {
	if e.totals == nil || e.other || !r.q.isBasic(e.event) {
		return
	}
	sent := false
	for b := range e.totals {
		sent = sent || e.totals[b].count > 0
	}
	if !sent {
		return
	}
	have := r.totals[e.event]
	if have == nil {
		have = make([]eventTotals, len(r.buckets))
		r.totals[e.event] = have
	}
	for b := range have {
		have[b].add(&e.totals[b])
	}
}

// eventTable is the report eventTracking/basic/dataTable: for each event its
// occurrences and the sum of its values, and their averages. The published
// document names the averages; users are the active clients of the range,
// sessions the session starts, and hours those of the runtime of the range.
type eventTable struct{ basicEvents }

// NewEventTable compiles eventTracking/basic/dataTable.
func NewEventTable(b *Body, params Params) (*Question, error) {
	q, err := newBasicEvents(b, params, NoSplit)
	if err != nil {
		return nil, err
	}
	q.needs.daySums, q.needs.eventValues = true, true
	t := &eventTable{}
	question := &Question{base: q, report: t}
	t.begin(&question.base)
	return question, nil
}

// result lists the categories by their bytes, events without a category first,
// each category with its events.
func (t *eventTable) result() Answer {
	keys := make([]event, 0, len(t.totals))
	for key := range t.totals {
		keys = append(keys, key)
	}
	sortAtPace(&t.q.pace, keys, event.compare)
	out := []Object{}
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && keys[n].category == keys[0].category {
			n++
		}
		out = append(out, t.category(keys[:n]))
		keys = keys[n:]
	}
	return Answer{Result: out}
}

// category encodes the events of one category and their sum.
func (t *eventTable) category(keys []event) Object {
	var sum eventTotals
	data := Object{}
	for _, key := range keys {
		if t.q.pace.stop(8) {
			break
		}
		total := &t.totals[key][0]
		sum.add(total)
		data = append(data, Member{key.name, Object{{"eventUsage", t.usage(total)}, {"eventCustomValues", t.values(total)}}})
	}
	return Object{
		{"category", categoryName(keys[0].category)},
		{"categoryUsageSummary", t.usage(&sum)},
		{"categoryCustomValuesSummary", t.values(&sum)},
		{"categoryEventsData", data},
	}
}

// usage encodes the occurrences of an event or a category, and their averages.
func (t *eventTable) usage(total *eventTotals) Object {
	all := &t.buckets[0]
	t.q.overflowed = t.q.overflowed || all.runtimeMS == rollup.OverflowedRuntime
	return Object{
		{"cumulativeUsageCount", total.count},
		{"averageCountPerUser", per(total.count, all.users)},
		{"averageCountPerSession", per(total.count, all.sessions)},
		{"averageCountPerRuntimeHour", perHour(big.NewInt(total.count), all.runtimeMS)},
	}
}

// values encodes the sum of values and its averages; an empty object where no
// event had a value.
func (t *eventTable) values(total *eventTotals) Object {
	if total.valueCount == 0 {
		return Object{}
	}
	all := &t.buckets[0]
	t.q.overflowed = t.q.overflowed || total.valueSum.overflowed()
	return Object{
		{"cumulativeValue", total.valueSum.exact()},
		{"averageValuePerUser", total.valueSum.per(all.users)},
		{"averageValuePerSession", total.valueSum.per(all.sessions)},
		{"averageValuePerRuntimeHour", total.valueSum.perHour(all.runtimeMS)},
		{"averageValuePerUsageCount", total.valueSum.per(total.count)},
	}
}

// eventTimeline is the report eventTracking/basic/timeline: for each bucket the
// occurrences or values of the requested events, divided by users, sessions,
// hours of runtime or occurrences.
type eventTimeline struct {
	basicEvents

	events  []requestedEvent
	values  bool   // dataView is customValues: sums of values instead of occurrences
	divisor string // users, sessions, runtime or usageCounts; "" is none
}

// NewEventTimeline compiles eventTracking/basic/timeline. It needs client days
// only for divisors that are not the event's own count. Events that are not
// collected as basic are left out, as in the table: the product's owner may
// change that at any time, and a saved question must stay good.
func NewEventTimeline(b *Body, params Params) (*Question, error) {
	split, err := b.readRequiredSplit()
	if err != nil {
		return nil, err
	}
	q, err := newBasicEvents(b, params, split)
	if err != nil {
		return nil, err
	}
	t := &eventTimeline{divisor: text(b.Divisor)}
	question := &Question{base: q, report: t}
	t.begin(&question.base)
	switch view := text(b.DataView); view {
	case "usageCounts", "usageCount":
	case "customValues":
		t.values = true
	default:
		return nil, fieldErrorf("dataView", "%q is not usageCounts or customValues", view)
	}
	if !slices.Contains([]string{"", "users", "sessions", "runtime", "usageCounts"}, t.divisor) {
		return nil, fieldErrorf("divisor", "%q is not users, sessions, runtime or usageCounts", t.divisor)
	}
	if t.divisor == "usageCounts" && !t.values {
		return nil, fieldErrorf("divisor", "usageCounts divides customValues only")
	}
	t.q.needs.rangeDays, t.q.needs.optOuts = t.divisor != "" && t.divisor != "usageCounts", t.divisor == "users"
	t.q.needs.daySums, t.q.needs.eventValues = t.divisor == "sessions" || t.divisor == "runtime", t.values
	if t.events, err = t.q.props.readEvents(b.Events, false); err != nil {
		return nil, err
	}
	t.events = slices.DeleteFunc(t.events, func(a requestedEvent) bool { return !t.q.isBasic(a.event) })
	t.q.totalEvents = []event{} // nil would be all
	for i := range t.events {
		t.q.totalEvents = append(t.q.totalEvents, t.events[i].event)
	}
	return question, nil
}

// result lists for each bucket the events in the order of the request.
func (t *eventTimeline) result() Answer {
	t.q.overflowed = t.overflows()
	var out Object
	for i := range t.q.days.Buckets {
		out = append(out, Member{t.q.days.Buckets[i].Key.String(), lazy(func() any { return t.row(i) })})
	}
	return Answer{Result: out}
}

// row encodes the events in one bucket.
func (t *eventTimeline) row(bucket int) []Object {
	row := make([]Object, len(t.events))
	for n := range t.events {
		total := t.total(n, bucket)
		row[n] = t.events[n].encode(Member{"value", t.value(&total, &t.buckets[bucket])})
	}
	return row
}

// total returns the totals of a requested event in a bucket.
func (t *eventTimeline) total(n, bucket int) eventTotals {
	if all := t.totals[t.events[n].event]; all != nil {
		return all[bucket]
	}
	return eventTotals{}
}

// overflows reports whether a sum of the answer overflowed. It is known before
// the answer is written, which makes its rows one by one.
func (t *eventTimeline) overflows() bool {
	for i := range t.buckets {
		if t.divisor == "runtime" && t.buckets[i].runtimeMS == rollup.OverflowedRuntime {
			return true
		}
		for n := range t.events {
			if t.q.pace.stop(1) {
				return false
			}
			if total := t.total(n, i); t.values && total.valueSum.overflowed() {
				return true
			}
		}
	}
	return false
}

// value is the number of one event in one bucket; null where there is nothing to
// divide by. Occurrences take the way of values, in the same unit.
func (t *eventTimeline) value(total *eventTotals, in *bucketTotals) jsontext.Value {
	sum := total.valueSum
	if !t.values {
		sum = sumOfCount(total.count)
	}
	switch t.divisor {
	case "users":
		return sum.per(in.users)
	case "sessions":
		return sum.per(in.sessions)
	case "runtime":
		return sum.perHour(in.runtimeMS)
	case "usageCounts":
		return sum.per(total.count)
	}
	return sum.exact()
}
