package rollup

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// stringTable interns strings: equal strings get the same id. It keeps its own copy
// of each, because strings of a batch die with the batch.
type stringTable struct {
	ids     map[string]int32
	strings []string
	bytes   int64
}

func (t *stringTable) add(s string) int32 {
	if id, known := t.ids[s]; known {
		return id
	}
	own, id := strings.Clone(s), int32(len(t.strings))
	t.ids[own], t.strings = id, append(t.strings, own)
	t.bytes += int64(len(own)) + 64
	return id
}

// propertyTable interns the client properties of events ($client): each distinct
// text is parsed once.
type propertyTable struct {
	ids        map[string]int32
	properties []Properties // Bounded; Time and Offset are 0
	scratch    Properties
	bytes      int64
	dropped    int64 // properties that Bounded left out
}

// add returns the id of raw; noID if it has no properties.
func (p *propertyTable) add(raw string) int32 {
	if id, known := p.ids[raw]; known {
		return id
	}
	own := strings.Clone(raw)
	all := ParseClientProperties(own)
	parsed := all.Bounded()
	p.dropped += int64(len(all) - len(parsed))
	id := int32(noID)
	if len(parsed) > 0 {
		id = int32(len(p.properties))
		p.properties = append(p.properties, parsed)
	}
	p.ids[own] = id
	p.bytes += int64(len(own)) + 96 + 64*int64(len(parsed))
	return id
}

// appendStamped appends the properties of id with a time and offset.
func (p *propertyTable) appendStamped(to Properties, id int32, time, offset int64) Properties {
	from := len(to)
	to = append(to, p.properties[id]...)
	for i := range to[from:] {
		to[from+i].Time, to[from+i].Offset = time, offset
	}
	return to
}

// ParseClientProperties parses the client properties of an event ($client), which
// are a flat JSON object: ordered by name, times and offsets 0. A null or empty
// value clears its property. Text that is not an object yields no properties; the event keeps
// the text. The result shares memory with raw.
func ParseClientProperties(raw string) Properties {
	if p, ok := parseFlatUnescaped(raw); ok {
		return p
	}
	return parseFlatJSON(raw)
}

// parseFlatUnescaped parses what most clients send, without copying: an object of
// scalars without escapes.
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

// normalizeValue returns value in the one form in which rollups keep it, so that
// equal values are equal texts.
func normalizeValue(value jsontext.Value) string {
	if err := value.Compact(); err != nil || string(value) == `""` {
		return cleared
	}
	return string(value)
}
