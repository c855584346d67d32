package report

// usageDistribution is how many clients were active on how many days, in how
// many sessions and for how long: engagement/usageDistribution.
type usageDistribution struct {
	metrics []metric
	ends    [][]int64 // by metric
	who     map[usageCell]int64
}

// usageCell is what a client came to, each metric rounded up to an end that a
// bin can have.
type usageCell [3]int64

// metric is one of the numbers that clients are binned by.
type metric struct {
	name  string
	scale scale
	of    func(f *facts, u int32) int64
}

// NewUsageDistribution compiles engagement/usageDistribution. Values are those
// at the end of the range.
func NewUsageDistribution(b *Body, given Params) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	if q.days, err = b.dates(q.today, ByDay); err != nil {
		return nil, err
	}
	if err := q.byClient(b); err != nil {
		return nil, err
	}
	if err := q.filters(b); err != nil {
		return nil, err
	}
	q.moment, q.needs.inRange, q.needs.sums = atEnd, true, true
	u := &usageDistribution{who: map[usageCell]int64{}, metrics: []metric{
		{name: "activeDays", scale: dayScale(), of: (*facts).rangeDays},
		{name: "sessions", scale: sessionScale(), of: func(f *facts, u int32) int64 { return f.units[u].rangeSessions }},
		{name: "runtime", scale: runtimeScale(), of: func(f *facts, u int32) int64 { return begunMinutes(f.units[u].rangeRuntimeMS) }},
	}}
	for i := range u.metrics {
		u.ends = append(u.ends, u.metrics[i].scale.ends())
	}
	return &Question{base: q, report: u}, nil
}

// begunMinutes counts a begun minute as a whole one, so that what is over 0:05
// is not in a bin up to 0:05.
func begunMinutes(ms int64) int64 { return (ms + minuteMS - 1) / minuteMS }

func (r *usageDistribution) tally(f *facts) {
	for u := range int32(len(f.units)) {
		if !f.activeInRange(u) || !f.matches(u, f.q.days.To) {
			continue
		}
		var cell usageCell
		for i := range r.metrics {
			cell[i] = roundUp(r.ends[i], r.metrics[i].of(f, u))
		}
		r.who[cell]++
	}
}

// answer is each metric's bins, and for each bin the bins of the other two.
func (r *usageDistribution) answer() Answer {
	bins := make([][]bin, len(r.metrics))
	for i := range r.metrics {
		numbers := counted{}
		for cell, n := range r.who {
			numbers[cell[i]] += n
		}
		bins[i] = r.metrics[i].scale.automatic(numbers)
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

// row is one bin of metric i.
func (r *usageDistribution) row(bins [][]bin, i, b int) Object {
	users, others := int64(0), make([]counted, len(r.metrics))
	for cell, n := range r.who {
		if in(bins[i], cell[i]) != b {
			continue
		}
		users += n
		for other := range r.metrics {
			if others[other] == nil {
				others[other] = counted{}
			}
			others[other][cell[other]] += n
		}
	}
	row := Object{{"users", users}}
	for other := range r.metrics {
		if other != i {
			row = append(row, Member{r.metrics[other].name, binned(bins[other], histogram(bins[other], others[other]))})
		}
	}
	return row
}
