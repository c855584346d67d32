package report

import (
	"cmp"
	"slices"
	"strings"
)

// series are the series of a segmentation: those that somebody is in, and those
// that are there whoever is.
type series struct {
	level    *level // nil is one series, of everybody
	numbers  map[string]int
	labels   []string
	segments []int
	units    []int64 // that are in it
}

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

// number is the number of a series.
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

// add appends the series that a unit is in before a day, and counts it there.
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

// selected are the numbers of the series that an answer has: of a segment with a
// limit the largest, by units and then by label; the series of null is beside
// it. They are in the order of labels.
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
