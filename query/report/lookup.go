package report

import (
	"math/bits"
	"slices"
	"strconv"

	"weir/schemas/property"
)

// firstDay returns the day of a unit's first event, which is its day of
// installation.
func (cs *clientStats) firstDay(u int32) Day { return cs.q.zone.Day(cs.units[u].first) }

// lastDay returns the day of a unit's last event.
func (cs *clientStats) lastDay(u int32) Day { return cs.q.zone.Day(cs.units[u].last) }

// activeIn reports whether a unit was active in a bucket.
func (cs *clientStats) activeIn(u int32, bucket int) bool {
	return cs.bucketBits[int(u)*cs.bucketWords+bucket/64]&(1<<(bucket%64)) != 0
}

// activeBuckets returns the bits of the buckets in which a unit was active. The
// caller may not change them.
func (cs *clientStats) activeBuckets(u int32) []uint64 {
	return cs.bucketBits[int(u)*cs.bucketWords : int(u+1)*cs.bucketWords]
}

// activeInRange reports whether a unit was active on a day of the range.
func (cs *clientStats) activeInRange(u int32) bool {
	return slices.ContainsFunc(cs.activeBuckets(u), func(word uint64) bool { return word != 0 })
}

// reportedCode returns the code of the last value of a slot that was reported
// before a day; for properties that are not daily, of the current value.
func (cs *clientStats) reportedCode(u int32, slot int, before Day) int32 {
	at := int(u)*len(cs.q.props.reported) + slot
	now := &cs.current[at]
	if !cs.q.props.daily[slot] || now.day < before {
		return now.code
	}
	if cs.history == nil {
		return 0
	}
	return codeBefore(cs.history[at], before)
}

// valueCode returns the code of a coded property before a day. The continent is
// that of the reported country, and the reported one only where the country has
// none or is unknown.
func (cs *clientStats) valueCode(u int32, p *usedProperty, before Day) int32 {
	switch p.source {
	case property.UserAttribute:
		return cs.attributes[int(u)*len(cs.q.props.userAttributes)+p.slot].code
	case property.Continent:
		if code := cs.continentCode(cs.reportedCode(u, p.country, before)); code != 0 {
			return code
		}
	default: // reported by events
	}
	return cs.reportedCode(u, p.slot, before)
}

// continentCode returns the code of the continent of a country; 0 for unknown
// countries. It remembers the answer for each country.
func (cs *clientStats) continentCode(country int32) int32 {
	code, known := cs.continents[country]
	if !known {
		if name := continentOf(cs.values[country].Text); name != "" {
			code = cs.codeOf(strconv.Quote(name))
		}
		cs.continents[country] = code
	}
	return code
}

// value returns a property of a unit before a day. at is its index in
// usedProperties.all.
func (cs *clientStats) value(u int32, at int, before Day) Value {
	p, client := &cs.q.props.all[at], &cs.units[u]
	switch p.source {
	case property.Reported, property.UserAttribute, property.Continent:
		return cs.values[cs.valueCode(u, p, before)]
	case property.ClientID:
		return textValue(strconv.FormatInt(client.id, 10))
	case property.FirstSeen:
		return textValue(cs.firstDay(u).String())
	case property.LastSeen:
		return textValue(cs.lastDay(u).String())
	case property.SessionCount:
		return textValue(strconv.FormatInt(client.sessions, 10))
	case property.RuntimeMinutes:
		return textValue(strconv.FormatInt(client.runtimeMS/minuteMS, 10))
	case property.EventUsage:
	}
	return textValue(strconv.FormatInt(cs.usages[int(u)*len(cs.q.props.usages)+p.slot], 10))
}

// minuteMS is a minute in milliseconds.
const minuteMS = 60_000

// matches reports whether a unit, as it was before a day, passes the filter of
// the question.
func (cs *clientStats) matches(u int32, before Day) bool {
	for _, c := range cs.q.filter {
		if !slices.ContainsFunc(c, func(all []test) bool { return cs.matchesAll(all, u, before) }) {
			return false
		}
	}
	return true
}

// matchesAll reports whether a unit passes all tests.
func (cs *clientStats) matchesAll(all []test, u int32, before Day) bool {
	for i := range all {
		if !cs.matchesCondition(all[i].property, all[i].condition, u, before) {
			return false
		}
	}
	return true
}

// matchesCondition tests a property of a unit. For coded properties the outcome
// is kept by code, because clients share few values and a condition may be a
// regular expression.
func (cs *clientStats) matchesCondition(at int, c *condition, u int32, before Day) bool {
	p := &cs.q.props.all[at]
	if !p.coded() {
		v := cs.value(u, at, before)
		return c.holds(&v)
	}
	code := cs.valueCode(u, p, before)
	held := cs.matched[c.id]
	if int(code) >= len(held) {
		held = append(held, make([]int8, len(cs.values)-len(held))...)
		cs.matched[c.id] = held
	}
	if held[code] == 0 {
		held[code] = 2
		if c.holds(&cs.values[code]) {
			held[code] = 1
		}
	}
	return held[code] == 1
}

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
		return cs.findSeries(l, u, before)
	}
	code := cs.valueCode(u, &cs.q.props.all[l.property], before)
	known := cs.seriesByCode[l.id]
	if int(code) >= len(known) {
		known = append(known, make([][]seriesKey, len(cs.values)-len(known))...)
		cs.seriesByCode[l.id] = known
	}
	if known[code] == nil {
		known[code] = append([]seriesKey{}, cs.findSeries(l, u, before)...)
	}
	return known[code]
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
	for i := range l.segments {
		s := &l.segments[i]
		if s.condition == nil {
			if cs.matchesAll(s.flags, u, before) {
				add(s.label, i)
			}
			continue
		}
		v := cs.value(u, l.property, before)
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

// mayVary reports whether a daily property of a unit may have had another value
// before.
func (cs *clientStats) mayVary(u int32) bool { return cs.history != nil && cs.units[u].changed }

// activeDaysInRange counts the buckets in which a unit was active; the caller
// splits the range by day.
func (cs *clientStats) activeDaysInRange(u int32) (n int64) {
	for _, word := range cs.activeBuckets(u) {
		n += int64(bits.OnesCount64(word))
	}
	return n
}
