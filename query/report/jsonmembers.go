package report

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// members are the members of a JSON object, each still encoded.
type members map[string]jsontext.Value

// objectOf reads a JSON object; field is named in the error.
func objectOf(field string, raw jsontext.Value) (members, error) {
	var m members
	if raw.Kind() != '{' || json.Unmarshal(raw, &m) != nil {
		return nil, fieldErrorf(field, "must be an object")
	}
	return m, nil
}

// has reports whether a member is there and not null.
func (m members) has(name string) bool {
	v, there := m[name]
	return there && v.Kind() != 'n'
}

// only refuses a member of another name; null is as good as absent.
func (m members) only(field string, names ...string) error {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if m.has(name) && !slices.Contains(names, name) {
			slices.Sort(names)
			return fieldErrorf(field+"."+name, "is not known here, but %s", strings.Join(names, ", "))
		}
	}
	return nil
}

// read decodes a member if it is there. want describes its type in the error.
func (m members) read(field, name string, into any, want string) error {
	if !m.has(name) {
		return nil
	}
	if err := json.Unmarshal(m[name], into); err != nil {
		return fieldErrorf(field+"."+name, "must be %s", want)
	}
	return nil
}

// forEachMember hands the members of a JSON object to each, up to the first
// that cannot be read.
func forEachMember(raw string, each func(name string, value jsontext.Value)) {
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
