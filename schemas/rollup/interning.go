package rollup

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// stringTable numbers the strings it is given, each once.
type stringTable struct {
	ids     map[string]int32
	strings []string
	bytes   int64
}

func (w *stringTable) add(s string) int32 {
	if id, known := w.ids[s]; known {
		return id
	}
	own, id := strings.Clone(s), int32(len(w.strings))
	w.ids[own], w.strings = id, append(w.strings, own)
	w.bytes += int64(len(own)) + 64
	return id
}

// propertyTable numbers what events say of their clients ($client), each said text
// parsed once.
type propertyTable struct {
	ids        map[string]int32
	properties []Properties // Time and Offset are 0
	scratch    Properties
	bytes      int64
}

// add is the number of raw; none when it says nothing.
func (p *propertyTable) add(raw string) int32 {
	if id, known := p.ids[raw]; known {
		return id
	}
	own := strings.Clone(raw)
	said := parseClientProperties(own)
	id := int32(noID)
	if len(said) > 0 {
		id = int32(len(p.properties))
		p.properties = append(p.properties, said)
	}
	p.ids[own] = id
	p.bytes += int64(len(own)) + 96 + 64*int64(len(said))
	return id
}

// stamped is what number id says, as said at a time and offset. It is valid until
// the next call.
func (p *propertyTable) stamped(id int32, time, offset int64) Properties {
	p.scratch = append(p.scratch[:0], p.properties[id]...)
	for i := range p.scratch {
		p.scratch[i].Time, p.scratch[i].Offset = time, offset
	}
	return p.scratch
}

// parseClientProperties reads a flat JSON object: what is null or empty clears. What is no
// object says nothing: the row keeps it for who can read it. The result shares
// memory with raw.
func parseClientProperties(raw string) Properties {
	if p, ok := parseFlatUnescaped(raw); ok {
		return p
	}
	return parseFlatJSON(raw)
}

// parseFlatUnescaped cuts what most clients send out of raw.
func parseFlatUnescaped(raw string) (Properties, bool) {
	out, rest, ok := cutObject(make(Properties, 0, strings.Count(raw, `":`)), raw, stamp{})
	if !ok || rest != "" {
		return nil, false
	}
	slices.SortFunc(out, compareNames)
	return out, strictlySorted(out)
}

func parseFlatJSON(raw string) Properties {
	dec := jsontext.NewDecoder(strings.NewReader(raw))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return nil
	}
	var out Properties
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil
		}
		out = append(out, Property{Name: key, Value: normalizeValue(value)})
	}
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '}' {
		return nil
	}
	slices.SortFunc(out, compareNames)
	return out
}

// normalizeValue is value in the one form a rollup keeps it in.
func normalizeValue(value jsontext.Value) string {
	if err := value.Compact(); err != nil || string(value) == `""` {
		return cleared
	}
	return string(value)
}
