package ingest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
	"weir/schemas/values"
)

// clientProp is one property of $client: its dotted name and its scalar value as
// JSON.
type clientProp struct {
	name  string
	value jsontext.Value
}

// clientObject parses $client. Nested objects and dotted names mean the same. It
// is stored as one flat object, sorted by name, so that equal clients have equal
// bytes. null is kept because it clears a property. Lists, and names given both
// nested and dotted, are rejected.
func (d *decoder) clientObject(e *schemas.Event) error {
	if ok, err := d.expectObject("properties.$client"); !ok || err != nil {
		return err
	}
	if err := d.flatten("", 1); err != nil {
		return err
	}
	if len(d.client) > 0 && !d.item.bad {
		d.clientProps(e)
	}
	return nil
}

// clientProps writes the canonical object of d.client.
func (d *decoder) clientProps(e *schemas.Event) {
	slices.SortFunc(d.client, func(a, b clientProp) int { return strings.Compare(a.name, b.name) })
	size := 2
	for _, p := range d.client {
		size += len(p.name) + len(p.value) + len(`"":,`)
	}
	reserveScratch(d, size)
	start := len(d.scratch)
	for i, p := range d.client {
		if i > 0 && p.name == d.client[i-1].name {
			d.reject("properties.$client."+p.name, "is given twice, nested and dotted")
			return
		}
		d.scratch = append(d.scratch, openOrComma(i))
		d.scratch, _ = jsontext.AppendQuote(d.scratch, p.name) // cannot fail: the name is valid UTF-8
		d.scratch = append(d.scratch, ':')
		d.scratch = appendScalar(d.scratch, p.value)
	}
	d.scratch = append(d.scratch, '}')
	e.ClientProps = d.scratch[start:len(d.scratch):len(d.scratch)]
}

func (d *decoder) flatten(prefix string, depth int) error {
	return d.eachMember(func(name string) error {
		if prefix != "" {
			name = prefix + "." + name
		}
		if name == "" || values.LongerThan(name, schemas.MaxNameChars) {
			d.reject("properties.$client", fmt.Sprintf("has a name that is empty or longer than %d characters", schemas.MaxNameChars))
			return d.json.SkipValue()
		}
		if d.json.PeekKind() == '{' && depth < schemas.MaxNesting {
			return d.flatten(name, depth+1)
		}
		v, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		switch {
		case v.Kind() == '[' || v.Kind() == '{':
			d.reject("properties.$client."+name, "must be a string, number, boolean or null, or an object of such")
		case tooLong(d, v, schemas.MaxTextChars):
			d.reject("properties.$client."+name, fmt.Sprintf("is longer than %d characters", schemas.MaxTextChars))
		case v.Kind() == '0' && !values.Finite(v):
			d.reject("properties.$client."+name, notFinite)
		case len(d.client) == schemas.MaxProperties:
			d.reject("properties.$client", fmt.Sprintf("has more than %d properties", schemas.MaxProperties))
		default:
			d.client = append(d.client, clientProp{name, v})
		}
		return nil
	})
}

// userObject parses $user: an id and three lists, each of which may be a single
// string. Other members are dropped.
func (d *decoder) userObject(e *schemas.Event) error {
	if ok, err := d.expectObject("properties.$user"); !ok || err != nil {
		return err
	}
	var id string
	var lists [3][]byte // realm, groups, roles
	err := d.eachMember(func(name string) (err error) {
		switch name {
		case "id":
			id, err = d.optionalString("properties.$user.id", schemas.MaxTextChars)
		case "realm":
			lists[0], err = d.stringList("properties.$user.realm")
		case "groups":
			lists[1], err = d.stringList("properties.$user.groups")
		case "roles":
			lists[2], err = d.stringList("properties.$user.roles")
		default:
			err = d.json.SkipValue()
		}
		return err
	})
	if err != nil || d.item.bad {
		return err
	}
	start, n := len(d.scratch), 0
	if id != "" {
		d.scratch = append(d.scratch, `{"id":`...)
		d.scratch, _ = jsontext.AppendQuote(d.scratch, id) // cannot fail: the name is valid UTF-8
		n++
	}
	for i, name := range [...]string{"realm", "groups", "roles"} {
		if lists[i] == nil {
			continue
		}
		d.scratch = append(append(append(d.scratch, openOrComma(n), '"'), name...), `":`...)
		d.scratch = append(d.scratch, lists[i]...)
		n++
	}
	if n > 0 {
		d.scratch = append(d.scratch, '}')
		e.User = d.scratch[start:len(d.scratch):len(d.scratch)]
	}
	return nil
}

// stringList reads a list of strings, or one string as a list of one, and returns it
// as compact JSON; nil for null.
func (d *decoder) stringList(field string) ([]byte, error) {
	start := len(d.scratch)
	switch d.json.PeekKind() {
	case 'n':
		return nil, d.json.SkipValue()
	case '"':
		v, err := d.json.ReadValue()
		d.scratch = append(appendScalar(append(d.scratch, '['), v), ']')
		return d.scratch[start:len(d.scratch):len(d.scratch)], err
	case '[':
	default:
		v, err := d.json.ReadValue()
		if err == nil {
			d.reject(field, "must be a list of strings, not "+kindName(v))
		}
		return nil, err
	}
	if _, err := d.json.ReadToken(); err != nil {
		return nil, err
	}
	d.scratch = append(d.scratch, '[')
	for i := 0; d.json.PeekKind() != ']'; i++ {
		v, err := d.json.ReadValue()
		if err != nil {
			return nil, err
		}
		if v.Kind() != '"' {
			d.reject(fmt.Sprintf("%s[%d]", field, i), "must be a string, not "+kindName(v))
			continue
		}
		if i > 0 {
			d.scratch = append(d.scratch, ',')
		}
		d.scratch = appendScalar(d.scratch, v)
	}
	d.scratch = append(d.scratch, ']')
	_, err := d.json.ReadToken()
	return d.scratch[start:len(d.scratch):len(d.scratch)], err
}

// expectObject reports whether an object comes next. Otherwise it reads the value
// and rejects it, unless it is null.
func (d *decoder) expectObject(field string) (bool, error) {
	if d.json.PeekKind() == '{' {
		return true, nil
	}
	v, err := d.json.ReadValue()
	if err == nil && v.Kind() != 'n' {
		d.reject(field, "must be an object, not "+kindName(v))
	}
	return false, err
}

// optionalString returns the next string, or "" for null.
func (d *decoder) optionalString(field string, limit int) (string, error) {
	v, err := d.json.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return "", err
	}
	return d.boundedString(field, v, limit), nil
}

// appendScalar appends a scalar in canonical form: strings with the fewest
// escapes, everything else unchanged.
func appendScalar(dst []byte, v jsontext.Value) []byte {
	if v.Kind() != '"' || slices.Index(v, '\\') < 0 {
		return append(dst, v...)
	}
	plain, _ := jsontext.AppendUnquote(nil, v) // cannot fail: the value has been validated
	dst, _ = jsontext.AppendQuote(dst, plain)
	return dst
}

func openOrComma(i int) byte {
	if i == 0 {
		return '{'
	}
	return ','
}
