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

// documentReader builds the operations of a document. It continues after an error
// and keeps the first one.
type documentReader struct {
	base     string
	tree     any
	compiler *jsonschema.Compiler
	err      error
}

// node is a value in the document and its JSON pointer.
type node struct {
	reader  *documentReader
	pointer string
	value   any
}

func (r *documentReader) root() node { return node{r, "", r.tree} }

func (r *documentReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// lookup descends by keys and follows references. The value of a missing node is
// nil.
func (p node) lookup(keys ...string) node {
	for _, key := range keys {
		object, _ := p.value.(map[string]any)
		escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		p = node{p.reader, p.pointer + "/" + escaped, object[key]}.resolveRef()
	}
	return p
}

func (p node) resolveRef() node {
	object, _ := p.value.(map[string]any)
	ref, ok := object["$ref"].(string)
	if !ok {
		return p
	}
	resolved := p.reader.root().lookup(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	if resolved.value == nil {
		p.reader.fail(fmt.Errorf("%s: %s does not exist", p.pointer, ref))
	}
	return resolved
}

func (p node) text(key string) string {
	text, _ := p.lookup(key).value.(string)
	return text
}

func (p node) isTrue(key string) bool { return p.lookup(key).value == true }

// members yields the members of an object in the order of their names.
func (p node) members() iter.Seq2[string, node] {
	return func(yield func(string, node) bool) {
		object, _ := p.value.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(object)) {
			if !yield(key, p.lookup(key)) {
				return
			}
		}
	}
}

// items yields the elements of a list.
func (p node) items() iter.Seq2[int, node] {
	return func(yield func(int, node) bool) {
		list, _ := p.value.([]any)
		for i, item := range list {
			if !yield(i, node{p.reader, fmt.Sprintf("%s/%d", p.pointer, i), item}.resolveRef()) {
				return
			}
		}
	}
}

// compile compiles the schema at p. References within the document are resolved by the
// compiler.
func (r *documentReader) compile(p node) *jsonschema.Schema {
	schema, err := r.compiler.Compile(r.base + "#" + p.pointer)
	if err != nil {
		r.fail(fmt.Errorf("compile %s: %w", p.pointer, err))
	}
	return schema
}

// operation reads one method of a path. Without security of its own it has that of the
// document.
func (r *documentReader) operation(path, method string, p node) operation {
	op := operation{
		method: strings.ToUpper(method), path: strings.Split(strings.TrimPrefix(path, "/"), "/"),
		responses: map[string]response{},
	}
	security := p.lookup("security")
	if security.value == nil {
		security = r.root().lookup("security")
	}
	for _, wants := range security.items() {
		all := map[string]scheme{}
		for name := range wants.members() {
			s := r.root().lookup("components", "securitySchemes", name)
			all[name] = scheme{s.text("type") + " " + s.text("scheme"), s.text("in"), s.text("name")}
		}
		op.security = append(op.security, all)
	}
	for _, given := range p.lookup("parameters").items() {
		op.params = append(op.params, r.param(given.text("name"), given.text("in"), given))
	}
	if body := p.lookup("requestBody"); body.value != nil {
		op.needsBody, op.body = body.isTrue("required"), r.content(body)
	}
	for status, given := range p.lookup("responses").members() {
		op.responses[status] = r.response(given)
	}
	return op
}

// param reads a parameter or header, and checks that its example matches the schema.
func (r *documentReader) param(name, in string, p node) param {
	schema := r.compile(p.lookup("schema"))
	if example, ok := p.lookup("example").value.(string); ok && schema != nil {
		if err := validateText(schema, example); err != nil {
			r.fail(fmt.Errorf("example of %s: %w", p.pointer, err))
		}
	}
	return param{name, in, p.isTrue("required"), schema}
}

func (r *documentReader) response(p node) response {
	a := response{headers: map[string]param{}, body: r.content(p)}
	for name, header := range p.lookup("headers").members() {
		a.headers[http.CanonicalHeaderKey(name)] = r.param(name, "header", header)
	}
	return a
}

// content returns the body of p after checking that its examples match the schema.
func (r *documentReader) content(p node) *content {
	for mediaType, media := range p.lookup("content").members() {
		c := &content{mediaType, r.compile(node{r, media.pointer + "/schema", nil})}
		examples := []node{media.lookup("example")}
		for _, example := range media.lookup("examples").members() {
			examples = append(examples, example.lookup("value"))
		}
		for _, example := range examples {
			if example.value == nil || c.schema == nil {
				continue
			}
			if err := c.schema.Validate(example.value); err != nil {
				r.fail(fmt.Errorf("%s: %w", example.pointer, err))
			}
		}
		return c
	}
	return nil
}
