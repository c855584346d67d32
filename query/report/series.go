package report

import (
	"strings"

	"weir/query/cost"
)

// series numbers the series of a segmentation with one level, and counts the
// clients in each. It holds those that a client is in, and those that are shown
// in any case.
type series struct {
	level   *level         // nil is a single series of all clients
	numbers map[string]int // index in keys, by label
	keys    []seriesKey
	units   []int64         // clients in the series, by number
	added   func(seriesKey) // called with each series that is found in the data; nil calls nothing
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
		n = len(s.keys)
		s.numbers[in.label] = n
		s.keys, s.units = append(s.keys, in), append(s.units, 0)
		if s.added != nil {
			s.added(in)
		}
	}
	s.keys[n].segment = min(s.keys[n].segment, in.segment)
	return n
}

// countTo counts the series that are found from now on: they have some numbers
// each.
func (s *series) countTo(budget *cost.Question, numbers int) {
	s.added = func(in seriesKey) { budget.AddSeries("segments", in.label, numbers) }
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
// label. Of a segment with a limit those are the largest by clients.
func (s *series) selected(p *pace) []int {
	out := withinLimits(s.level, s.keys, p, func(n int) int64 { return s.units[n] })
	sortAtPace(p, out, func(a, b int) int { return strings.Compare(s.keys[a].label, s.keys[b].label) })
	return out
}
