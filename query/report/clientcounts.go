package report

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
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
	root   *seriesNode
	mask   []uint64 // scratch: the buckets in which one unit counts
	added  int      // counts that were added since the context was looked at

	pending map[seriesSets]*setCounts
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
	c.root = &seriesNode{}
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

// seriesNode is one series: its counts by bucket, and the series of the next
// level within it.
type seriesNode struct {
	seriesKey

	counts   [][statuses]int64 // by bucket; nil while all are 0
	children map[string]*seriesNode
}

// child returns the series within n that a key of a level names, and adds it if
// it is new.
func (c *clientCounts) child(n *seriesNode, l *level, in seriesKey) *seriesNode {
	if have := n.children[in.label]; have != nil {
		have.segment = min(have.segment, in.segment)
		return have
	}
	if n.children == nil {
		n.children = map[string]*seriesNode{}
	}
	made := &seriesNode{seriesKey: in}
	n.children[in.label] = made
	c.q.params.Cost.AddSeries(l.field, in.label, len(c.q.days.Buckets)*int(statuses))
	return made
}

// addsPerCheck is how many counts are added between two looks at the context.
const addsPerCheck = 1 << 14

// aggregate adds each client of one pass to its series, in each bucket in which
// it counts.
func (c *clientCounts) aggregate(ctx context.Context, cs *clientStats) {
	c.mask = make([]uint64, max(cs.bucketWords, 1))
	for u := range eachUnit(ctx, cs) {
		is := c.buckets(cs, u)
		// A client whose values did not change is tested in one bucket for all.
		varies := cs.mayVary(u)
		checked, passes := false, false
		for word := range c.mask {
			for ; c.mask[word] != 0; c.mask[word] &= c.mask[word] - 1 {
				bucket := word*64 + bits.TrailingZeros64(c.mask[word])
				before := c.q.days.Buckets[bucket].To
				if varies || !checked {
					checked, passes = true, cs.matches(u, before)
				}
				if passes {
					c.count(cs, u, bucket, before, is(bucket))
				}
				if c.added > addsPerCheck || len(c.pending) > maxPending {
					if c.flush(ctx); ctx.Err() != nil {
						return
					}
				}
			}
		}
	}
	c.flush(ctx)
}

