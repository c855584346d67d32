package rollup

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// words numbers the strings it is given, each once.
type words struct {
	of    map[string]int32
	list  []string
	bytes int64
}

func (w *words) add(s string) int32 {
	if id, known := w.of[s]; known {
		return id
	}
	own, id := strings.Clone(s), int32(len(w.list))
	w.of[own], w.list = id, append(w.list, own)
	w.bytes += int64(len(own)) + 64
	return id
}

// parsed numbers what events say of their clients ($client), each said text
// parsed once.
type parsed struct {
	of      map[string]int32
	list    []Properties // Time and Offset are 0
	scratch Properties
	bytes   int64
}

// add is the number of raw; none when it says nothing.
func (p *parsed) add(raw string) int32 {
	if id, known := p.of[raw]; known {
		return id
	}
	own := strings.Clone(raw)
	said := said(own)
	id := int32(none)
	if len(said) > 0 {
		id = int32(len(p.list))
		p.list = append(p.list, said)
	}
	p.of[own] = id
	p.bytes += int64(len(own)) + 96 + 64*int64(len(said))
	return id
}

// at is what number id says, as said at a time and offset. It is valid until
// the next call.
func (p *parsed) at(id int32, time, offset int64) Properties {
	p.scratch = append(p.scratch[:0], p.list[id]...)
	for i := range p.scratch {
		p.scratch[i].Time, p.scratch[i].Offset = time, offset
	}
	return p.scratch
}

// said reads a flat JSON object: what is null or empty clears. What is no
// object says nothing: the row keeps it for who can read it. The result shares
// memory with raw.
func said(raw string) Properties {
	if p, ok := saidPlain(raw); ok {
		return p
	}
	return saidAny(raw)
}

// saidPlain cuts what most clients send out of raw.
func saidPlain(raw string) (Properties, bool) {
	out, rest, ok := plainObject(make(Properties, 0, strings.Count(raw, `":`)), raw, moment{})
	if !ok || rest != "" {
		return nil, false
	}
	slices.SortFunc(out, byName)
	return out, sorted(out)
}

func saidAny(raw string) Properties {
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
		out = append(out, Property{Name: key, Value: settled(value)})
	}
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '}' {
		return nil
	}
	slices.SortFunc(out, byName)
	return out
}

// settled is value in the one form a rollup keeps it in.
func settled(value jsontext.Value) string {
	if err := value.Compact(); err != nil || string(value) == `""` {
		return cleared
	}
	return string(value)
}
