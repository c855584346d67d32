package report

import (
	"strconv"

	"weir/schemas/property"
	"weir/schemas/rollup"
)

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

// valueCode returns the code of a coded property before a day, as values of its
// type are written.
func (cs *clientStats) valueCode(u int32, p *usedProperty, before Day) int32 {
	code := sentCode(cs, u, p, before)
	if p.canonical == 0 {
		return code
	}
	known := cs.canonical[p.canonical-1]
	if int(code) >= len(known) {
		known = append(known, make([]int32, len(cs.values)-len(known))...)
		cs.canonical[p.canonical-1] = known
	}
	if known[code] == 0 {
		known[code] = 1 + canonicalCode(cs, code, p.typ)
	}
	return known[code] - 1
}

// canonicalCode returns the code of the text that stands for a value of a type.
func canonicalCode(cs *clientStats, code int32, t property.Type) int32 {
	text, has := t.Read(cs.values[code].raw)
	if !has || text == cs.values[code].Text {
		return code
	}
	return cs.codeOf(text) // a number, true or false, which is its own JSON
}

// sentCode returns the code of a coded property before a day as it was sent. The
// continent is that of the reported country, and the reported one only where the
// country has none or is unknown.
func sentCode(cs *clientStats, u int32, p *usedProperty, before Day) int32 {
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
		if name := ContinentOf(cs.values[country].Text); name != "" {
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
		cs.q.overflowed = cs.q.overflowed || client.runtimeMS == rollup.OverflowedRuntime
		return textValue(strconv.FormatInt(client.runtimeMS/minuteMS, 10))
	case property.EventUsage:
	}
	return textValue(strconv.FormatInt(cs.usages[int(u)*len(cs.q.props.usages)+p.slot], 10))
}

// mayVary reports whether a daily property of a unit may have had another value
// before.
func (cs *clientStats) mayVary(u int32) bool { return cs.history != nil && cs.units[u].changed }
