package report

import (
	"context"
	"strconv"
)

// cohorts is the report engagement/churnAndEngagement: how many of the clients
// that were installed in a range are still engaged after 0, 1, 2, … periods of
// a day, a week or a month. As published, filters and segments read values on
// the day of installation, and engaged + lost is the size of the cohort in
// every period. A client is lost by a period if it is lost today and was last
// seen in an earlier period since its installation. A series that has clients
// of several cohorts counts in a period those that reached it in the range:
// others say nothing about it. Clients that are opted out now are neither
// engaged nor lost, and so in no cohort.
type cohorts struct {
	q         *base
	split     Split
	periods   int // from the first day of the range to its last
	lost      lossRule
	byMonth   bool
	series    *series
	bySeries  []cohortSeries
	segmented bool
}

// cohortSeries is how the clients of one series count by period: each in those
// from 0 to the one that it reached. Both are differences from the period
// before.
type cohortSeries struct {
	clients, lost []int64 // by period; one more than the range has
}

// installationMonth is a published segmentBy of this report alone: one cohort
// for each month of installation.
const installationMonth = "installationMonth"

// NewCohorts compiles engagement/churnAndEngagement.
func NewCohorts(b *Body, params Params) (*Question, error) {
	q, err := newBase(b, params)
	if err != nil {
		return nil, err
	}
	r := &cohorts{}
	question := &Question{base: q, report: r}
	r.q = &question.base
	if r.split, err = b.readRequiredSplit(); err != nil {
		return nil, err
	}
	if r.q.days, err = b.readRange(q.today, NoSplit); err != nil {
		return nil, err
	}
	if r.lost, err = b.readLossPeriod(q.today); err != nil {
		return nil, err
	}
	last, inside := periods(r.q.days.From, r.q.days.To-1, r.split)
	if r.periods = last + 1; !inside {
		return nil, fieldErrorf("stopDate", "the range has more than %d periods of a %s", MaxBuckets, r.split)
	}
	if err := r.q.refuseGroupBy(b); err != nil {
		return nil, err
	}
	if err := r.q.readFilters(b); err != nil {
		return nil, err
	}
	r.q.asOf, r.q.needs.clients = asOfInstall, true
	return question, r.readSegments(b)
}

// readSegments reads segmentBy and segments, or makes a series for each month
// of the range.
func (r *cohorts) readSegments(b *Body) error {
	if text(b.SegmentBy) != installationMonth {
		level, err := newSegments(b, &r.q.props)
		r.series, r.segmented = newSeries(level), level != nil
		r.series.countTo(r.q.params.Cost, 2*r.periods)
		return err
	}
	if b.Segments != nil && b.Segments.Kind() != 'n' {
		return fieldErrorf("segments", "there are none of %s", installationMonth)
	}
	months, err := NewRange(r.q.days.From, r.q.days.To-1, ByMonth)
	if err != nil {
		return err
	}
	r.series, r.byMonth, r.segmented = &series{numbers: map[string]int{}}, true, true
	for i := range months.Buckets {
		r.series.number(seriesKey{label: months.Buckets[i].Key.String()})
	}
	return nil
}

// periods returns the number of days, weeks or months from one day to another,
// by the calendar; false if they are more than MaxBuckets.
func periods(from, to Day, split Split) (int, bool) {
	n := int(to - from)
	switch split {
	case ByWeek:
		n = int(monday(to)-monday(from)) / 7
	case ByMonth:
		a, b := from.date(), to.date()
		n = (b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month())
	case ByDay, NoSplit:
	}
	return n, n < MaxBuckets
}

// aggregate adds the clients of one pass to the cohorts that they are in.
func (r *cohorts) aggregate(ctx context.Context, cs *clientStats) {
	var in []int
	for u := range eachUnit(ctx, cs) {
		installed := cs.firstDay(u)
		if _, inside := r.q.days.bucket(installed); !inside || optedOutNow(cs, u) || !cs.matches(u, installed+1) {
			continue
		}
		if in = in[:0]; r.byMonth {
			key, _ := bucketBounds(installed, ByMonth)
			n := r.series.number(seriesKey{label: key.String()})
			r.series.units[n]++
			in = append(in, n)
		} else {
			in = r.series.add(in, cs, u, installed+1)
		}
		seen := cs.lastDay(u)
		reached, _ := periods(installed, r.q.days.To-1, r.split)
		left := reached
		if _, lost := r.lost.lostOn(seen); lost {
			left, _ = periods(installed, seen, r.split)
		}
		for _, series := range in {
			r.seriesAt(series).add(reached, left)
		}
	}
}

// add counts a client in the periods up to the one that it reached, and as lost
// in those after the one in which it was last seen.
func (c *cohortSeries) add(reached, left int) {
	c.clients[0]++
	c.clients[reached+1]--
	if left < reached {
		c.lost[left+1]++
		c.lost[reached+1]--
	}
}

// seriesAt returns the numbers of a series, and makes room for them if it is
// new.
func (r *cohorts) seriesAt(n int) *cohortSeries {
	for len(r.bySeries) <= n {
		periods := r.periods + 1
		r.bySeries = append(r.bySeries, cohortSeries{make([]int64, periods), make([]int64, periods)})
	}
	return &r.bySeries[n]
}

// result encodes a cohort for each series, or "totals" without segments.
func (r *cohorts) result() Answer {
	if !r.segmented {
		return Answer{Result: Object{{"totals", lazy(func() any { return r.encodeCohort(0, r.q.days.From) })}}}
	}
	out := Object{}
	for _, n := range r.series.selected(&r.q.pace) {
		if r.q.pace.stop(1) {
			break
		}
		from := r.q.days.From
		if first, ok := dateOf(r.series.keys[n].label); ok && r.byMonth {
			from = max(from, first)
		}
		out = append(out, Member{r.series.keys[n].label, lazy(func() any { return r.encodeCohort(n, from) })})
	}
	return Answer{Result: out}
}

// encodeCohort encodes the periods of a cohort, from the period of the given
// day, on which its first clients were installed, to that of stopDate.
func (r *cohorts) encodeCohort(n int, from Day) Object {
	last, _ := periods(from, r.q.days.To-1, r.split)
	size, lost, c := int64(0), int64(0), r.seriesAt(n)
	out := Object{}
	for p := range last + 1 {
		size, lost = size+c.clients[p], lost+c.lost[p]
		out = append(out, Member{strconv.Itoa(p), Object{
			{"engaged", size - lost},
			{"engagedPercent", percent(size-lost, size)},
			{"lost", lost},
			{"lostPercent", percent(lost, size)},
		}})
	}
	return out
}
