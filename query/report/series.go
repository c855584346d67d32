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
	s := &series{level: l, numbers: map[string]int{}}
	if l == nil {
		s.number(seriesKey{})
		return s
	}
	for _, in := range l.fixedSeries() {
		s.number(in)
	}
	return s
}

// number returns the number of a series, and adds it if it is new.
func (s *series) number(in seriesKey) int {
	n, known := s.numbers[in.label]
	if !known {
		n = len(s.labels)
		s.numbers[in.label] = n
		s.labels, s.segments, s.units = append(s.labels, in.label), append(s.segments, in.segment), append(s.units, 0)
	}
	s.segments[n] = min(s.segments[n], in.segment)
	return n
}

// add appends the numbers of the series that a unit is in before a day, and
// counts the unit in each.
func (s *series) add(to []int, cs *clientStats, u int32, before Day) []int {
	if s.level == nil {
		s.units[0]++
		return append(to, 0)
	}
	for _, in := range cs.seriesOf(s.level, u, before) {
		n := s.number(in)
		s.units[n]++
		to = append(to, n)
	}
	return to
}

// selected returns the numbers of the series that an answer has, ordered by
// label. Of a segment with a limit those are the largest, by clients and then
// by label; the series of null does not count towards the limit.
func (s *series) selected() []int {
	var out []int
	byLabel := func(a, b int) int { return strings.Compare(s.labels[a], s.labels[b]) }
	limited := map[int][]int{}
	for n := range s.labels {
		if s.level != nil && s.labels[n] != NullLabel && s.level.segments[s.segments[n]].limit > 0 {
			limited[s.segments[n]] = append(limited[s.segments[n]], n)
			continue
		}
		out = append(out, n)
	}
	for segment, numbers := range limited {
		slices.SortFunc(numbers, func(a, b int) int { return cmp.Or(cmp.Compare(s.units[b], s.units[a]), byLabel(a, b)) })
		out = append(out, numbers[:min(len(numbers), s.level.segments[segment].limit)]...)
	}
	slices.SortFunc(out, byLabel)
	return out
}
