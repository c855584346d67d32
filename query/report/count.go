package report

import (
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// count is how many clients are new, active and lost: the generic reports.
type count struct {
	q      *base
	split  Split
	want   [statuses]bool
	lost   losses
	levels []level
	root   *node
	mask   []uint64 // scratch: the buckets in which a unit counts
}

// NewDateRange compiles generic/dateRange.
func NewDateRange(b *Body, given Params) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	split, err := b.split()
	if err != nil {
		return nil, err
	}
	if q.days, err = b.dates(q.today, split); err != nil {
		return nil, err
	}
	return newCount(b, q, split)
}

// NewCurrent compiles generic/current: the range from startDate, or from the
// beginning, without an end, so that all values are current.
func NewCurrent(b *Body, given Params) (*Question, error) {
	q, err := newBase(b, given)
	if err != nil {
		return nil, err
	}
	start := Day(0)
	if b.StartDate != nil {
		if start, err = ParseDay("startDate", *b.StartDate, q.today); err != nil {
			return nil, err
		}
	} else if !q.zone.UTC() {
		start = minDay // the first hours of 1970 are of the day before in half of the world
	}
	q.days, q.moment = OpenRange(start), latest
	return newCount(b, q, NoSplit)
}

func newCount(b *Body, q base, split Split) (*Question, error) {
	c := &count{split: split}
	question := &Question{base: q, report: c}
	c.q = &question.base
	err := c.q.counting(b)
	if err != nil {
		return nil, err
	}
	if c.want, c.lost, err = b.wanted(q.today); err != nil {
		return nil, err
	}
	if err := c.q.filters(b); err != nil {
		return nil, err
	}
	most := maxLevels
	if split != NoSplit {
		most = 1
	}
	if c.levels, err = newLevels("levels", b.Levels, most, &c.q.props); err != nil {
		return nil, err
	}
	c.root = c.node("", 0)
	c.q.needs.inRange = c.want[isActive] && !q.days.Open
	c.q.needs.lives = c.want[isNew] || c.want[isLost] || q.days.Open
	return question, nil
}

// node is one series: its numbers by bucket, and the series within it.
type node struct {
	label   string
	segment int // of its level
	counts  [][statuses]int64
	within  map[string]*node
}

func (c *count) node(label string, segment int) *node {
	return &node{label: label, segment: segment, counts: make([][statuses]int64, len(c.q.days.Buckets))}
}

// child is the series within n, made if need be.
func (c *count) child(n *node, in inSegment) *node {
	if have := n.within[in.label]; have != nil {
		have.segment = min(have.segment, in.segment)
		return have
	}
	if n.within == nil {
		n.within = map[string]*node{}
	}
	made := c.node(in.label, in.segment)
	n.within[in.label] = made
	return made
}

// tally adds each client to the series it is in, in each bucket.
func (c *count) tally(f *facts) {
	c.mask = make([]uint64, max(f.words, 1))
	for u := range int32(len(f.units)) {
		is := c.buckets(f, u)
		// Where nothing that is looked at has changed, one look will do.
		varies := f.varies(u)
		looked, passes := false, false
		for word := range c.mask {
			for ; c.mask[word] != 0; c.mask[word] &= c.mask[word] - 1 {
				bucket := word*64 + bits.TrailingZeros64(c.mask[word])
				before := c.q.days.Buckets[bucket].To
				if varies || !looked {
					looked, passes = true, f.matches(u, before)
				}
				if passes {
					c.add(f, c.root, c.levels, u, bucket, before, is(bucket))
				}
			}
		}
	}
}

