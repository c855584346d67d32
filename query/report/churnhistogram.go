package report

import (
	"context"
	"slices"
)

// churnHistogram is the reports churn/histogram/days, sessions and runtime: how
// many active days, sessions or minutes the lost clients of a range had in
// their whole lives.
type churnHistogram struct {
	population population
	metric     clientMetric
	ends       []int64
	numbers    distribution
}

// NewChurnHistogram returns the function that compiles churn/histogram/days,
// sessions or runtime.
func NewChurnHistogram(name string) func(b *Body, params Params) (*Question, error) {
	return func(b *Body, params Params) (*Question, error) {
		q, err := newBase(b, params)
		if err != nil {
			return nil, err
		}
		if err := q.refuseGroupBy(b); err != nil {
			return nil, err
		}
		r := &churnHistogram{numbers: distribution{}}
		if r.population, err = newPopulation(b, &q, true); err != nil {
			return nil, err
		}
		all := []clientMetric{
			{name: "days", scale: dayScale(), value: func(cs *clientStats, u int32) int64 { return cs.activeDays[u].len() }},
			{name: "sessions", scale: sessionScale(), value: func(cs *clientStats, u int32) int64 { return cs.units[u].sessions }},
			{name: "runtime", scale: runtimeScale(), value: func(cs *clientStats, u int32) int64 { return begunMinutes(cs, cs.units[u].runtimeMS) }},
		}
		r.metric = all[slices.IndexFunc(all, func(m clientMetric) bool { return m.name == name })]
		r.ends = r.metric.scale.binEnds()
		q.needs.activeDays, q.needs.clientSums = name == "days", name != "days"
		return &Question{base: q, report: r}, nil
	}
}

// aggregate adds the lost clients of one pass.
func (r *churnHistogram) aggregate(ctx context.Context, cs *clientStats) {
	for u := range eachUnit(ctx, cs) {
		if r.population.has(cs, u) {
			r.numbers[roundUp(r.ends, r.metric.value(cs, u))]++
		}
	}
}

// result is an object of bins.
func (r *churnHistogram) result() Answer {
	bins := r.metric.scale.automaticBins(r.numbers)
	return Answer{Result: encodeBins(bins, histogram(bins, r.numbers))}
}
