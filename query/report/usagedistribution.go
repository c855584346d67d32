package report

import "context"

// usageDistribution is the report engagement/usageDistribution: how many
// clients were active on how many days, in how many sessions and for how long,
// each bin of one number split by the bins of the other two.
type usageDistribution struct {
	q       *base
	metrics []clientMetric
	ends    [][]int64 // possible ends of bins, by metric
	cells   map[usageCell]int64
}

// usageCell is the three numbers of a client, each rounded up to an end that a
// bin can have. Clients with equal cells are counted together, so that memory
// does not grow with clients.
type usageCell [3]int64

// NewUsageDistribution compiles engagement/usageDistribution. Values of
// properties are those at the end of the range.
func NewUsageDistribution(b *Body, params Params) (*Question, error) {
	q, err := newRangeBase(b, params, ByDay)
	if err != nil {
		return nil, err
	}
	if err := q.readFilters(b); err != nil {
		return nil, err
	}
	q.asOf, q.needs.rangeDays, q.needs.daySums = asOfRangeEnd, true, true
	u := &usageDistribution{cells: map[usageCell]int64{}, metrics: []clientMetric{
		{name: "activeDays", scale: dayScale(), value: (*clientStats).activeDaysInRange},
		{name: "sessions", scale: sessionScale(), value: func(cs *clientStats, u int32) int64 { return cs.units[u].rangeSessions }},
		{name: "runtime", scale: runtimeScale(), value: func(cs *clientStats, u int32) int64 { return begunMinutes(cs, cs.units[u].rangeRuntimeMS) }},
	}}
	for i := range u.metrics {
		u.ends = append(u.ends, u.metrics[i].scale.binEnds())
	}
	question := &Question{base: q, report: u}
	u.q = &question.base
	return question, nil
}

// aggregate adds the clients of one pass that were active in the range.
func (r *usageDistribution) aggregate(ctx context.Context, cs *clientStats) {
	for u := range eachUnit(ctx, cs) {
		if !cs.activeInRange(u) || !cs.matches(u, cs.q.days.To) {
			continue
		}
		var cell usageCell
		for i := range r.metrics {
			cell[i] = roundUp(r.ends[i], r.metrics[i].value(cs, u))
		}
		r.cells[cell]++
	}
}

// result lists for each number its bins, each with the bins of the other two.
func (r *usageDistribution) result() Answer {
	bins := make([][]bin, len(r.metrics))
	for i := range r.metrics {
		numbers := distribution{}
		for cell, n := range r.cells {
			numbers[cell[i]] += n
		}
		bins[i] = r.metrics[i].scale.automaticBins(numbers)
	}
	var out Object
	for i := range r.metrics {
		rows := Object{}
		for b := range bins[i] {
			rows = append(rows, Member{bins[i][b].label, r.row(bins, i, b)})
		}
		out = append(out, Member{r.metrics[i].name, rows})
	}
	return Answer{Result: out}
}

// row is bin b of metric i: its clients, and their distribution over the other
// two metrics.
func (r *usageDistribution) row(bins [][]bin, i, b int) Object {
	users, others := int64(0), make([]distribution, len(r.metrics))
	for cell, n := range r.cells {
		if r.q.pace.stop(1) {
			break
		}
		if binOf(bins[i], cell[i]) != b {
			continue
		}
		users += n
		for other := range r.metrics {
			if others[other] == nil {
				others[other] = distribution{}
			}
			others[other][cell[other]] += n
		}
	}
	row := Object{{"users", users}}
	for other := range r.metrics {
		if other != i {
			row = append(row, Member{r.metrics[other].name, encodeBins(bins[other], histogram(bins[other], others[other]))})
		}
	}
	return row
}