// buckets puts the buckets in which a unit counts into the mask, and returns
// what it is in each.
func (c *count) buckets(f *facts, u int32) func(bucket int) [statuses]int64 {
	clear(c.mask)
	born, gone := -1, -1
	if c.want[isNew] {
		born = c.mark(f.installed(u))
	}
	if c.want[isLost] {
		if on, lost := c.lost.day(f.seen(u)); lost {
			gone = c.mark(on)
		}
	}
	active := func(int) bool { return false }
	switch {
	case c.q.needs.inRange:
		for i, word := range f.activeBuckets(u) {
			c.mask[i] |= word
		}
		active = func(bucket int) bool { return f.activeIn(u, bucket) }
	case c.want[isActive]:
		last := c.mark(f.seen(u)) // of an open range
		active = func(bucket int) bool { return bucket == last }
	}
	return func(bucket int) (is [statuses]int64) {
		if bucket == born {
			is[isNew] = 1
		}
		if active(bucket) {
			is[isActive] = 1
		}
		if bucket == gone {
			is[isLost] = 1
		}
		return is
	}
}

// mark puts the bucket of a day into the mask and returns it; −1 outside the
// range.
func (c *count) mark(d Day) int {
	bucket, inside := c.q.days.bucket(d)
	if !inside {
		return -1
	}
	c.mask[bucket/64] |= 1 << (bucket % 64)
	return bucket
}

// add counts a unit in n and in the series within it.
func (c *count) add(f *facts, n *node, levels []level, u int32, bucket int, before Day, is [statuses]int64) {
	for s := range statuses {
		n.counts[bucket][s] += is[s]
	}
	if len(levels) == 0 {
		return
	}
	for _, in := range f.labels(&levels[0], u, before) {
		c.add(f, c.child(n, in), levels[1:], u, bucket, before, is)
	}
}

// answer is the result in the shape of the generic reports.
func (c *count) answer() Answer {
	c.settle(c.root, c.levels)
	if c.split == NoSplit {
		return Answer{Result: c.spell(c.root, 0, 0)}
	}
	var out Object
	for i := range c.q.days.Buckets {
		var in any = c.totals(c.root, i)
		if len(c.levels) > 0 {
			in = c.spell(c.root, i, 0)
		}
		out = append(out, Member{c.q.days.Buckets[i].Key.String(), in})
	}
	return Answer{Result: out}
}

// settle makes the series that are there whoever is in them, and drops those
// beyond a limit.
func (c *count) settle(n *node, levels []level) {
	if len(levels) == 0 {
		return
	}
	for _, in := range levels[0].fixed() {
		if n.within[in.label] == nil {
			c.child(n, in)
		}
	}
	for i := range levels[0].segments {
		n.trim(i, levels[0].segments[i].limit)
	}
	for _, child := range n.within {
		c.settle(child, levels[1:])
	}
}

// trim keeps the largest series of a segment that was split: the sum of all
// numbers decides, then the label. The series of null is beside the limit.
func (n *node) trim(segment, limit int) {
	var of []*node
	for _, child := range n.within {
		if child.segment == segment && child.label != NullLabel {
			of = append(of, child)
		}
	}
	if limit == 0 || len(of) <= limit {
		return
	}
	slices.SortFunc(of, func(a, b *node) int { return cmp.Or(cmp.Compare(b.sum(), a.sum()), strings.Compare(a.label, b.label)) })
	for _, child := range of[limit:] {
		delete(n.within, child.label)
	}
}

func (n *node) sum() (sum int64) {
	for i := range n.counts {
		for _, count := range n.counts[i] {
			sum += count
		}
	}
	return sum
}

// spell writes a series and those within it, of one bucket. Where there are
// levels the whole is left out: only its parts are asked for.
func (c *count) spell(n *node, bucket, depth int) Object {
	var out Object
	if depth > 0 || len(c.levels) == 0 {
		out = append(out, Member{"totals", c.totals(n, bucket)})
	}
	if depth == len(c.levels) {
		return out
	}
	within := Object{}
	for _, label := range slices.Sorted(maps.Keys(n.within)) {
		within = append(within, Member{label, c.spell(n.within[label], bucket, depth+1)})
	}
	return append(out, Member{fmt.Sprintf("level%d", depth+1), within})
}

// totals are the numbers that were asked for.
func (c *count) totals(n *node, bucket int) Object {
	var out Object
	for s := range statuses {
		if c.want[s] {
			out = append(out, Member{s.String(), n.counts[bucket][s]})
		}
	}
	return out
}
