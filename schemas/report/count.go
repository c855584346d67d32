package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/schemas/rollup"
)

// Count is a question of how many clients are new, active and lost: the
// generic reports. Add the rows it asks for, then read its Answer.
type Count struct {
	base
	population

	split  Split
	want   [statuses]bool
	lost   losses
	levels []level
}

// NewCount compiles generic/dateRange.
func NewCount(b *Body, today Day) (*Count, error) {
	split, err := b.split()
	if err != nil {
		return nil, err
	}
	days, err := b.dates(today, split)
	if err != nil {
		return nil, err
	}
	return newCount(b, today, days, split)
}

// NewCurrentCount compiles generic/current: the range from startDate, or from
// the beginning, without an end, so that all values are current.
func NewCurrentCount(b *Body, today Day) (*Count, error) {
	start := Day(0)
	if b.StartDate != nil {
		var err error
		if start, err = ParseDay("startDate", *b.StartDate, today); err != nil {
			return nil, err
		}
	}
	return newCount(b, today, OpenRange(start), NoSplit)
}

func newCount(b *Body, today Day, days Range, split Split) (*Count, error) {
	c := &Count{base: base{days: days}, split: split}
	c.population = newPopulation(&c.base)
	if err := b.only(); err != nil {
		return nil, err
	}
	var err error
	if c.want, c.lost, err = b.wanted(today); err != nil {
		return nil, err
	}
	if c.base.filter, err = newFilter("globalFilters", b.GlobalFilters, &c.base.props); err != nil {
		return nil, err
	}
	most := maxLevels
	if split != NoSplit {
		most = 1
	}
	c.levels, err = newLevels("levels", b.Levels, most, &c.base.props)
	return c, err
}

// Days says that rows of client days of the range are needed.
func (c *Count) Days() bool { return c.want[isActive] && !c.base.days.Open }

// Lives says that rows of clients' lives are needed.
func (c *Count) Lives() bool {
	return c.base.lives() || c.want[isNew] || c.want[isLost] || c.base.days.Open
}

// node is one series: its numbers by bucket, and the series within it.
type node struct {
	label   string
	segment int // of its level
	counts  [][statuses]int64
	within  map[string]*node
}

// child is the series within n, made if need be.
func (c *Count) child(n *node, in inSegment) *node {
	if have := n.within[in.label]; have != nil {
		return have
	}
	if n.within == nil {
		n.within = map[string]*node{}
	}
	made := &node{label: in.label, segment: in.segment, counts: make([][statuses]int64, len(c.base.days.Buckets))}
	n.within[in.label] = made
	return made
}

// count adds each client to the series it is in, in each bucket.
func (c *Count) count() *node {
	root := &node{counts: make([][statuses]int64, len(c.base.days.Buckets))}
	for i := range c.clients {
		one := &c.clients[i]
		for bucket := range c.base.days.Buckets {
			is, some := c.statusIn(one, bucket)
			if !some {
				continue
			}
			value := func(property int) Value { return c.value(one, property, bucket) }
			if c.base.filter.matches(value) {
				c.add(root, c.levels, bucket, is, value)
			}
		}
	}
	return root
}

// statusIn is what a client is in a bucket, of what is wanted.
func (c *Count) statusIn(one *client, bucket int) (is [statuses]int64, some bool) {
	b := &c.base.days.Buckets[bucket]
	has := func(d Day) bool { return b.From <= d && d < b.To }
	last := Day(rollup.Day(one.last))
	if c.want[isNew] && has(Day(rollup.Day(one.first))) {
		is[isNew], some = 1, true
	}
	if c.want[isActive] && (one.activeIn(bucket) || (c.base.days.Open && has(last))) {
		is[isActive], some = 1, true
	}
	if c.want[isLost] {
		if on, lost := c.lost.day(last); lost && has(on) {
			is[isLost], some = 1, true
		}
	}
	return is, some
}

// add counts a client in n and in the series within it.
func (c *Count) add(n *node, levels []level, bucket int, is [statuses]int64, value func(int) Value) {
	for s := range statuses {
		n.counts[bucket][s] += is[s]
	}
	if len(levels) == 0 {
		return
	}
	for _, in := range levels[0].labels(nil, value) {
		c.add(c.child(n, in), levels[1:], bucket, is, value)
	}
}

// Answer is the result in the shape of the generic reports.
func (c *Count) Answer() Object {
	root := c.count()
	c.settle(root, c.levels)
	if c.split == NoSplit {
		return c.spell(root, 0, 0)
	}
	var out Object
	for i := range c.base.days.Buckets {
		var in any = c.totals(root, i)
		if len(c.levels) > 0 {
			in = c.spell(root, i, 0)
		}
		out = append(out, Member{c.base.days.Buckets[i].Key.String(), in})
	}
	return out
}

// settle makes the series that are there whoever is in them, and drops those
// beyond a limit.
func (c *Count) settle(n *node, levels []level) {
	if len(levels) == 0 {
		return
	}
	for _, in := range levels[0].fixed() {
		c.child(n, in)
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
func (c *Count) spell(n *node, bucket, depth int) Object {
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
func (c *Count) totals(n *node, bucket int) Object {
	var out Object
	for s := range statuses {
		if c.want[s] {
			out = append(out, Member{s.String(), n.counts[bucket][s]})
		}
	}
	return out
}
