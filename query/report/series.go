package report

import (
	"cmp"
	"slices"
	"strings"
)

// series numbers the series of a segmentation with one level, and counts the
// clients in each. It holds those that a client is in, and those that are shown
// in any case.
type series struct {
	level    *level // nil is a single series of all clients
	numbers  map[string]int
	labels   []string
	segments []int
	units    []int64 // clients in the series
}

// newSeries returns the fixed series of a level, or without a level a single
// series of all clients.
func newSeries(l *level) *series {
	p := &series{level: l, numbers: map[string]int{}}
	if l == nil {
		p.number(seriesKey{})
		return p
	}
	for _, in := range l.fixedSeries() {
		p.number(in)
	}
	return p
}

// number returns the number of a series, and adds it if it is new.
func (p *series) number(in seriesKey) int {
	n, known := p.numbers[in.label]
	if !known {
		n = len(p.labels)
		p.numbers[in.label] = n
		p.labels, p.segments, p.units = append(p.labels, in.label), append(p.segments, in.segment), append(p.units, 0)
	}
	p.segments[n] = min(p.segments[n], in.segment)
	return n
}

// add appends the numbers of the series that a unit is in before a day, and
// counts the unit in each.
func (p *series) add(to []int, cs *clientStats, u int32, before Day) []int {
	if p.level == nil {
		p.units[0]++
		return append(to, 0)
	}
	for _, in := range cs.seriesOf(p.level, u, before) {
		n := p.number(in)
		p.units[n]++
		to = append(to, n)
	}
	return to
}

// selected returns the numbers of the series that an answer has, ordered by
// label. Of a segment with a limit those are the largest, by clients and then
// by label; the series of null does not count towards the limit.
func (p *series) selected() []int {
	var out []int
	byLabel := func(a, b int) int { return strings.Compare(p.labels[a], p.labels[b]) }
	limited := map[int][]int{}
	for n := range p.labels {
		if p.level != nil && p.labels[n] != NullLabel && p.level.segments[p.segments[n]].limit > 0 {
			limited[p.segments[n]] = append(limited[p.segments[n]], n)
			continue
		}
		out = append(out, n)
	}
	for segment, numbers := range limited {
		slices.SortFunc(numbers, func(a, b int) int { return cmp.Or(cmp.Compare(p.units[b], p.units[a]), byLabel(a, b)) })
		out = append(out, numbers[:min(len(numbers), p.level.segments[segment].limit)]...)
	}
	slices.SortFunc(out, byLabel)
	return out
}
