package openapitest

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// reader makes operations of a document. It goes on after an error and keeps
// the first.
type reader struct {
	base     string
	tree     any
	compiler *jsonschema.Compiler
	err      error
}

// place is a value in the document and where it stands.
type place struct {
	reader  *reader
	pointer string
	value   any
}

func (r *reader) root() place { return place{r, "", r.tree} }

func (r *reader) failed(err error) {
	if r.err == nil {
		r.err = err
	}
}

// at goes down, and on where a reference leads. The value of what is not there
// is nil.
func (p place) at(keys ...string) place {
	for _, key := range keys {
		object, _ := p.value.(map[string]any)
		escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		p = place{p.reader, p.pointer + "/" + escaped, object[key]}.followed()
	}
	return p
}

func (p place) followed() place {
	object, _ := p.value.(map[string]any)
	ref, ok := object["$ref"].(string)
	if !ok {
		return p
	}
	led := p.reader.root().at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	if led.value == nil {
		p.reader.failed(fmt.Errorf("%s: %s is not there", p.pointer, ref))
	}
	return led
}

func (p place) text(key string) string {
	text, _ := p.at(key).value.(string)
	return text
}

func (p place) flag(key string) bool { return p.at(key).value == true }

func (p place) members() iter.Seq2[string, place] {
	return func(yield func(string, place) bool) {
		object, _ := p.value.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if !yield(key, p.at(key)) {
				return
			}
		}
	}
}

func (p place) items() iter.Seq2[int, place] {
	return func(yield func(int, place) bool) {
		list, _ := p.value.([]any)
		for i, item := range list {
			if !yield(i, place{p.reader, fmt.Sprintf("%s/%d", p.pointer, i), item}.followed()) {
				return
			}
		}
	}
}

func (r *reader) compile(p place) *jsonschema.Schema {
	schema, err := r.compiler.Compile(r.base + "#" + p.pointer)
	if err != nil {
		r.failed(fmt.Errorf("compile %s: %w", p.pointer, err))
	}
	return schema
}

func (r *reader) operation(path, method string, p place) operation {
	op := operation{
		method: strings.ToUpper(method), path: strings.Split(strings.TrimPrefix(path, "/"), "/"),
		answers: map[string]answer{},
	}
	security := p.at("security")
	if security.value == nil {
		security = r.root().at("security")
	}
	for _, wants := range security.items() {
		all := map[string]scheme{}
		for name := range wants.members() {
			s := r.root().at("components", "securitySchemes", name)
			all[name] = scheme{s.text("type") + " " + s.text("scheme"), s.text("in"), s.text("name")}
		}
		op.security = append(op.security, all)
	}
	for _, given := range p.at("parameters").items() {
		op.params = append(op.params, r.param(given.text("name"), given.text("in"), given))
	}
	if body := p.at("requestBody"); body.value != nil {
		op.needsBody, op.body = body.flag("required"), r.content(body)
	}
	for status, given := range p.at("responses").members() {
		op.answers[status] = r.answer(given)
	}
	return op
}

func (r *reader) param(name, in string, p place) param {
	schema := r.compile(p.at("schema"))
	if example, ok := p.at("example").value.(string); ok && schema != nil {
		if err := textFits(schema, example); err != nil {
			r.failed(fmt.Errorf("example of %s: %w", p.pointer, err))
		}
	}
	return param{name, in, p.flag("required"), schema}
}

func (r *reader) answer(p place) answer {
	a := answer{headers: map[string]param{}, body: r.content(p)}
	for name, header := range p.at("headers").members() {
		a.headers[http.CanonicalHeaderKey(name)] = r.param(name, "header", header)
	}
	return a
}

// content is the body that p has, whose examples fit.
func (r *reader) content(p place) *content {
	for mediaType, media := range p.at("content").members() {
		c := &content{mediaType, r.compile(place{r, media.pointer + "/schema", nil})}
		examples := []place{media.at("example")}
		for _, example := range media.at("examples").members() {
			examples = append(examples, example.at("value"))
		}
		for _, example := range examples {
			if example.value == nil || c.schema == nil {
				continue
			}
			if err := c.schema.Validate(example.value); err != nil {
				r.failed(fmt.Errorf("%s: %w", example.pointer, err))
			}
		}
		return c
	}
	return nil
}
