package report

import (
	"math/bits"
	"slices"
	"strconv"

	"weir/schemas/property"
)

// installed is the day of the first event of a unit.
func (f *facts) installed(u int32) Day { return f.q.zone.Day(f.units[u].first) }

// seen is the day of the last event of a unit.
func (f *facts) seen(u int32) Day { return f.q.zone.Day(f.units[u].last) }

// activeIn says that a unit was active in a bucket.
func (f *facts) activeIn(u int32, bucket int) bool {
	return f.days[int(u)*f.words+bucket/64]&(1<<(bucket%64)) != 0
}

// activeBuckets are the bits of the buckets in which a unit was active.
func (f *facts) activeBuckets(u int32) []uint64 { return f.days[int(u)*f.words : int(u+1)*f.words] }

// activeInRange says that a unit was active on a day of the range.
func (f *facts) activeInRange(u int32) bool {
	return slices.ContainsFunc(f.activeBuckets(u), func(word uint64) bool { return word != 0 })
}

// saidCode is the code of what a slot says last before a day.
func (f *facts) saidCode(u int32, slot int, before Day) int32 {
	at := int(u)*len(f.q.props.said) + slot
	now := &f.now[at]
	if !f.q.props.standard[slot] || now.day < before {
		return now.code
	}
	if f.past == nil {
		return 0
	}
	return pastCode(f.past[at], before)
}

// valueCode is the code of the value of a coded property before a day.
func (f *facts) valueCode(u int32, p *usedProperty, before Day) int32 {
	switch p.source {
	case property.UserAttribute:
		return f.told[int(u)*len(f.q.props.told)+p.slot].code
	case property.Continent:
		if code := f.continentCode(f.saidCode(u, p.country, before)); code != 0 {
			return code
		}
	default: // reported
	}
	return f.saidCode(u, p.slot, before)
}

// continentCode is the code of the continent of a country; 0 of none that is
// known.
func (f *facts) continentCode(country int32) int32 {
	code, known := f.byCode[country]
	if !known {
		if name := continentOf(f.values[country].Text); name != "" {
			code = f.code(strconv.Quote(name))
		}
		f.byCode[country] = code
	}
	return code
}

// value is that of a property before a day.
func (f *facts) value(u int32, at int, before Day) Value {
	p, one := &f.q.props.all[at], &f.units[u]
	switch p.source {
	case property.Reported, property.UserAttribute, property.Continent:
		return f.values[f.valueCode(u, p, before)]
	case property.ClientID:
		return textValue(strconv.FormatInt(one.id, 10))
	case property.FirstSeen:
		return textValue(f.installed(u).String())
	case property.LastSeen:
		return textValue(f.seen(u).String())
	case property.SessionCount:
		return textValue(strconv.FormatInt(one.sessions, 10))
	case property.RuntimeMinutes:
		return textValue(strconv.FormatInt(one.runtimeMS/minuteMS, 10))
	case property.EventUsage:
	}
	return textValue(strconv.FormatInt(f.usage[int(u)*len(f.q.props.usages)+p.slot], 10))
}

// minuteMS is a minute in milliseconds.
const minuteMS = 60_000

// matches holds a unit, as it was before a day, to the filter of the question.
func (f *facts) matches(u int32, before Day) bool {
	for _, c := range f.q.filter {
		if !slices.ContainsFunc(c, func(all []test) bool { return f.holdAll(all, u, before) }) {
			return false
		}
	}
	return true
}

func (f *facts) holdAll(all []test, u int32, before Day) bool {
	for i := range all {
		if !f.holds(all[i].property, all[i].condition, u, before) {
			return false
		}
	}
	return true
}

// holds remembers what held of values with a code.
func (f *facts) holds(at int, c *condition, u int32, before Day) bool {
	p := &f.q.props.all[at]
	if !p.coded() {
		v := f.value(u, at, before)
		return c.holds(&v)
	}
	code := f.valueCode(u, p, before)
	held := f.held[c.id]
	if int(code) >= len(held) {
		held = append(held, make([]int8, len(f.values)-len(held))...)
		f.held[c.id] = held
	}
	if held[code] == 0 {
		held[code] = 2
		if c.holds(&f.values[code]) {
			held[code] = 1
		}
	}
	return held[code] == 1
}

// inSegment is a series that somebody is in.
type inSegment struct {
	label   string
	segment int // the first of its level that gives it
}

// labels are the series of a level that a unit is in before a day, each once.
// They may be read until the next call.
func (f *facts) labels(l *level, u int32, before Day) []inSegment {
	if l.property < 0 || !f.q.props.all[l.property].coded() {
		return f.labelsOf(l, u, before)
	}
	code := f.valueCode(u, &f.q.props.all[l.property], before)
	known := f.series[l.id]
	if int(code) >= len(known) {
		known = append(known, make([][]inSegment, len(f.values)-len(known))...)
		f.series[l.id] = known
	}
	if known[code] == nil {
		known[code] = append([]inSegment{}, f.labelsOf(l, u, before)...)
	}
	return known[code]
}

func (f *facts) labelsOf(l *level, u int32, before Day) []inSegment {
	var out []inSegment
	add := func(label string, i int) {
		if !slices.ContainsFunc(out, func(have inSegment) bool { return have.label == label }) {
			out = append(out, inSegment{label: label, segment: i})
		}
	}
	for i := range l.segments {
		s := &l.segments[i]
		if s.condition == nil {
			if f.holdAll(s.flags, u, before) {
				add(s.label, i)
			}
			continue
		}
		v := f.value(u, l.property, before)
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

// varies says that a standard property of a unit may have had another value
// before.
func (f *facts) varies(u int32) bool { return f.past != nil && f.units[u].changed }

// parts are the series of a segmentation: those that somebody is in, and those
// that are there whoever is.
type parts struct {
	level   *level // nil is one series, of everybody
	of      map[string]int
	label   []string
	segment []int
	units   []int64 // that are in it
}

func newParts(l *level) *parts {
	p := &parts{level: l, of: map[string]int{}}
	if l == nil {
		p.at(inSegment{})
		return p
	}
	for _, in := range l.fixed() {
		p.at(in)
	}
	return p
}

// at is the number of a series.
func (p *parts) at(in inSegment) int {
	n, known := p.of[in.label]
	if !known {
		n = len(p.label)
		p.of[in.label] = n
		p.label, p.segment, p.units = append(p.label, in.label), append(p.segment, in.segment), append(p.units, 0)
	}
	p.segment[n] = min(p.segment[n], in.segment)
	return n
}

// add appends the series that a unit is in before a day, and counts it there.
func (p *parts) add(to []int, f *facts, u int32, before Day) []int {
	if p.level == nil {
		p.units[0]++
		return append(to, 0)
	}
	for _, in := range f.labels(p.level, u, before) {
		n := p.at(in)
		p.units[n]++
		to = append(to, n)
	}
	return to
}

// rangeDays is how many buckets, where they are days, a unit was active in.
func (f *facts) rangeDays(u int32) (n int64) {
	for _, word := range f.activeBuckets(u) {
		n += int64(bits.OnesCount64(word))
	}
	return n
}
