package report

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"weir/query/cost"
)

// clientCounts is the reports generic/dateRange and generic/current: how many
// clients are new, active and lost in each bucket, in total or by up to three
// levels of segments.
type clientCounts struct {
	q      *base
	split  Split
	want   [statuses]bool
	lost   lossRule
	gone   *lossRule // of generic/current: who is lost by it is not active; nil is nobody
	levels []level

	series *seriesCounts
	root   *seriesNode // of the answer
}

// NewDateRange compiles generic/dateRange.
func NewDateRange(b *Body, params Params) (*Question, error) {
	q, err := newBase(b, params)
	if err != nil {
		return nil, err
	}
	split, err := b.readSplit()
	if err != nil {
		return nil, err
	}
	if q.days, err = b.readRange(q.today, split); err != nil {
		return nil, err
	}
	return newClientCounts(b, q, split)
}

// NewCurrent compiles generic/current, which the published document calls the
// current status of the user base: here a client is active or lost, never both.
// The document lists a startDate without saying what it does: here the range
// begins with it, or with the first event, and has no end, so that all values
// are current.
func NewCurrent(b *Body, params Params) (*Question, error) {
	q, err := newBase(b, params)
	if err != nil {
		return nil, err
	}
	start := Day(0)
	if b.StartDate != nil {
		if start, err = ParseDay("startDate", *b.StartDate, q.today); err != nil {
			return nil, err
		}
	} else if !q.zone.UTC() {
		start = minDay // west of UTC, 1970 begins on the day before
	}
	q.days, q.asOf = OpenRange(start), asOfNow
	return newClientCounts(b, q, NoSplit)
}

// lostAfterDefault is the daysUntilDeclaredLost of a product, as published.
const lostAfterDefault = 40

// readGone reads after how many days a client is no longer active now: after
// daysUntilDeclaredLost. A startDate alone says it too; without both, the
// published default does.
func (c *clientCounts) readGone(b *Body) error {
	given := b.DaysUntilLost != nil && b.DaysUntilLost.Kind() != 'n'
	switch {
	case given:
		rule, err := b.readLossPeriod(c.q.today)
		c.gone = &rule
		return err
	case b.StartDate == nil:
		c.gone = &lossRule{after: lostAfterDefault, today: c.q.today}
	}
	return nil
}

// newClientCounts compiles what both generic reports have. As published, a
// question with a dateSplit has one level at most.
func newClientCounts(b *Body, q base, split Split) (*Question, error) {
	c := &clientCounts{split: split}
	question := &Question{base: q, report: c}
	c.q = &question.base
	err := c.q.readGroupBy(b)
	if err != nil {
		return nil, err
	}
	if c.want, c.lost, err = b.readStatuses(q.today); err != nil {
		return nil, err
	}
	if q.days.Open {
		if err := c.readGone(b); err != nil {
			return nil, err
		}
	}
	if err := c.q.readFilters(b); err != nil {
		return nil, err
	}
	maxDepth := maxLevels
	if split != NoSplit {
		maxDepth = 1
	}
	if c.levels, err = newLevels("levels", b.Levels, maxDepth, &c.q.props); err != nil {
		return nil, err
	}
	c.series = newSeriesCounts(c.q, c.levels, len(q.days.Buckets)*int(c.wanted()))
	c.q.needs.rangeDays = c.want[isActive] && !q.days.Open
	c.q.needs.clients = c.want[isNew] || c.want[isLost] || q.days.Open
	return question, nil
}

// status is what a client can be in a bucket. As published: a client is new in
// the bucket of its first event, active in every bucket with an event, and lost
// in the bucket of its loss (see lossRule). It may be all three in one bucket.
// It is neither active nor new on a day on which it is opted out (see optOuts),
// so that new clients are active ones, and not lost while it is opted out.
type status int

const (
	isNew status = iota
	isActive
	isLost
	statuses // the number of statuses
)

func (s status) String() string { return [...]string{"new", "active", "lost"}[s] }

