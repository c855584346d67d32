package report

import "weir/query/cost"

// Check refuses a question whose answer would be too large, by what is known of
// it before any row is read: the buckets of its range, the series that it names,
// the numbers of each, and their labels. Series that the data decides (split)
// and events that it does not name are counted when they are found.
func (q *Question) Check() error {
	sized, ok := q.report.(interface{ extent() cost.Answer })
	if !ok {
		return nil // a few bins, or a page
	}
	return q.params.Cost.Check(sized.extent())
}

// Bytes of an answer besides names and labels: of a number with its name, and of
// a series in a bucket.
const (
	numberBytes = 24
	seriesBytes = 32
)

// labelBytes returns the bytes of the labels that a level has in any case, and
// how many there are; without a level that is one series without a label.
func (l *level) labelBytes() (series, bytes int64) {
	if l == nil {
		return 1, 0
	}
	for i := range l.segments {
		series++
		bytes += int64(len(l.segments[i].label))
	}
	return series, bytes
}

// extent is the size of the answer by the segments of each level: a series of
// one level has all series of the next.
func (c *clientCounts) extent() cost.Answer {
	a := cost.Answer{Field: "dateSplit", Series: 1, Buckets: int64(len(c.q.days.Buckets)), Numbers: c.wanted()}
	if len(c.levels) > 0 {
		a.Series = 0
	}
	within, labels := int64(1), int64(0) // series of the level above
	for i := range c.levels {
		series, bytes := c.levels[i].labelBytes()
		labels = cost.Add(labels, cost.Mul(within, bytes))
		within = cost.Mul(within, series)
		a.Series = cost.Add(a.Series, within)
		a.Field = c.levels[i].field
	}
	a.Bytes = cost.Mul(a.Buckets, cost.Add(labels, cost.Mul(a.Series, seriesBytes+a.Numbers*numberBytes)))
	return a
}

// wanted returns how many statuses are requested.
func (c *clientCounts) wanted() (n int64) {
	for _, want := range c.want {
		if want {
			n++
		}
	}
	return n
}

// extent is the size of the answer: every period of each cohort.
func (r *cohorts) extent() cost.Answer {
	const numbers = 4
	a := cost.Answer{Field: "dateSplit", Series: int64(len(r.series.keys)), Buckets: int64(r.periods), Numbers: numbers}
	if r.series.level != nil {
		var labels int64
		a.Field = r.series.level.field
		a.Series, labels = r.series.level.labelBytes()
		a.Bytes = labels
	}
	a.Bytes = cost.Add(a.Bytes, cost.Mul(cost.Mul(a.Series, a.Buckets), seriesBytes+numbers*numberBytes))
	return a
}

// extent is the size of the answer: every requested event in each bucket.
func (t *eventTimeline) extent() cost.Answer {
	a := cost.Answer{Field: "events", Series: int64(len(t.events)), Buckets: int64(len(t.q.days.Buckets)), Numbers: 1}
	a.Bytes = cost.Mul(a.Buckets, titleBytes(t.events)+numberBytes*a.Series)
	return a
}

// titleBytes returns the bytes of the names of events in an answer.
func titleBytes(events []requestedEvent) (n int64) {
	for i := range events {
		n += seriesBytes + int64(len(events[i].category)+len(events[i].name)+len(events[i].label))
	}
	return n
}

// extent is the size of the answer: every requested event in each bin of four
// histograms.
func (r *eventHistogram) extent() cost.Answer {
	const automatic = 10 // no histogram has more automatic bins
	a := cost.Answer{Field: "events", Series: int64(len(r.q.events)), Numbers: 1}
	for i := range r.metrics {
		a.Buckets += max(automatic, int64(len(r.metrics[i].bins)))
	}
	a.Bytes = cost.Mul(a.Buckets, titleBytes(r.q.events)+numberBytes*a.Series)
	return a
}

// extent is the size of the answer: every requested event in each series.
func (r *fullReport) extent() cost.Answer {
	series, labels := r.series.level.labelBytes()
	a := cost.Answer{Field: "segments", Series: series, Buckets: int64(len(r.q.events)), Numbers: fullNumbers}
	if !r.segmented {
		a.Field = "events"
	}
	a.Bytes = cost.Add(labels, cost.Mul(series, titleBytes(r.q.events)+2*fullNumbers*numberBytes*a.Buckets)) // its names are long
	return a
}

// fullNumbers is how many numbers fullReport has of an event in a series.
const fullNumbers = 15

// extent is the size of a page, if the events are named.
func (t *lifetimeTable) extent() cost.Answer {
	a := cost.Answer{Field: "segments", Series: 1, Buckets: max(1, int64(len(t.requested))), Numbers: tableNumbers}
	if t.series == nil {
		a.Field = "events"
	} else {
		a.Series, a.Bytes = t.series.level.labelBytes()
	}
	rows := max(1, min(t.limit, int64(len(t.requested))))
	a.Bytes = cost.Add(titleBytes(t.q.events), cost.Mul(rows, a.Bytes+2*tableNumbers*numberBytes*a.Series)) // its names are long
	return a
}

// tableNumbers is how many numbers a lifetime table has of an event in a series.
const tableNumbers = 6
