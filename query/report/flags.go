package report

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
)

// flagClause compiles the filter of licenseStatus, optOut or backOff: an object
// of flags that must all be as given, or an array of such objects, one of which
// must hold.
func flagClause(field, name string, raw jsontext.Value, p *usedProperties) (clause, error) {
	all := []jsontext.Value{raw}
	if raw.Kind() == '[' {
		if err := json.Unmarshal(raw, &all); err != nil || len(all) == 0 {
			return nil, fieldErrorf(field, "must be an array of objects")
		}
	}
	var out clause
	for _, object := range all {
		tests, err := flagTests(field, name, object, p)
		if err != nil {
			return nil, err
		}
		out = append(out, tests)
	}
	return out, nil
}

// flagTests compiles one object of flags, which may have the members more too.
func flagTests(field, name string, raw jsontext.Value, p *usedProperties, more ...string) ([]test, error) {
	m, err := objectOf(field, raw)
	if err != nil {
		return nil, err
	}
	flags, _ := property.Levels(name)
	if err := m.only(field, append(more, flags...)...); err != nil {
		return nil, err
	}
	var out []test
	for _, flag := range flags {
		if !m.has(flag) {
			continue
		}
		var want bool
		if err := m.read(field, flag, &want, "true or false"); err != nil {
			return nil, err
		}
		at, err := p.use(field, name+"."+flag)
		if err != nil {
			return nil, err
		}
		c, err := newFlagCondition(field+"."+flag, want, p)
		if err != nil {
			return nil, err
		}
		out = append(out, test{property: at, condition: c})
	}
	if len(out) == 0 {
		return nil, fieldErrorf(field, "has none of %v", flags)
	}
	return out, nil
}
