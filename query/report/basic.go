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
	tallies map[event][]eventTally
	buckets []bucketTally
}

func newBasicEvents(b *Body, given Params, split Split) (base, error) {
	q, err := newBase(b, given)
	if err != nil {
		return q, err
	}
	if q.days, err = b.dates(q.today, split); err != nil {
		return q, err
	}
	q.needs.inRange, q.needs.buckets, q.needs.tallies = true, true, true
	return q, q.byClient(b)
}

func (r *basicEvents) begin(q *base) {
	r.q, r.tallies, r.buckets = q, map[event][]eventTally{}, make([]bucketTally, len(q.days.Buckets))
}

func (r *basicEvents) tally(f *facts) {
	for i := range r.buckets {
		r.buckets[i].add(f.sums[i].sessions, f.sums[i].runtimeMS)
	}
	for u := range int32(len(f.units)) {
		for i, word := range f.activeBuckets(u) {
			for ; word != 0; word &= word - 1 {
				r.buckets[i*64+bits.TrailingZeros64(word)].users++
			}
		}
	}
	for i := range f.events.all {
		r.addEvent(&f.events.all[i])
	}
}

func (r *basicEvents) addEvent(e *oneEvent) {
	if e.tallies == nil || !r.q.basic(e.event) {
		return
	}
	some := false
	for b := range e.tallies {
		some = some || e.tallies[b].count > 0
	}
	if !some {
		return
	}
	have := r.tallies[e.event]
	if have == nil {
		have = make([]eventTally, len(r.buckets))
		r.tallies[e.event] = have
	}
	for b := range have {
		have[b].add(&e.tallies[b])
	}
}

// basic says that an event is collected as basic.
func (q *base) basic(e event) bool {
	if q.given.Collected == nil {
		return true
	}
	basic, _ := q.given.Collected(e.category, e.name)
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
func NewEventTable(b *Body, given Params) (*Question, error) {
	q, err := newBasicEvents(b, given, NoSplit)
	if err != nil {
		return nil, err
	}
	q.needs.sums, q.needs.values = true, true
	t := &eventTable{}
	question := &Question{base: q, report: t}
	t.begin(&question.base)
	return question, nil
}

// answer is categories, none first, each with its events.
func (t *eventTable) answer() Answer {
	keys := make([]event, 0, len(t.tallies))
	for key := range t.tallies {
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
	var sum eventTally
	data := Object{}
	for _, key := range keys {
		one := &t.tallies[key][0]
		sum.add(one)
		data = append(data, Member{key.name, Object{{"eventUsage", t.usage(one)}, {"eventCustomValues", t.values(one)}}})
	}
	return Object{
		{"category", categoryName(keys[0].category)},
		{"categoryUsageSummary", t.usage(&sum)},
		{"categoryCustomValuesSummary", t.values(&sum)},
		{"categoryEventsData", data},
	}
}

func (t *eventTable) usage(of *eventTally) Object {
	all := &t.buckets[0]
	return Object{
		{"cumulativeUsageCount", of.count},
		{"averageCountPerUser", per(of.count, all.users)},
		{"averageCountPerSession", per(of.count, all.sessions)},
		{"averageCountPerRuntimeHour", perHour(big.NewInt(of.count), all.runtimeMS)},
	}
}

// values is empty where no event had a value.
func (t *eventTable) values(of *eventTally) Object {
	if of.valueCount == 0 {
		return Object{}
	}
	all := &t.buckets[0]
	return Object{
		{"cumulativeValue", exact(of.valueSum)},
		{"averageValuePerUser", valuePer(of.valueSum, all.users)},
		{"averageValuePerSession", valuePer(of.valueSum, all.sessions)},
		{"averageValuePerRuntimeHour", valuePerHour(of.valueSum, all.runtimeMS)},
		{"averageValuePerUsageCount", valuePer(of.valueSum, of.count)},
	}
}

// eventTimeline is eventTracking/basic/timeline.
type eventTimeline struct {
	basicEvents

	asked   []asked
	values  bool   // sums of values, not occurrences
	divisor string // "" is none
}

// NewEventTimeline compiles eventTracking/basic/timeline.
func NewEventTimeline(b *Body, given Params) (*Question, error) {
	split, err := b.needSplit()
	if err != nil {
		return nil, err
	}
	q, err := newBasicEvents(b, given, split)
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
		return nil, wrong("dataView", "%q is not usageCounts or customValues", view)
	}
	if !slices.Contains([]string{"", "users", "sessions", "runtime", "usageCounts"}, t.divisor) {
		return nil, wrong("divisor", "%q is not users, sessions, runtime or usageCounts", t.divisor)
	}
	if t.divisor == "usageCounts" && !t.values {
		return nil, wrong("divisor", "usageCounts divides customValues only")
	}
	t.q.needs.inRange = t.divisor != "" && t.divisor != "usageCounts"
	t.q.needs.sums, t.q.needs.values = t.divisor == "sessions" || t.divisor == "runtime", t.values
	if t.asked, err = newAsked(b.Events, false); err != nil {
		return nil, err
	}
	for i := range t.asked {
		if !t.q.basic(t.asked[i].event) {
			return nil, wrong(fmt.Sprintf("events.%d", i), "is not collected as basic: see event-tracking")
		}
		t.q.tallied = append(t.q.tallied, t.asked[i].event)
	}
	return question, nil
}

// answer is for each bucket the events in the order asked for.
func (t *eventTimeline) answer() Answer {
	var out Object
	for i := range t.q.days.Buckets {
		row := make([]Object, len(t.asked))
		for n := range t.asked {
			var of eventTally
			if all := t.tallies[t.asked[n].event]; all != nil {
				of = all[i]
			}
			row[n] = t.asked[n].named(Member{"value", t.value(&of, &t.buckets[i])})
		}
		out = append(out, Member{t.q.days.Buckets[i].Key.String(), row})
	}
	return Answer{Result: out}
}

func (t *eventTimeline) value(of *eventTally, in *bucketTally) jsontext.Value {
	sum := of.valueSum
	if !t.values {
		sum = decimal128.FromI64(of.count).Mul(decimal128.FromI64(valueUnit))
	}
	switch t.divisor {
	case "users":
		return valuePer(sum, in.users)
	case "sessions":
		return valuePer(sum, in.sessions)
	case "runtime":
		return valuePerHour(sum, in.runtimeMS)
	case "usageCounts":
		return valuePer(sum, of.count)
	}
	return exact(sum)
}
