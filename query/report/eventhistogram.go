package report

import (
	"context"
	"fmt"
	"math"

	"github.com/go-json-experiment/json/jsontext"
)

// eventHistogram is the reports eventTracking/lifetime/histogram and
// eventTracking/churn/lifetime/histogram: how many clients sent an event how
// often in their whole lives. The first is about the clients that were active
// in a range, the second about those that were lost in it.
type eventHistogram struct {
	q          *base
	population population
	units      int64
	used       []int64 // clients that used the event, by event
	metrics    []lifetimeMetric
}

// lifetimeMetric is one of the four histograms. As published, an average is the
// client's occurrences ÷ the days, weeks or months in which it was active with
// any event, in hundredths.
type lifetimeMetric struct {
	name    string
	scale   scale
	value   func(clientCounts int64, life *daySet) int64
	bins    []bin          // as requested; nil for automatic bins
	ends    []int64        // possible ends of automatic bins
	numbers []distribution // clients that used the event, by event
}

// NewLifetimeHistogram compiles eventTracking/lifetime/histogram.
func NewLifetimeHistogram(b *Body, params Params) (*Question, error) {
	return newEventHistogram(b, params, false)
}

// NewChurnEventHistogram compiles eventTracking/churn/lifetime/histogram.
func NewChurnEventHistogram(b *Body, params Params) (*Question, error) {
	return newEventHistogram(b, params, true)
}

// newEventHistogram compiles both reports; lost selects lost clients.
func newEventHistogram(b *Body, params Params, lost bool) (*Question, error) {
	q, clients, err := newLifetimeBase(b, params, lost)
	if err != nil {
		return nil, err
	}
	r := &eventHistogram{population: clients}
	question := &Question{base: q, report: r}
	r.q = &question.base
	if r.q.events, err = r.q.props.readEvents(b.Events, true); err != nil {
		return nil, err
	}
	r.used = make([]int64, len(r.q.events))
	r.metrics = lifetimeMetrics(len(r.q.events))
	return question, readBounds(b, r.metrics)
}

// lifetimeMetrics returns the four histograms with a distribution for each
// event.
func lifetimeMetrics(events int) []lifetimeMetric {
	average := func(units func(*daySet) int64) func(int64, *daySet) int64 {
		return func(count int64, life *daySet) int64 { return rounded(count, 100, max(1, units(life))) }
	}
	all := []lifetimeMetric{
		{name: "eventCount", scale: dayScale(), value: func(count int64, _ *daySet) int64 { return count }},
		{name: "averageCountPerActiveDay", scale: averageScale(), value: average((*daySet).len)},
		{name: "averageCountPerActiveWeek", scale: averageScale(), value: average(func(s *daySet) int64 { return s.countSplits(ByWeek) })},
		{name: "averageCountPerActiveMonth", scale: averageScale(), value: average(func(s *daySet) int64 { return s.countSplits(ByMonth) })},
	}
	for i := range all {
		all[i].ends = all[i].scale.binEnds()
		for range events {
			all[i].numbers = append(all[i].numbers, distribution{})
		}
	}
	return all
}

// readBounds reads lowerBounds and binUpperBounds. A histogram has both or
// neither, as published.
func readBounds(b *Body, metrics []lifetimeMetric) error {
	lower, upper := members{}, members{}
	var err error
	if b.LowerBounds != nil && b.LowerBounds.Kind() != 'n' {
		if lower, err = objectOf("lowerBounds", b.LowerBounds); err != nil {
			return err
		}
	}
	if b.BinUpperBounds != nil && b.BinUpperBounds.Kind() != 'n' {
		if upper, err = objectOf("binUpperBounds", b.BinUpperBounds); err != nil {
			return err
		}
	}
	for i := range metrics {
		m := &metrics[i]
		switch {
		case lower.has(m.name) && !upper.has(m.name):
			return fieldErrorf("binUpperBounds."+m.name, "is missing: it comes with lowerBounds")
		case upper.has(m.name) && !lower.has(m.name):
			return fieldErrorf("lowerBounds."+m.name, "is missing: it comes with binUpperBounds")
		case lower.has(m.name):
			if m.bins, err = m.requestedBins(lower[m.name], upper[m.name]); err != nil {
				return err
			}
		}
		delete(lower, m.name)
		delete(upper, m.name)
	}
	return unknownBounds(lower, upper)
}

// unknownBounds refuses bounds of histograms that do not exist.
func unknownBounds(lower, upper members) error {
	for name := range lower {
		return fieldErrorf("lowerBounds."+name, "there are no such bounds")
	}
	for name := range upper {
		return fieldErrorf("binUpperBounds."+name, "there are no such bounds")
	}
	return nil
}

