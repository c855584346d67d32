package report

import (
	"context"
	"slices"
)

// fullReport is the report eventTracking/advanced/fullReport: how often some
// events were used in a range, by how many clients, and how often by each, in
// total or by segment.
type fullReport struct {
	q         *base
	series    *series
	segmented bool
	bySeries  []fullSeries // by number of the series
	scale     scale
	ends      []int64
}

// fullSeries is the numbers of one series.
type fullSeries struct {
	sessions int64
	events   []fullCell
}

// fullCell is the numbers of one event in one series.
type fullCell struct {
	count, users, sessions int64        // sessions in the range of the clients that used the event
	often                  distribution // clients that used the event, by occurrences
}

// NewFullReport compiles eventTracking/advanced/fullReport. Values of
// properties are those at the end of the range. Events that are not collected as
// advanced are left out, by themselves and in combinations.
func NewFullReport(b *Body, params Params) (*Question, error) {
	q, err := newRangeBase(b, params, NoSplit)
	if err != nil {
		return nil, err
	}
	if err := q.readFilters(b); err != nil {
		return nil, err
	}
	level, err := newSegments(b, &q.props)
	if err != nil {
		return nil, err
	}
	if q.events, err = q.props.readEvents(b.Events, true); err != nil {
		return nil, err
	}
	q.asOf, q.advancedOnly = asOfRangeEnd, true
	q.needs.rangeDays, q.needs.rangeEvents, q.needs.daySums = true, true, true
	q.events = slices.DeleteFunc(q.events, func(a requestedEvent) bool { return a.combination == nil && !q.isAdvanced(a.event) })
	r := &fullReport{series: newSeries(level), segmented: level != nil, scale: dayScale()}
	r.ends = r.scale.binEnds()
	question := &Question{base: q, report: r}
	r.q = &question.base
	r.series.countTo(q.params.Cost, fullNumbers*len(r.q.events))
	return question, nil
}

// aggregate adds the clients of one pass that were active in the range.
func (r *fullReport) aggregate(ctx context.Context, cs *clientStats) {
	var in []int
	for u := range eachUnit(ctx, cs) {
		if !cs.activeInRange(u) || !cs.matches(u, r.q.days.To) {
			continue
		}
		in = r.series.add(in[:0], cs, u, r.q.days.To)
		for _, n := range in {
			r.seriesAt(n).sessions += cs.units[u].rangeSessions
		}
		for e := range r.q.events {
			count := cs.eventCounts.get(u, int32(e))
			if count == 0 {
				continue
			}
			for _, n := range in {
				c := &r.seriesAt(n).events[e]
				c.count += count
				c.users++
				c.sessions += cs.units[u].rangeSessions
				c.often[roundUp(r.ends, count)]++
			}
		}
	}
}

// seriesAt returns the numbers of a series, and makes room for them if it is
// new.
func (r *fullReport) seriesAt(n int) *fullSeries {
	for len(r.bySeries) <= n {
		p := fullSeries{events: make([]fullCell, len(r.q.events))}
		for e := range p.events {
			p.events[e].often = distribution{}
		}
		r.bySeries = append(r.bySeries, p)
	}
	return &r.bySeries[n]
}

// result encodes the events of each series, or of all clients without segments.
func (r *fullReport) result() Answer {
	if !r.segmented {
		return Answer{Result: lazy(func() any { return r.encodeSeries(0) })}
	}
	out := Object{}
	for _, n := range r.series.selected(&r.q.pace) {
		if r.q.pace.stop(1) {
			break
		}
		out = append(out, Member{r.series.keys[n].label, lazy(func() any { return r.encodeSeries(n) })})
	}
	return Answer{Result: out}
}

// encodeSeries encodes the events of a series. The published document names the
// averages: occurrences per session and per client, over the clients that used
// the event and over all active ones.
func (r *fullReport) encodeSeries(n int) []lazy {
	out := []lazy{}
	for e := range r.seriesAt(n).events {
		out = append(out, func() any { return r.encodeEvent(n, e) })
	}
	return out
}

// encodeEvent encodes one event of a series.
func (r *fullReport) encodeEvent(n, e int) Object {
	p, active := r.seriesAt(n), r.series.units[n]
	c := &p.events[e]
	bins := r.scale.automaticBins(c.often)
	return r.q.events[e].encode(
		Member{"eventCounts", c.count},
		Member{"averageEventCountPerSessionUsedAtLeastOnce", per(c.count, c.sessions)},
		Member{"averageEventCountPerSessionAll", per(c.count, p.sessions)},
		Member{"averageEventCountPerUserAtLeastOnce", per(c.count, c.users)},
		Member{"averageEventCountPerUserAll", per(c.count, active)},
		Member{"uniqueUsersUsedAtLeastOnce", c.users},
		Member{"uniqueUsersNeverUsed", active - c.users},
		Member{"usageFrequency", encodeBins(bins, histogram(bins, c.often))},
	)
}
