package report

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ownTest is a condition on one of the events' own properties.
type ownTest struct {
	name      string
	condition *condition
}

// newOwnTests compiles eventProperties.
func newOwnTests(raw jsontext.Value, p *usedProperties) ([]ownTest, error) {
	const field = "eventProperties"
	if raw == nil || raw.Kind() == 'n' {
		return nil, nil
	}
	all, err := objectOf(field, raw)
	if err != nil {
		return nil, err
	}
	var out []ownTest
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m, err := objectOf(field+"."+name, all[name])
		if err != nil {
			return nil, err
		}
		c, err := newCondition(field+"."+name, m, p)
		if err != nil {
			return nil, err
		}
		out = append(out, ownTest{name: name, condition: c})
	}
	return out, nil
}

// Exact says that the question cannot be answered from rollups, which know
// neither the events' own properties nor other days than those of UTC.
func (q *Question) Exact() bool { return q.OwnProperties() || !q.zone.UTC() }

// OwnProperties says that the question is about some events only, by their own
// properties.
func (q *Question) OwnProperties() bool { return len(q.only) > 0 }

// Has says that an event with these properties, a JSON object or "", is one
// that the question is about.
func (q *Question) Has(properties string) bool {
	found := make([]Value, len(q.only))
	for i := range found {
		found[i].Null = true
	}
	readOwn(properties, func(name string, value jsontext.Value) {
		for i := range q.only {
			if kind := value.Kind(); q.only[i].name == name && kind != '{' && kind != '[' {
				found[i] = valueOf(string(value))
			}
		}
	})
	for i := range q.only {
		if !q.only[i].condition.holds(&found[i]) {
			return false
		}
	}
	return true
}

// readOwn hands the members of an object to each. What cannot be read has none.
func readOwn(raw string, each func(name string, value jsontext.Value)) {
	if raw == "" {
		return
	}
	dec := jsontext.NewDecoder(strings.NewReader(raw), jsontext.AllowDuplicateNames(true))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return
	}
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return
		}
		name := tok.String()
		value, err := dec.ReadValue()
		if err != nil {
			return
		}
		each(name, value)
	}
}
