package report

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
	"weir/schemas/rollup"
)

// event is what is counted: an empty category is none, as the contract has it.
type event struct {
	category string
	name     string
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

// bucketTally is what all clients came to in one bucket.
type bucketTally struct{ users, sessions, runtimeMS int64 }

// events is what both basic reports gather: every event by bucket, and what is
// divided by.
type events struct {
	base
	population

	want    map[event]bool // nil is every event
	tallies map[event][]eventTally
	buckets []bucketTally
}

func (e *events) begin(days Range) {
	e.days = days
	e.population = newPopulation(&e.base)
	e.tallies, e.buckets = map[event][]eventTally{}, make([]bucketTally, len(days.Buckets))
}

// AddDay adds a row of a client's day in the range.
func (e *events) AddDay(row *rollup.ClientDay) {
	bucket, inside := e.days.bucket(Day(row.Day))
	if !inside {
		return
	}
	b := &e.buckets[bucket]
	if c, known := e.index[row.Client]; !known || !e.clients[c].activeIn(bucket) {
		b.users++
	}
	b.sessions += row.Sessions
	b.runtimeMS += row.RuntimeMS
	e.population.AddDay(row)
}

// AddEvent adds a row of an event's day in the range. Session starts and stops
// are sessions, not events.
func (e *events) AddEvent(row *rollup.EventDay) {
	bucket, inside := e.days.bucket(Day(row.Day))
	if !inside || row.Name == schemas.SessionStart || row.Name == schemas.SessionStop {
		return
	}
	key := event{category: row.Category, name: row.Name}
	if e.want != nil && !e.want[key] {
		return
	}
	t := e.tallies[key]
	if t == nil {
		t = make([]eventTally, len(e.buckets))
		e.tallies[key] = t
	}
	t[bucket].add(&eventTally{count: row.Count, valueSum: row.ValueSum, valueCount: row.ValueCount})
}

// per is n ÷ d of whole numbers.
func per(n, d int64) jsontext.Value { return ratio(big.NewInt(n), big.NewInt(d)) }

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

// EventTable is eventTracking/basic/dataTable.
type EventTable struct{ events }

// NewEventTable compiles eventTracking/basic/dataTable.
func NewEventTable(b *Body, today Day) (*EventTable, error) {
	days, err := b.dates(today, NoSplit)
	if err != nil {
		return nil, err
	}
	t := &EventTable{}
	t.begin(days)
	return t, b.only()
}

// Answer is the result: categories, none first, each with its events.
func (t *EventTable) Answer() []Object {
	keys := make([]event, 0, len(t.tallies))
	for key := range t.tallies {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.category, b.category), cmp.Compare(a.name, b.name))
	})
	out := []Object{}
	for len(keys) > 0 {
		n := 1
		for n < len(keys) && keys[n].category == keys[0].category {
			n++
		}
		out = append(out, t.category(keys[:n]))
		keys = keys[n:]
	}
	return out
}

// category is one category with its events.
func (t *EventTable) category(keys []event) Object {
	var sum eventTally
	data := Object{}
	for _, key := range keys {
		one := &t.tallies[key][0]
		sum.add(one)
		data = append(data, Member{key.name, Object{{"eventUsage", t.usage(one)}, {"eventCustomValues", t.values(one)}}})
	}
	return Object{
		{"category", categoryName(keys[0])},
		{"categoryUsageSummary", t.usage(&sum)},
		{"categoryCustomValuesSummary", t.values(&sum)},
		{"categoryEventsData", data},
	}
}

func categoryName(e event) any {
	if e.category == "" {
		return nil
	}
	return e.category
}

func (t *EventTable) usage(of *eventTally) Object {
	all := &t.buckets[0]
	return Object{
		{"cumulativeUsageCount", of.count},
		{"averageCountPerUser", per(of.count, all.users)},
		{"averageCountPerSession", per(of.count, all.sessions)},
		{"averageCountPerRuntimeHour", perHour(big.NewInt(of.count), all.runtimeMS)},
	}
}

// values is empty where no event had a value.
func (t *EventTable) values(of *eventTally) Object {
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

// maxTimelineEvents bounds the events of a timeline.
const maxTimelineEvents = 100

// EventTimeline is eventTracking/basic/timeline.
type EventTimeline struct {
	events

	asked   []event
	values  bool   // sums of values, not occurrences
	divisor string // "" is none
}

// NewEventTimeline compiles eventTracking/basic/timeline.
func NewEventTimeline(b *Body, today Day) (*EventTimeline, error) {
	if b.DateSplit == nil {
		return nil, wrong("dateSplit", "is missing: day, week or month")
	}
	split, err := b.split()
	if err != nil {
		return nil, err
	}
	days, err := b.dates(today, split)
	if err != nil {
		return nil, err
	}
	t := &EventTimeline{divisor: text(b.Divisor)}
	t.begin(days)
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
	if err := t.read(b.Events); err != nil {
		return nil, err
	}
	return t, b.only()
}

// read reads the events asked for.
func (t *EventTimeline) read(raw jsontext.Value) error {
	var all []jsontext.Value
	m := members{"events": raw}
	if raw == nil || !m.has("events") {
		return wrong("events", "is missing")
	}
	if raw.Kind() != '[' || m.read("", "events", &all, "") != nil || len(all) == 0 || len(all) > maxTimelineEvents {
		return wrong("events", "must be an array of 1 to %d events", maxTimelineEvents)
	}
	t.want = map[event]bool{}
	for i, raw := range all {
		e, err := oneEvent(fmt.Sprintf("events.%d", i), raw)
		if err != nil {
			return err
		}
		t.asked = append(t.asked, e)
		t.want[e] = true
	}
	return nil
}

// oneEvent reads {"category","name"}.
func oneEvent(field string, raw jsontext.Value) (e event, err error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return e, err
	}
	if m.has("combiArray") || m.has("combiLabel") {
		return e, wrong(field, "there are no combinations in this report")
	}
	if !m.has("name") {
		return e, wrong(field+".name", "is missing")
	}
	if err := m.read(field, "category", &e.category, "a string"); err != nil {
		return e, err
	}
	return e, m.read(field, "name", &e.name, "a string")
}

// Answer is the result: for each bucket the events in the order asked for.
func (t *EventTimeline) Answer() Object {
	var out Object
	for i := range t.days.Buckets {
		row := make([]Object, len(t.asked))
		for n, e := range t.asked {
			var of eventTally
			if all := t.tallies[e]; all != nil {
				of = all[i]
			}
			row[n] = Object{{"category", categoryName(e)}, {"name", e.name}, {"value", t.value(&of, &t.buckets[i])}}
		}
		out = append(out, Member{t.days.Buckets[i].Key.String(), row})
	}
	return out
}

func (t *EventTimeline) value(of *eventTally, in *bucketTally) jsontext.Value {
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