// readStatuses reads clientStatus and, if lost is requested, the rule for it.
func (b *Body) readStatuses(today Day) (want [statuses]bool, lost lossRule, err error) {
	if len(b.ClientStatus) == 0 {
		return want, lost, fieldErrorf("clientStatus", "is missing: one or more of new, active, lost")
	}
	for i, word := range b.ClientStatus {
		known := false
		for s := range statuses {
			if s.String() == word {
				want[s], known = true, true
			}
		}
		if !known {
			return want, lost, fieldErrorf("clientStatus."+strconv.Itoa(i), "%q is not new, active or lost", word)
		}
	}
	if !want[isLost] {
		return want, lost, nil
	}
	lost, err = b.readLossRule(today)
	return want, lost, err
}

// aggregate adds each client of one pass to its series, in each bucket in which
// it counts.
func (c *clientCounts) aggregate(ctx context.Context, cs *clientStats) {
	g := &unitGroup{is: make([][statuses]uint64, len(c.q.days.Buckets))}
	for u := range eachUnit(ctx, cs) {
		in := c.buckets(cs, u)
		if cs.mayVary(u) && len(c.q.days.Buckets) > 1 {
			c.countEach(ctx, cs, u, in)
			continue
		}
		c.group(g, cs, u, in)
		if g.units == 64 {
			if c.series.addGroup(ctx, g); ctx.Err() != nil {
				return
			}
		}
	}
	c.series.addGroup(ctx, g)
}

// group adds a unit whose values did not change to a group: it is in the same
// series in all buckets.
func (c *clientCounts) group(g *unitGroup, cs *clientStats, u int32, in unitBuckets) {
	first, any := in.first()
	if !any || !cs.matches(u, c.q.days.Buckets[first].To) {
		return
	}
	for i := range c.levels {
		g.series(i, cs.seriesOf(&c.levels[i], u, c.q.days.Buckets[first].To))
	}
	for s, bucket := range in.one {
		if bucket >= 0 {
			g.mark(bucket, status(s))
		}
	}
	for bucket := range in.active.all {
		g.mark(int(bucket), isActive)
	}
	g.units++
}

// countEach counts a unit whose values changed: its series are those of each
// bucket. Questions with several buckets have one level at most.
func (c *clientCounts) countEach(ctx context.Context, cs *clientStats, u int32, in unitBuckets) {
	one := func(bucket int, is status) {
		before := c.q.days.Buckets[bucket].To
		if !cs.matches(u, before) {
			return
		}
		var keys []seriesKey
		if len(c.levels) > 0 {
			keys = cs.seriesOf(&c.levels[0], u, before)
		}
		c.series.addUnit(bucket, is, keys)
	}
	for s, bucket := range in.one {
		if bucket >= 0 {
			one(bucket, status(s))
		}
	}
	for bucket := range in.active.all {
		if one(int(bucket), isActive); c.series.due() && ctx.Err() != nil {
			return
		}
	}
}

// unitBuckets is where a unit counts.
type unitBuckets struct {
	one    [statuses]int // the bucket in which it has a status; −1 is none
	active daySet        // further buckets in which it is active
}

// first returns a bucket in which the unit counts; false for none.
func (b *unitBuckets) first() (int, bool) {
	for _, bucket := range b.one {
		if bucket >= 0 {
			return bucket, true
		}
	}
	for bucket := range b.active.all {
		return int(bucket), true
	}
	return 0, false
}

// buckets returns the buckets in which a unit counts.
func (c *clientCounts) buckets(cs *clientStats, u int32) unitBuckets {
	in := unitBuckets{one: [statuses]int{-1, -1, -1}}
	if c.want[isNew] && c.counts(cs, u, cs.firstDay(u)) {
		in.one[isNew] = c.bucketOf(cs.firstDay(u))
	}
	if c.want[isLost] && !optedOutNow(cs, u) {
		if on, lost := c.lost.lostOn(cs.lastDay(u)); lost {
			in.one[isLost] = c.bucketOf(on)
		}
	}
	switch {
	case c.q.needs.rangeDays:
		in.active = cs.activeBuckets(u)
	case c.want[isActive] && c.counts(cs, u, maxDay):
		in.one[isActive] = c.bucketOf(cs.lastDay(u)) // the range is open: a client counts once
	}
	return in
}

// counts reports whether a unit that has an event on a day counts as active on
// it; in an open range, whether it is active now.
func (c *clientCounts) counts(cs *clientStats, u int32, d Day) bool {
	if !c.q.days.Open {
		return !optedOutOn(cs, u, d)
	}
	if c.gone != nil {
		if _, lost := c.gone.lostOn(cs.lastDay(u)); lost {
			return false
		}
	}
	return !optedOutNow(cs, u)
}

