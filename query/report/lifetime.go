package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// whose says which clients a report about whole lives is about: those that
// were active in the range, or those that were lost in it.
type whose struct{ lost *losses }

func newWhose(b *Body, q *base, churned bool) (whose, error) {
	var err error
	if q.days, err = b.dates(q.today, NoSplit); err != nil {
		return whose{}, err
	}
	q.moment = latest
	if !churned {
		q.needs.inRange = true
		return whose{}, q.filters(b)
	}
	q.needs.lives = true
	lost, err := b.lost(q.today)
	if err != nil {
		return whose{}, err
	}
	return whose{lost: &lost}, q.filters(b)
}

// has says that a unit is one of them, and passes the filter.
func (w whose) has(f *facts, u int32) bool {
	if w.lost == nil {
		return f.activeInRange(u) && f.matches(u, maxDay)
	}
	day, lost := w.lost.day(f.seen(u))
	if _, inside := f.q.days.bucket(day); !lost || !inside {
		return false
	}
	return f.matches(u, maxDay)
}

// eventHistogram is how many clients sent an event how often: the lifetime
// histograms, of all clients and of lost ones.
type eventHistogram struct {
	q       *base
	whose   whose
	units   int64
	used    []int64 // by event
	metrics []lifeMetric
}

// lifeMetric is one of the four histograms.
type lifeMetric struct {
	name    string
	scale   scale
	of      func(count int64, life *daySet) int64
	bins    []bin     // as asked for; nil are automatic ones
	ends    []int64   // of automatic ones
	numbers []counted // by event
}

// NewLifetimeHistogram compiles eventTracking/lifetime/histogram.
func NewLifetimeHistogram(b *Body, given Params) (*Question, error) {
	return newEventHistogram(b, given, false)
}

// NewChurnEventHistogram compiles eventTracking/churn/lifetime/histogram.
func NewChurnEventHistogram(b *Body, given Params) (*Question, error) {
	return newEventHistogram(b, given, true)
}

func newEventHistogram(b *Body, given Params, churned bool) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	r := &eventHistogram{}
	question := &Question{base: q, report: r}
	r.q = &question.base
	if err := r.q.counting(b); err != nil {
		return nil, err
	}
	if r.whose, err = newWhose(b, r.q, churned); err != nil {
		return nil, err
	}
	if r.q.askedFor, err = newAsked(b.Events, true); err != nil {
		return nil, err
	}
	r.q.needs.lifeDays = true
	r.used = make([]int64, len(r.q.askedFor))
	r.metrics = lifeMetrics(len(r.q.askedFor))
	return question, bounds(b, r.metrics)
}

func lifeMetrics(events int) []lifeMetric {
	average := func(units func(*daySet) int64) func(int64, *daySet) int64 {
		return func(count int64, life *daySet) int64 { return rounded(count, 100, max(1, units(life))) }
	}
	all := []lifeMetric{
		{name: "eventCount", scale: dayScale(), of: func(count int64, _ *daySet) int64 { return count }},
		{name: "averageCountPerActiveDay", scale: averageScale(), of: average((*daySet).len)},
		{name: "averageCountPerActiveWeek", scale: averageScale(), of: average(func(s *daySet) int64 { return s.split(ByWeek) })},
		{name: "averageCountPerActiveMonth", scale: averageScale(), of: average(func(s *daySet) int64 { return s.split(ByMonth) })},
	}
	for i := range all {
		all[i].ends = all[i].scale.ends()
		for range events {
			all[i].numbers = append(all[i].numbers, counted{})
		}
	}
	return all
}

// bounds reads lowerBounds and binUpperBounds.
func bounds(b *Body, metrics []lifeMetric) error {
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
			return wrong("binUpperBounds."+m.name, "is missing: it comes with lowerBounds")
		case upper.has(m.name) && !lower.has(m.name):
			return wrong("lowerBounds."+m.name, "is missing: it comes with binUpperBounds")
		case lower.has(m.name):
			if m.bins, err = m.askedBins(lower[m.name], upper[m.name]); err != nil {
				return err
			}
		}
		delete(lower, m.name)
		delete(upper, m.name)
	}
	return unknownBounds(lower, upper)
}

func unknownBounds(lower, upper members) error {
	for name := range lower {
		return wrong("lowerBounds."+name, "there are no such bounds")
	}
	for name := range upper {
		return wrong("binUpperBounds."+name, "there are no such bounds")
	}
	return nil
}

// maxBins bounds what a request may ask for.
const maxBins = 1000

