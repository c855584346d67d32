package report

import (
	"fmt"
	"slices"
	"strings"
)

// seriesKey names a series of a level.
type seriesKey struct {
	label   string
	segment int // the first segment of the level that has the label
}

// seriesOf returns the series of a level that a unit is in before a day, each
// once. The result for a coded property is kept by code, like that of
// matchesCondition. The caller may not change the slice.
func (cs *clientStats) seriesOf(l *level, u int32, before Day) []seriesKey {
	if l.property < 0 || !cs.q.props.all[l.property].coded() {
		last := &cs.lastSeries[l.id]
		if last.unit != u+1 || l.property < 0 && cs.mayVary(u) {
			last.unit, last.series = u+1, sameSeries(cs, cs.findSeries(l, u, before))
		}
		return last.series
	}
	code := cs.valueCode(u, &cs.q.props.all[l.property], before)
	known := cs.seriesByCode[l.id]
	if int(code) >= len(known) {
		known = append(known, make([][]seriesKey, len(cs.values)-len(known))...)
		cs.seriesByCode[l.id] = known
	}
	if known[code] == nil {
		known[code] = append([]seriesKey{}, cs.findSeries(l, u, before)...)
		known[code] = sameSeries(cs, known[code])
	}
	return known[code]
}

// unitSeries is the series of the unit that was looked at last. Computed
// properties do not vary with the day.
type unitSeries struct {
	unit   int32 // + 1; 0 is none
	series []seriesKey
}

// sameSeries returns one slice for all equal ones of several series, so that
// units in the same series are recognised by it.
func sameSeries(cs *clientStats, in []seriesKey) []seriesKey {
	const most = 1 << 12
	if len(in) < 2 {
		return in
	}
	var key strings.Builder
	for i := range in {
		fmt.Fprintf(&key, "%d %q ", in[i].segment, in[i].label)
	}
	if have, known := cs.sameSeries[key.String()]; known {
		return have
	}
	if len(cs.sameSeries) < most {
		cs.sameSeries[key.String()] = in
	}
	return in
}

// findSeries tests the segments of a level in order. Where two segments give a
// unit the same label, the first counts.
func (cs *clientStats) findSeries(l *level, u int32, before Day) []seriesKey {
	var out []seriesKey
	add := func(label string, i int) {
		if !slices.ContainsFunc(out, func(have seriesKey) bool { return have.label == label }) {
			out = append(out, seriesKey{label: label, segment: i})
		}
	}
	var v Value
	if l.property >= 0 {
		v = cs.value(u, l.property, before)
	}
	for i := range l.segments {
		s := &l.segments[i]
		if s.condition == nil {
			if cs.matchesAll(s.flags, u, before) {
				add(s.label, i)
			}
			continue
		}
		switch {
		case v.Null && s.nulls:
			add(NullLabel, i)
		case v.Null || !s.condition.holds(&v):
		case s.split:
			add(v.label(), i)
		default:
			add(s.label, i)
		}
	}
	return out
}
