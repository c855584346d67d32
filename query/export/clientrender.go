package export

import (
	"cmp"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
)

// Bounds of the values of clients that are kept in the form in which they are
// written: how many different ones, and their bytes.
const (
	maxRenders     = 4096
	maxRenderBytes = 8 << 20
)

// rendered is what is known of a client at an event, as exports write it.
type rendered struct {
	texts []string // by index in clientKeys; "" for what is not known or was cleared. nil where every property is kept
	json  []byte   // an object of what is known, ordered by name; nil where texts are kept
}

type renderKey struct {
	state int32
	own   *propertySet
}

// at returns what is known of a client at a row that reports own; nil is nothing.
func (v *clientValues) at(id int64, at stamp, own *propertySet) *rendered {
	key := renderKey{v.stateAt(id, at), own}
	out, known := v.renders[key]
	if known {
		return out
	}
	if len(v.renders) >= maxRenders || v.renderBytes > maxRenderBytes {
		clear(v.renders)
		v.renderBytes = 0
	}
	out = v.render(key)
	v.renders[key] = out
	v.renderBytes += len(out.json) + 16*len(out.texts)
	return out
}

func (v *clientValues) render(key renderKey) *rendered {
	values := map[int32]string{}
	for _, p := range v.objects.objects[key.state].pairs {
		values[p.name] = v.objects.values[p.value]
	}
	if key.own != nil {
		for i, name := range key.own.names {
			values[name] = key.own.values[i]
		}
	}
	if v.objects.all {
		return &rendered{json: v.appendJSON(nil, values)}
	}
	texts := make([]string, len(v.objects.names))
	for name, value := range values {
		texts[name], _ = property.Find(v.objects.names[name]).Type.Read(value)
	}
	return &rendered{texts: texts}
}

// appendJSON appends values by name as one object, without the cleared ones.
func (v *clientValues) appendJSON(dst []byte, values map[int32]string) []byte {
	var names []int32
	for name, value := range values {
		if value != v.objects.values[0] {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b int32) int { return cmp.Compare(v.objects.names[a], v.objects.names[b]) })
	dst = append(dst, '{')
	for n, name := range names {
		if n > 0 {
			dst = append(dst, ',')
		}
		dst, _ = jsontext.AppendQuote(dst, v.objects.names[name]) // invalid UTF-8 becomes U+FFFD: JSON cannot express it
		dst = append(append(dst, ':'), values[name]...)
	}
	return append(dst, '}')
}
