package report

import "slices"

// seriesKey names a series of a level.
type seriesKey struct {
	label   string
	segment int   // the first segment of the level that has the label
	number  int32 // of the label and the segment in the level
}

// seriesOf returns the series of a level that a unit is in before a day, each
// once. The result for a coded property is kept by code, like that of
// matchesCondition. The caller may not change the slice.
func (cs *clientStats) seriesOf(l *level, u int32, before Day) []seriesKey {
	if l.property < 0 || !cs.q.props.all[l.property].coded() {
		last := &cs.lastSeries[l.id]
		if last.unit != u+1 || l.property < 0 && cs.mayVary(u) {
			last.unit, last.series = u+1, cs.findSeries(last.series[:0], l, u, before)
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
		known[code] = cs.findSeries([]seriesKey{}, l, u, before)
	}
	return known[code]
}

// unitSeries is the series of the unit that was looked at last. Computed
// properties do not vary with the day.
type unitSeries struct {
	unit   int32 // + 1; 0 is none
	series []seriesKey
}

// findSeries tests the segments of a level in order, and appends the series.
// Where two segments give a unit the same label, the first counts.
func (cs *clientStats) findSeries(to []seriesKey, l *level, u int32, before Day) []seriesKey {
	if l.property < 0 {
		for i := range l.segments {
			if s := &l.segments[i]; cs.matchesAll(s.flags, u, before) {
				to = append(to, l.key(s.label, i))
			}
		}
		return to
	}
	v := cs.value(u, l.property, before)
	if v.Null {
		if i := slices.IndexFunc(l.segments, func(s segment) bool { return s.nulls }); i >= 0 {
			to = append(to, l.key(NullLabel, i))
		}
		return to
	}
	return l.seriesOf(to, &v)
}

// seriesOf appends the series of a value that is not null. Two segments have one
// label only where one of them at least is split, and then it is that of the value.
func (l *level) seriesOf(to []seriesKey, v *Value) []seriesKey {
	split := false // a series of the value is there
	for i := range l.segments {
		s := &l.segments[i]
		switch {
		case s.split && split || !s.condition.holds(v):
		case s.split:
			label := v.label()
			if split = true; !slices.ContainsFunc(to, func(have seriesKey) bool { return have.label == label }) {
				to = append(to, l.key(label, i))
			}
		case !split || s.label != v.label():
			to = append(to, l.key(s.label, i))
		}
	}
	return to
}

// levelKeys numbers the keys of a level: first those of the series that are shown
// in any case, then those that are found.
type levelKeys struct {
	all     []seriesKey // by number
	numbers map[seriesKey]int32
}

// key returns the key of a label of a segment, with its number.
func (l *level) key(label string, segment int) seriesKey {
	if segment < len(l.labels) && l.labels[segment] > 0 {
		if named := l.keys.all[l.labels[segment]-1]; named.label == label {
			return named
		}
	}
	in := seriesKey{label: label, segment: segment}
	n, known := l.keys.numbers[in]
	if !known {
		n = int32(len(l.keys.all))
		l.keys.numbers[in] = n
		in.number = n
		l.keys.all = append(l.keys.all, in)
	}
	return l.keys.all[n]
}

// nameSeries numbers the series that are shown in any case.
func (l *level) nameSeries() {
	l.keys, l.labels = &levelKeys{numbers: map[seriesKey]int32{}}, make([]int32, len(l.segments))
	for _, in := range l.fixedSeries() {
		number := l.key(in.label, in.segment).number
		if l.labels[in.segment] == 0 {
			l.labels[in.segment] = number + 1
		}
	}
	l.named = len(l.keys.all)
}