// maxBins bounds the bins that a request may ask for.
const maxBins = 1000

// requestedBins returns the bins between the given bounds: the next bin begins
// one unit after the end of the last, and "inf" makes an open bin.
func (m *lifetimeMetric) requestedBins(lower, upper jsontext.Value) ([]bin, error) {
	low, err := m.bound("lowerBounds."+m.name, lower)
	if err != nil {
		return nil, err
	}
	var all []jsontext.Value
	field := "binUpperBounds." + m.name
	if upper.Kind() != '[' || (members{"": upper}).read(field, "", &all, "") != nil || len(all) == 0 || len(all) > maxBins {
		return nil, fieldErrorf(field, "must be an array of 1 to %d bounds", maxBins)
	}
	var out []bin
	for i, raw := range all {
		at := fmt.Sprintf("%s.%d", field, i)
		if string(raw) == `"inf"` {
			if i != len(all)-1 {
				return nil, fieldErrorf(at, "only the last can be inf")
			}
			return append(out, m.scale.openBin(low)), nil
		}
		high, err := m.bound(at, raw)
		if err != nil {
			return nil, err
		}
		if high < low {
			return nil, fieldErrorf(at, "must be larger than the bound before it")
		}
		out = append(out, m.scale.bin(low, high))
		low = high + 1
	}
	return out, nil
}

// bound reads one bound: a whole number from 1 on for counts, hundredths for
// averages.
func (m *lifetimeMetric) bound(field string, raw jsontext.Value) (int64, error) {
	const largest = 1e15
	var n float64
	if raw.Kind() != '0' || (members{"": raw}).read(field, "", &n, "") != nil || n < 0 || n > largest {
		return 0, fieldErrorf(field, "must be a number from 0 to 1e15")
	}
	if m.scale.min == 0 {
		return int64(math.Round(n * 100)), nil
	}
	if n != math.Trunc(n) || n < 1 {
		return 0, fieldErrorf(field, "must be a whole number from 1 on")
	}
	return int64(n), nil
}

// aggregate adds the clients of one pass.
func (r *eventHistogram) aggregate(ctx context.Context, cs *clientStats) {
	for u := range eachUnit(ctx, cs) {
		if !r.population.has(cs, u) {
			continue
		}
		r.units++
		for n := range r.q.events {
			if count := cs.eventCounts.get(u, int32(n)); count > 0 {
				r.used[n]++
				r.count(n, count, &cs.activeDays[u])
			}
		}
	}
}

// count adds one client's occurrences of one event to the four histograms.
// Where bins were requested, numbers stand for the bins they are in, so that
// distributions stay small.
func (r *eventHistogram) count(event int, occurrences int64, life *daySet) {
	for i := range r.metrics {
		m := &r.metrics[i]
		number := m.value(occurrences, life)
		if m.bins == nil {
			m.numbers[event][roundUp(m.ends, number)]++
		} else if at := binOf(m.bins, number); at >= 0 {
			m.numbers[event][m.bins[at].low]++
		}
	}
}

// result has the summary, which counts the clients that used each event and
// those that never did, and the four histograms.
func (r *eventHistogram) result() Answer {
	list := func(value func(event int) int64) []Object {
		out := []Object{}
		for n := range r.q.events {
			out = append(out, r.q.events[n].encode(Member{"value", value(n)}))
		}
		return out
	}
	histograms := Object{}
	for i := range r.metrics {
		m := &r.metrics[i]
		bins := m.bins
		if bins == nil {
			bins = m.scale.automaticBins(sumOf(m.numbers))
		}
		rows, counts := Object{}, make([][]int64, len(m.numbers))
		for n := range m.numbers {
			if r.q.pace.stop(1 + len(m.numbers[n])) {
				break
			}
			counts[n] = histogram(bins, m.numbers[n])
		}
		for b := range bins {
			rows = append(rows, Member{bins[b].label, lazy(func() any { return list(func(n int) int64 { return counts[n][b] }) })})
		}
		histograms = append(histograms, Member{m.name, rows})
	}
	return Answer{Result: Object{
		{"summary", Object{
			{"usedAtLeastOnce", list(func(n int) int64 { return r.used[n] })},
			{"neverUsed", list(func(n int) int64 { return r.units - r.used[n] })},
		}},
		{"histograms", histograms},
	}}
}

// sumOf adds distributions: automatic bins are found from all events of a
// question together.
func sumOf(all []distribution) distribution {
	out := distribution{}
	for _, numbers := range all {
		for number, n := range numbers {
			out[number] += n
		}
	}
	return out
}