// buckets sets the mask to the buckets in which a unit counts, and returns its
// statuses by bucket.
func (c *clientCounts) buckets(cs *clientStats, u int32) func(bucket int) [statuses]int64 {
	clear(c.mask)
	newIn, lostIn := -1, -1
	if c.want[isNew] && c.counts(cs, u, cs.firstDay(u)) {
		newIn = c.mark(cs.firstDay(u))
	}
	if c.want[isLost] && !optedOutNow(cs, u) {
		if on, lost := c.lost.lostOn(cs.lastDay(u)); lost {
			lostIn = c.mark(on)
		}
	}
	active := func(int) bool { return false }
	switch {
	case c.q.needs.rangeDays:
		for i, word := range cs.activeBuckets(u) {
			c.mask[i] |= word
		}
		active = func(bucket int) bool { return cs.activeIn(u, bucket) }
	case c.want[isActive] && c.counts(cs, u, maxDay):
		last := c.mark(cs.lastDay(u)) // the range is open: a client counts once
		active = func(bucket int) bool { return bucket == last }
	}
	return func(bucket int) (is [statuses]int64) {
		if bucket == newIn {
			is[isNew] = 1
		}
		if active(bucket) {
			is[isActive] = 1
		}
		if bucket == lostIn {
			is[isLost] = 1
		}
		return is
	}
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

// mark adds the bucket of a day to the mask and returns it; −1 outside the
// range.
func (c *clientCounts) mark(d Day) int {
	bucket, inside := c.q.days.bucket(d)
	if !inside {
		return -1
	}
	c.mask[bucket/64] |= 1 << (bucket % 64)
	return bucket
}

// seriesSets are the series of each level that units are in together, by the
// first element of the slice that has them.
type seriesSets struct {
	first  [maxLevels]*seriesKey
	bucket int
}

// setCounts are the counts of the units in some sets of series.
type setCounts struct {
	sets [maxLevels][]seriesKey
	is   [statuses]int64
}

// Limits of counting units in the same series together. A unit that is in few
// series is counted in each at once.
const (
	maxDirect  = 4
	maxPending = 1 << 12
)

// count counts a unit in the series of all levels. Segments may overlap, so that
// a unit may be in all series of three levels: such units are counted by the sets
// of series that they are in, which are few, and each set once for all its units.
func (c *clientCounts) count(cs *clientStats, u int32, bucket int, before Day, is [statuses]int64) {
	key, all, product := seriesSets{bucket: bucket}, setCounts{is: is}, 1
	for i := range c.levels {
		all.sets[i] = cs.seriesOf(&c.levels[i], u, before)
		if product *= len(all.sets[i]); product > 0 {
			key.first[i] = &all.sets[i][0]
		}
	}
	if product <= maxDirect {
		c.add(c.root, all.sets[:len(c.levels)], c.levels, bucket, is)
		return
	}
	have := c.pending[key]
	if have == nil {
		if c.pending == nil {
			c.pending = map[seriesSets]*setCounts{}
		}
		c.pending[key] = &all
		return
	}
	for s := range statuses {
		have.is[s] += is[s]
	}
}

// flush adds what is pending, and less if ctx ends.
func (c *clientCounts) flush(ctx context.Context) {
	for key, all := range c.pending {
		c.add(c.root, all.sets[:len(c.levels)], c.levels, key.bucket, all.is)
		if c.added > addsPerCheck {
			if c.added = 0; ctx.Err() != nil {
				break
			}
		}
	}
	clear(c.pending)
	c.added = 0
}

// add adds counts to a series and, level by level, to the series within it.
func (c *clientCounts) add(n *seriesNode, sets [][]seriesKey, levels []level, bucket int, is [statuses]int64) {
	if n.counts == nil {
		n.counts = make([][statuses]int64, len(c.q.days.Buckets))
	}
	c.added++
	for s := range statuses {
		n.counts[bucket][s] += is[s]
	}
	if len(levels) == 0 {
		return
	}
	for _, in := range sets[0] {
		c.add(c.child(n, &levels[0], in), sets[1:], levels[1:], bucket, is)
	}
}

// result has the four shapes of the generic reports: with and without a
// dateSplit, with and without levels.
func (c *clientCounts) result() Answer {
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
		if n.children[in.label] == nil {
			c.child(n, &levels[0], in)
		}
	}
	n.applyLimits(&levels[0])
	for _, child := range n.children {
		c.addFixedSeries(child, levels[1:])
	}
}

// applyLimits drops the series within n that the limits of their level do not
// keep. The size of a series is the sum of all its counts.
func (n *seriesNode) applyLimits(l *level) {
	all := slices.Collect(maps.Values(n.children))
	keys := make([]seriesKey, len(all))
	for i := range all {
		keys[i] = all[i].seriesKey
	}
	kept := withinLimits(l, keys, func(i int) int64 { return all[i].sum() })
	if len(kept) == len(all) {
		return
	}
	clear(n.children)
	for _, i := range kept {
		n.children[all[i].label] = all[i]
	}
}

// sum returns the sum of all counts of a series, over all statuses and buckets.
func (n *seriesNode) sum() (sum int64) {
	for i := range n.counts {
		for _, count := range n.counts[i] {
			sum += count
		}
	}
	return sum
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
	children := Object{}
	for _, label := range slices.Sorted(maps.Keys(n.children)) {
		children = append(children, Member{label, lazy(func() any { return c.encodeSeries(n.children[label], bucket, depth+1) })})
	}
	return append(out, Member{fmt.Sprintf("level%d", depth+1), children})
}

// totals encodes the requested statuses, in the order new, active, lost.
func (c *clientCounts) totals(n *seriesNode, bucket int) Object {
	var out Object
	for s := range statuses {
		if !c.want[s] {
			continue
		}
		count := int64(0)
		if n.counts != nil {
			count = n.counts[bucket][s]
		}
		out = append(out, Member{s.String(), count})
	}
	return out
}
