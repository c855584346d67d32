package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// event is the category and the name that events are counted by. As published,
// an event without a category has the category null, which is "" here.
type event struct{ category, name string }

// compare orders events by category, none first, and then by name.
func (e event) compare(o event) int {
	return cmp.Or(cmp.Compare(e.category, o.category), cmp.Compare(e.name, o.name))
}

// categoryName is a category in an answer.
func categoryName(category string) any {
	if category == "" {
		return nil
	}
	return category
}

// tracked reports whether name is an event and not the start or the stop of a
// session.
func tracked(name string) bool { return name != schemas.SessionStart && name != schemas.SessionStop }

// isBasic reports whether an event is collected as basic.
func (q *base) isBasic(e event) bool {
	if q.params.Collected == nil {
		return true
	}
	basic, _ := q.params.Collected(e.category, e.name)
	return basic
}

// isAdvanced reports whether an event counts in combinations: as published,
// fullReport has only events that are collected as advanced.
func (q *base) isAdvanced(e event) bool {
	if !q.advancedOnly || q.params.Collected == nil {
		return true
	}
	_, advanced := q.params.Collected(e.category, e.name)
	return advanced
}

// combination is several events that count as one: their occurrences are added.
type combination []eventMatch

// eventMatch is one member of a combination: conditions on the category and the
// name.
type eventMatch struct {
	noCategory     bool
	category, name func(string) bool
}

// matches reports whether an event is in the combination, once even if several
// members match it.
func (c combination) matches(e event) bool {
	return slices.ContainsFunc(c, func(m eventMatch) bool {
		if m.noCategory || e.category == "" {
			return m.noCategory && e.category == "" && m.name(e.name)
		}
		return m.category(e.category) && m.name(e.name)
	})
}

// requestedEvent is an element of "events": a single event or a combination.
type requestedEvent struct {
	event
	label       string // of a combination; "" for a single event
	combination combination
}

// matches reports whether an event counts for the request.
func (a *requestedEvent) matches(e event) bool {
	if a.combination == nil {
		return a.event == e
	}
	return a.combination.matches(e)
}

// encode returns how answers name the event, followed by its numbers. As
// published, a combination has its label alone.
func (a *requestedEvent) encode(more ...Member) Object {
	if a.combination != nil {
		return append(Object{{"combiLabel", a.label}}, more...)
	}
	return append(Object{{"category", categoryName(a.category)}, {"name", a.name}}, more...)
}

// maxEvents bounds the events of one question, and the members of a
// combination.
const maxEvents = 100

// readEvents reads "events". No event and no label may be there twice.
func (p *usedProperties) readEvents(raw jsontext.Value, combinations bool) ([]requestedEvent, error) {
	var all []jsontext.Value
	m := members{"events": raw}
	if raw == nil || !m.has("events") {
		return nil, fieldErrorf("events", "is missing")
	}
	if raw.Kind() != '[' || m.read("", "events", &all, "") != nil || len(all) == 0 || len(all) > maxEvents {
		return nil, fieldErrorf("events", "must be an array of 1 to %d events", maxEvents)
	}
	var out []requestedEvent
	for i, raw := range all {
		field := fmt.Sprintf("events.%d", i)
		a, err := p.readEvent(field, raw, combinations)
		if err != nil {
			return nil, err
		}
		if a.combination != nil && slices.ContainsFunc(out, func(have requestedEvent) bool { return have.combination != nil && have.label == a.label }) {
			return nil, fieldErrorf(field+".combiLabel", "%q is not unique", a.label)
		}
		if a.combination == nil && slices.ContainsFunc(out, func(have requestedEvent) bool { return have.combination == nil && have.event == a.event }) {
			return nil, fieldErrorf(field, "is not unique")
		}
		out = append(out, a)
	}
	return out, nil
}

// readEvent reads one element of "events".
func (p *usedProperties) readEvent(field string, raw jsontext.Value, combinations bool) (a requestedEvent, err error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return a, err
	}
	if m.has("combiArray") || m.has("combiLabel") {
		if !combinations {
			return a, fieldErrorf(field, "there are no combinations in this report")
		}
		return p.newCombination(field, m)
	}
	if err := m.only(field, "category", "name", "categoryType", "nameType"); err != nil {
		return a, err
	}
	for _, member := range []string{"categoryType", "nameType"} {
		var kind string
		if err := m.read(field, member, &kind, "a string"); err != nil {
			return a, err
		}
		if kind != "" && kind != typeString {
			return a, fieldErrorf(field+"."+member, "must be string: only a combination has other types")
		}
	}
	if !m.has("name") {
		return a, fieldErrorf(field+".name", "is missing")
	}
	if err := m.read(field, "category", &a.category, "a string"); err != nil {
		return a, err
	}
	return a, m.read(field, "name", &a.name, "a string")
}

// newCombination reads {"combiLabel", "combiArray"}.
func (p *usedProperties) newCombination(field string, m members) (a requestedEvent, err error) {
	if err := m.only(field, "combiLabel", "combiArray"); err != nil {
		return a, err
	}
	if err := m.read(field, "combiLabel", &a.label, "a string"); err != nil {
		return a, err
	}
	if a.label == "" {
		return a, fieldErrorf(field+".combiLabel", "is missing")
	}
	var all []jsontext.Value
	if err := m.read(field, "combiArray", &all, "an array of events"); err != nil {
		return a, err
	}
	if len(all) == 0 || len(all) > maxEvents {
		return a, fieldErrorf(field+".combiArray", "must have 1 to %d events", maxEvents)
	}
	for i, raw := range all {
		e, err := p.newEventMatch(fmt.Sprintf("%s.combiArray.%d", field, i), raw)
		if err != nil {
			return a, err
		}
		a.combination = append(a.combination, e)
	}
	return a, nil
}

// newEventMatch reads {"category", "name"} with the optional categoryType and
// nameType; more are further members that the object may have.
func (p *usedProperties) newEventMatch(field string, raw jsontext.Value, more ...string) (e eventMatch, err error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return e, err
	}
	if err := m.only(field, append(more, "category", "name", "categoryType", "nameType")...); err != nil {
		return e, err
	}
	if !m.has("name") {
		return e, fieldErrorf(field+".name", "is missing")
	}
	if e.name, err = p.textMatch(field, "name", m); err != nil {
		return e, err
	}
	if e.noCategory = !m.has("category") || string(m["category"]) == `""`; e.noCategory {
		return e, nil
	}
	e.category, err = p.textMatch(field, "category", m)
	return e, err
}

// textMatch compiles the condition on a category or a name: equal to a text, or
// matched by a regular expression.
func (p *usedProperties) textMatch(field, name string, m members) (func(string) bool, error) {
	var text, kind string
	if err := m.read(field, name, &text, "a string"); err != nil {
		return nil, err
	}
	if err := m.read(field, name+"Type", &kind, "a string"); err != nil {
		return nil, err
	}
	switch kind {
	case "", typeString:
		return func(s string) bool { return s == text }, nil
	case typeRegex:
		if err := p.cost.Condition(field + "." + name); err != nil {
			return nil, err
		}
		pattern, err := compilePattern(p.cost, field+"."+name, text)
		if err != nil {
			return nil, err
		}
		return pattern.MatchString, nil
	}
	return nil, fieldErrorf(field+"."+name+"Type", "must be string or regex")
}