// bucketOf returns the bucket of a day; −1 outside the range.
func (c *clientCounts) bucketOf(d Day) int {
	if bucket, inside := c.q.days.bucket(d); inside {
		return bucket
	}
	return -1
}

// result has the four shapes of the generic reports: with and without a
// dateSplit, with and without levels.
func (c *clientCounts) result() Answer {
	c.root = c.series.tree(&c.q.pace)
	c.addFixedSeries(c.root, c.levels)
	c.checkSize()
	if c.split == NoSplit {
		return Answer{Result: lazy(func() any { return c.encodeSeries(c.root, 0, 0) })}
	}
	var out Object
	for i := range c.q.days.Buckets {
		out = append(out, Member{c.q.days.Buckets[i].Key.String(), lazy(func() any {
			if len(c.levels) > 0 {
				return c.encodeSeries(c.root, i, 0)
			}
			return c.totals(c.root, i)
		})})
	}
	return Answer{Result: out}
}

// checkSize refuses an answer that its labels, which the data decides where a
// segment is split, make too large.
func (c *clientCounts) checkSize() {
	a := cost.Answer{Field: "levels", Buckets: int64(len(c.q.days.Buckets)), Numbers: c.wanted()}
	var add func(n *seriesNode)
	add = func(n *seriesNode) {
		for label, child := range n.children {
			if c.q.pace.stop(1) {
				return
			}
			a.Series, a.Bytes = a.Series+1, a.Bytes+int64(len(label))
			add(child)
		}
	}
	add(c.root)
	a.Bytes = cost.Mul(a.Buckets, a.Bytes+a.Series*(seriesBytes+a.Numbers*numberBytes))
	_ = c.q.params.Cost.Check(a) // the context says it
}

// addFixedSeries adds the series that are shown even if they are empty, and
// drops those beyond a limit.
func (c *clientCounts) addFixedSeries(n *seriesNode, levels []level) {
	if len(levels) == 0 {
		return
	}
	for _, in := range levels[0].fixedSeries() {
		if c.q.pace.stop(1) {
			return
		}
		if n.children[in.label] == nil {
			n.child(in)
			c.q.params.Cost.AddSeries(levels[0].field, in.label, c.series.numbers)
		}
	}
	n.applyLimits(&levels[0], &c.q.pace)
	for _, child := range n.children {
		c.addFixedSeries(child, levels[1:])
	}
}

// applyLimits drops the series within n that the limits of their level do not
// keep. The size of a series is the sum of all its counts.
func (n *seriesNode) applyLimits(l *level, p *pace) {
	all := slices.Collect(maps.Values(n.children))
	keys := make([]seriesKey, len(all))
	for i := range all {
		keys[i] = all[i].seriesKey
	}
	kept := withinLimits(l, keys, p, func(i int) int64 { return all[i].sum })
	if len(kept) == len(all) || p.over {
		return
	}
	clear(n.children)
	for _, i := range kept {
		n.children[all[i].label] = all[i]
	}
}

// encodeSeries encodes one bucket of a series and of the series within it. With
// levels the total of all clients is left out, as in the published samples.
func (c *clientCounts) encodeSeries(n *seriesNode, bucket, depth int) Object {
	var out Object
	if depth > 0 || len(c.levels) == 0 {
		out = append(out, Member{"totals", c.totals(n, bucket)})
	}
	if depth == len(c.levels) {
		return out
	}
	return append(out, Member{fmt.Sprintf("level%d", depth+1), stream(func(yield func(string, any) bool) {
		for _, label := range n.sortedLabels(&c.q.pace) {
			if !yield(label, c.encodeSeries(n.children[label], bucket, depth+1)) {
				return
			}
		}
	})})
}

// totals encodes the requested statuses, in the order new, active, lost.
func (c *clientCounts) totals(n *seriesNode, bucket int) Object {
	var out Object
	for s := range statuses {
		if !c.want[s] {
			continue
		}
		count := int64(0)
		for _, id := range n.ids {
			count += c.series.count(id, bucket, s)
		}
		out = append(out, Member{s.String(), count})
	}
	return out
}
