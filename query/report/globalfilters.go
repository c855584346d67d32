package report

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
)

// filter is globalFilters. As published, filters of different properties must
// all hold.
type filter []clause

// clause is the filter of one property: alternatives of tests that must all
// hold. One alternative suffices.
type clause [][]test

// test is a condition on one property.
type test struct {
	property  int // index in usedProperties.all
	condition *condition
}

// newFilter compiles globalFilters, in the order of the names so that errors do
// not depend on chance.
func newFilter(field string, raw jsontext.Value, p *usedProperties) (filter, error) {
	if raw == nil || raw.Kind() == 'n' {
		return nil, nil
	}
	all, err := objectOf(field, raw)
	if err != nil {
		return nil, err
	}
	var out filter
	for _, name := range slices.Sorted(maps.Keys(all)) {
		c, err := newClause(field+"."+name, name, all[name], p)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// newClause compiles the filter of one property or of a group of nested ones.
func newClause(field, name string, raw jsontext.Value, p *usedProperties) (clause, error) {
	switch name {
	case property.NameEventUsage:
		return usageClause(field, raw, p)
	case "reachOutDeliveries":
		return nil, fieldErrorf(field, "there are no ReachOut campaigns here")
	}
	levels, flags := property.Levels(name)
	if flags {
		return flagClause(field, name, raw, p)
	}
	m, err := objectOf(field, raw)
	if err != nil {
		return nil, err
	}
	if levels != nil {
		return levelClause(field, name, levels, m, p)
	}
	single, err := newTest(field, name, m, p)
	if row := property.Find(name); err == nil && single.condition.kind == typeRegex && row != nil && !row.Regex() {
		err = fieldErrorf(field+".type", "regular expressions are not for %s", name)
	}
	return clause{{single}}, err
}

// newTest compiles a condition on one property.
func newTest(field, name string, m members, p *usedProperties) (test, error) {
	c, err := newCondition(field, m, p)
	if err != nil {
		return test{}, err
	}
	at, err := p.use(field, name)
	if err == nil {
		c.canonicalize(p.all[at].typ)
	}
	return test{property: at, condition: c}, err
}

// levelClause compiles the filter of os, geography or gpu. As published, any of
// its levels may hold, and regular expressions are not for geography.
func levelClause(field, name string, levels []string, m members, p *usedProperties) (clause, error) {
	var kind string
	if err := m.read(field, "type", &kind, "a string"); err != nil {
		return nil, err
	}
	if err := m.only(field, append([]string{"type"}, levels...)...); err != nil {
		return nil, err
	}
	if name == "geography" && kind == typeRegex {
		return nil, fieldErrorf(field+".type", "must be string or stringArray")
	}
	if kind != "" && !comparesText(kind) {
		return nil, fieldErrorf(field+".type", "there is no type %q for %s", kind, name)
	}
	var out clause
	for _, level := range levels {
		if !m.has(level) {
			continue
		}
		member := members{"value": m[level]}
		if m[level].Kind() == '{' {
			var err error
			if member, err = objectOf(field+"."+level, m[level]); err != nil {
				return nil, err
			}
			if err := member.only(field+"."+level, "value", "includeNull"); err != nil {
				return nil, err
			}
		}
		if member.has("value") {
			member["type"] = m["type"]
		}
		t, err := newTest(field+"."+level, name+"."+level, member, p)
		if err != nil {
			return nil, err
		}
		out = append(out, []test{t})
	}
	if len(out) == 0 {
		return nil, fieldErrorf(field, "has none of %v", levels)
	}
	return out, nil
}

// usageFilter is the events of a lifetimeEventUsage filter.
type usageFilter struct{ combination }

// usageClause compiles lifetimeEventUsage: a number range of the occurrences of
// some events in the whole life of a client. Without bounds it means at least
// once.
func usageClause(field string, raw jsontext.Value, p *usedProperties) (clause, error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return nil, err
	}
	events, bounds := []jsontext.Value{raw}, []string{"min", "max"}
	if m.has("combiArray") {
		if err := m.only(field, append(bounds, "combiArray")...); err != nil {
			return nil, err
		}
		if err := m.read(field, "combiArray", &events, "an array of events"); err != nil {
			return nil, err
		}
		bounds = nil
	}
	if len(events) > maxEvents {
		return nil, fieldErrorf(field+".combiArray", "must have 1 to %d events", maxEvents)
	}
	var u usageFilter
	for _, raw := range events {
		e, err := p.newEventMatch(field, raw, bounds...)
		if err != nil {
			return nil, err
		}
		u.combination = append(u.combination, e)
	}
	count := members{"type": jsontext.Value(`"numberRange"`), "min": m["min"], "max": m["max"]}
	if !m.has("min") && !m.has("max") {
		count["min"] = jsontext.Value("1")
	}
	for name, v := range count {
		if v == nil {
			delete(count, name)
		}
	}
	c, err := newCondition(field, count, p)
	return clause{{{property: p.useUsage(u), condition: c}}}, err
}