// askedBins are the bins between bounds.
func (m *lifeMetric) askedBins(lower, upper jsontext.Value) ([]bin, error) {
	low, err := m.edge("lowerBounds."+m.name, lower)
	if err != nil {
		return nil, err
	}
	var all []jsontext.Value
	field := "binUpperBounds." + m.name
	if upper.Kind() != '[' || (members{"": upper}).read(field, "", &all, "") != nil || len(all) == 0 || len(all) > maxBins {
		return nil, wrong(field, "must be an array of 1 to %d bounds", maxBins)
	}
	var out []bin
	for i, raw := range all {
		at := fmt.Sprintf("%s.%d", field, i)
		if string(raw) == `"inf"` {
			if i != len(all)-1 {
				return nil, wrong(at, "only the last can be inf")
			}
			return append(out, m.scale.openBin(low)), nil
		}
		high, err := m.edge(at, raw)
		if err != nil {
			return nil, err
		}
		if high < low {
			return nil, wrong(at, "must be larger than the bound before it")
		}
		out = append(out, m.scale.bin(low, high))
		low = high + 1
	}
	return out, nil
}

// edge reads a bound: a whole number from 1 on of counts, hundredths of
// averages.
func (m *lifeMetric) edge(field string, raw jsontext.Value) (int64, error) {
	const most = 1e15
	var n float64
	if raw.Kind() != '0' || (members{"": raw}).read(field, "", &n, "") != nil || n < 0 || n > most {
		return 0, wrong(field, "must be a number from 0 to 1e15")
	}
	if m.scale.least == 0 {
		return int64(math.Round(n * 100)), nil
	}
	if n != math.Trunc(n) || n < 1 {
		return 0, wrong(field, "must be a whole number from 1 on")
	}
	return int64(n), nil
}

func (r *eventHistogram) tally(f *facts) {
	for u := range int32(len(f.units)) {
		if !r.whose.has(f, u) {
			continue
		}
		r.units++
		for n := range r.q.askedFor {
			if count := f.counts.get(u, int32(n)); count > 0 {
				r.used[n]++
				r.count(n, count, &f.life[u])
			}
		}
	}
}

// count bins one client's occurrences of one event.
func (r *eventHistogram) count(event int, occurrences int64, life *daySet) {
	for i := range r.metrics {
		m := &r.metrics[i]
		number := m.of(occurrences, life)
		if m.bins == nil {
			m.numbers[event][roundUp(m.ends, number)]++
		} else if at := in(m.bins, number); at >= 0 {
			m.numbers[event][m.bins[at].low]++
		}
	}
}

func (r *eventHistogram) answer() Answer {
	list := func(of func(event int) int64) []Object {
		out := []Object{}
		for n := range r.q.askedFor {
			out = append(out, r.q.askedFor[n].named(Member{"value", of(n)}))
		}
		return out
	}
	histograms := Object{}
	for i := range r.metrics {
		m := &r.metrics[i]
		bins := m.bins
		if bins == nil {
			bins = m.scale.automatic(together(m.numbers))
		}
		rows, counts := Object{}, make([][]int64, len(m.numbers))
		for n := range m.numbers {
			counts[n] = histogram(bins, m.numbers[n])
		}
		for b := range bins {
			rows = append(rows, Member{bins[b].label, list(func(n int) int64 { return counts[n][b] })})
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

func together(all []counted) counted {
	out := counted{}
	for _, one := range all {
		for number, n := range one {
			out[number] += n
		}
	}
	return out
}

// churnHistogram is how long the lives of lost clients were: the churn
// histograms of days, sessions and runtime.
type churnHistogram struct {
	whose   whose
	metric  metric
	ends    []int64
	numbers counted
}

// NewChurnHistogram compiles churn/histogram/days, sessions or runtime.
func NewChurnHistogram(of string) func(b *Body, given Params) (*Question, error) {
	return func(b *Body, given Params) (*Question, error) {
		q, err := newBase(b, given)
		if err != nil {
			return nil, err
		}
		if err := q.byClient(b); err != nil {
			return nil, err
		}
		r := &churnHistogram{numbers: counted{}}
		if r.whose, err = newWhose(b, &q, true); err != nil {
			return nil, err
		}
		all := []metric{
			{name: "days", scale: dayScale(), of: func(f *facts, u int32) int64 { return f.life[u].len() }},
			{name: "sessions", scale: sessionScale(), of: func(f *facts, u int32) int64 { return f.units[u].sessions }},
			{name: "runtime", scale: runtimeScale(), of: func(f *facts, u int32) int64 { return begunMinutes(f.units[u].runtimeMS) }},
		}
		r.metric = all[slices.IndexFunc(all, func(m metric) bool { return m.name == of })]
		r.ends = r.metric.scale.ends()
		q.needs.lifeDays, q.needs.lifeSums = of == "days", of != "days"
		return &Question{base: q, report: r}, nil
	}
}

func (r *churnHistogram) tally(f *facts) {
	for u := range int32(len(f.units)) {
		if r.whose.has(f, u) {
			r.numbers[roundUp(r.ends, r.metric.of(f, u))]++
		}
	}
}

func (r *churnHistogram) answer() Answer {
	bins := r.metric.scale.automatic(r.numbers)
	return Answer{Result: binned(bins, histogram(bins, r.numbers))}
}
