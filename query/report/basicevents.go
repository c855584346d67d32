package report

import (
	"cmp"
	"fmt"
	"math/big"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// basicEvents is what both basic reports gather: every event by bucket, and
// what is divided by.
type basicEvents struct {
	q       *base
	totals  map[event][]eventTotals
	buckets []bucketTotals
}

func newBasicEvents(b *Body, params Params, split Split) (base, error) {
	q, err := newBase(b, params)
	if err != nil {
		return q, err
	}
	if q.days, err = b.readRange(q.today, split); err != nil {
		return q, err
	}
	q.needs.rangeDays, q.needs.bucketTotals, q.needs.eventTotals = true, true, true
	return q, q.refuseGroupBy(b)
}

func (r *basicEvents) begin(q *base) {
	r.q, r.totals, r.buckets = q, map[event][]eventTotals{}, make([]bucketTotals, len(q.days.Buckets))
}

func (r *basicEvents) aggregate(cs *clientStats) {
	for i := range r.buckets {
		r.buckets[i].add(cs.bucketTotals[i].sessions, cs.bucketTotals[i].runtimeMS)
	}
	for u := range int32(len(cs.units)) {
		for i, word := range cs.activeBuckets(u) {
			for ; word != 0; word &= word - 1 {
				r.buckets[i*64+bits.TrailingZeros64(word)].users++
			}
		}
	}
	for i := range cs.eventIndex.all {
		r.addEvent(&cs.eventIndex.all[i])
	}
}

func (r *basicEvents) addEvent(e *indexedEvent) {
	if e.totals == nil || !r.q.isBasic(e.event) {
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

// isBasic says that an event is collected as basic.
func (q *base) isBasic(e event) bool {
	if q.params.Collected == nil {
		return true
	}
	basic, _ := q.params.Collected(e.category, e.name)
	return basic
}

// hourMS is an hour in milliseconds.
const hourMS = 3_600_000

// perHour is n by hours of runtime.
func perHour(n *big.Int, runtimeMS int64) jsontext.Value {
	return ratio(new(big.Int).Mul(n, big.NewInt(hourMS)), big.NewInt(runtimeMS))
}

// valuePer is a sum of values ÷ d.
func valuePer(sum decimal128.Num, d int64) jsontext.Value {
	return ratio(sum.BigInt(), new(big.Int).Mul(big.NewInt(d), big.NewInt(valueUnit)))
}

// valuePerHour is a sum of values by hours of runtime.
func valuePerHour(sum decimal128.Num, runtimeMS int64) jsontext.Value {
	return ratio(new(big.Int).Mul(sum.BigInt(), big.NewInt(hourMS)), new(big.Int).Mul(big.NewInt(runtimeMS), big.NewInt(valueUnit)))
}

// valueUnit is how many units of a sum are 1.
const valueUnit = 1_000_000_000

func exact(sum decimal128.Num) jsontext.Value {
	return schemas.AppendDecimal(nil, sum, schemas.ValueScale)
}

// eventTable is eventTracking/basic/dataTable.
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

// result is categories, none first, each with its events.
func (t *eventTable) result() Answer {
	keys := make([]event, 0, len(t.totals))
	for key := range t.totals {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, event.compare)
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

// compare orders by category, none first, and name.
func (e event) compare(o event) int {
	return cmp.Or(cmp.Compare(e.category, o.category), cmp.Compare(e.name, o.name))
}

// category is one category with its events.
func (t *eventTable) category(keys []event) Object {
	var sum eventTotals
	data := Object{}
	for _, key := range keys {
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

func (t *eventTable) usage(total *eventTotals) Object {
	all := &t.buckets[0]
	return Object{
		{"cumulativeUsageCount", total.count},
		{"averageCountPerUser", per(total.count, all.users)},
		{"averageCountPerSession", per(total.count, all.sessions)},
		{"averageCountPerRuntimeHour", perHour(big.NewInt(total.count), all.runtimeMS)},
	}
}

// values is empty where no event had a value.
func (t *eventTable) values(total *eventTotals) Object {
	if total.valueCount == 0 {
		return Object{}
	}
	all := &t.buckets[0]
	return Object{
		{"cumulativeValue", exact(total.valueSum)},
		{"averageValuePerUser", valuePer(total.valueSum, all.users)},
		{"averageValuePerSession", valuePer(total.valueSum, all.sessions)},
		{"averageValuePerRuntimeHour", valuePerHour(total.valueSum, all.runtimeMS)},
		{"averageValuePerUsageCount", valuePer(total.valueSum, total.count)},
	}
}

// eventTimeline is eventTracking/basic/timeline.
type eventTimeline struct {
	basicEvents

	events  []requestedEvent
	values  bool   // sums of values, not occurrences
	divisor string // "" is none
}

// NewEventTimeline compiles eventTracking/basic/timeline.
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
	t.q.needs.rangeDays = t.divisor != "" && t.divisor != "usageCounts"
	t.q.needs.daySums, t.q.needs.eventValues = t.divisor == "sessions" || t.divisor == "runtime", t.values
	if t.events, err = readEvents(b.Events, false); err != nil {
		return nil, err
	}
	for i := range t.events {
		if !t.q.isBasic(t.events[i].event) {
			return nil, fieldErrorf(fmt.Sprintf("events.%d", i), "is not collected as basic: see event-tracking")
		}
		t.q.totalEvents = append(t.q.totalEvents, t.events[i].event)
	}
	return question, nil
}

// result is for each bucket the events in the order asked for.
func (t *eventTimeline) result() Answer {
	var out Object
	for i := range t.q.days.Buckets {
		row := make([]Object, len(t.events))
		for n := range t.events {
			var total eventTotals
			if all := t.totals[t.events[n].event]; all != nil {
				total = all[i]
			}
			row[n] = t.events[n].encode(Member{"value", t.value(&total, &t.buckets[i])})
		}
		out = append(out, Member{t.q.days.Buckets[i].Key.String(), row})
	}
	return Answer{Result: out}
}

func (t *eventTimeline) value(total *eventTotals, in *bucketTotals) jsontext.Value {
	sum := total.valueSum
	if !t.values {
		sum = decimal128.FromI64(total.count).Mul(decimal128.FromI64(valueUnit))
	}
	switch t.divisor {
	case "users":
		return valuePer(sum, in.users)
	case "sessions":
		return valuePer(sum, in.sessions)
	case "runtime":
		return valuePerHour(sum, in.runtimeMS)
	case "usageCounts":
		return valuePer(sum, total.count)
	}
	return exact(sum)
}
