package report

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// eventPropertyFilter is a condition on one of the properties that events
// themselves have.
type eventPropertyFilter struct {
	name      string
	condition *condition
}

// newEventFilter compiles eventProperties, an addition of Weir to the published
// requests.
func newEventFilter(raw jsontext.Value, p *usedProperties) ([]eventPropertyFilter, error) {
	const field = "eventProperties"
	if raw == nil || raw.Kind() == 'n' {
		return nil, nil
	}
	all, err := objectOf(field, raw)
	if err != nil {
		return nil, err
	}
	var out []eventPropertyFilter
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m, err := objectOf(field+"."+name, all[name])
		if err != nil {
			return nil, err
		}
		c, err := newCondition(field+"."+name, m, p)
		if err != nil {
			return nil, err
		}
		out = append(out, eventPropertyFilter{name: name, condition: c})
	}
	return out, nil
}

// FiltersEvents reports whether the question is about some events only, by
// their own properties.
func (q *Question) FiltersEvents() bool { return len(q.eventFilter) > 0 }

// MatchesEvent reports whether the question is about an event with these
// properties, which are a JSON object or "". An object counts as null.
func (q *Question) MatchesEvent(properties string) bool {
	found := make([]Value, len(q.eventFilter))
	for i := range found {
		found[i].Null = true
	}
	forEachMember(properties, func(name string, value jsontext.Value) {
		for i := range q.eventFilter {
			if q.eventFilter[i].name == name && value.Kind() != '{' {
				found[i] = valueOf(string(value))
			}
		}
	})
	for i := range q.eventFilter {
		if !q.eventFilter[i].condition.holds(&found[i]) {
			return false
		}
	}
	return true
}
