package report

import "slices"

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
