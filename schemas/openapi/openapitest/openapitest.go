// Package openapitest keeps the OpenAPI documents and the code in step: tests send
// their requests through Wrap, and an exchange that the documents do not describe
// fails the test.
//
// An exchange must satisfy:
//
//   - Path, method, status and response headers are documented, required headers are
//     present, and all values match their schemas.
//   - The body of the response has the documented media type and matches its schema.
//   - A request that is answered 2xx has the documented credentials, parameters and
//     body: the server accepts nothing that the documents do not tell a client.
//
// The response for an unknown path must match the member x-other-paths of a document.
package openapitest

import (
	_ "embed" // the schema of OpenAPI 3.1
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"weir/schemas/openapi"
)

// metaSchema is the JSON schema of OpenAPI 3.1 documents, published as
// https://spec.openapis.org/oas/3.1/schema/2022-10-07.
//
//go:embed oas-3.1.json
var metaSchema string

// Checker checks exchanges against all documents.
type Checker struct {
	operations []operation
	others     []otherPaths
}

// operation is one method of one path.
type operation struct {
	method    string
	path      []string // its elements; {name} matches any
	security  []map[string]scheme
	params    []param
	body      *content // of a request; nil for none
	needsBody bool
	responses map[string]response // by status
}

// scheme is a security scheme: an HTTP scheme, or an API key in a header or cookie.
type scheme struct{ kind, in, name string }

// param is a documented parameter of a request, or a header of a response.
type param struct {
	name, in string
	required bool
	schema   *jsonschema.Schema
}

// content is a documented body.
type content struct {
	mediaType string
	schema    *jsonschema.Schema
}

// response is a documented response of one status.
type response struct {
	headers map[string]param // by canonical name
	body    *content         // nil for none
}

// otherPaths describes the response for unknown paths with a prefix.
type otherPaths struct {
	under    string
	response response
}

// New parses the documents, and checks that they are OpenAPI 3.1 and that each
// example matches its schema.
func New() (*Checker, error) {
	docs, err := openapi.Documents()
	if err != nil {
		return nil, err
	}
	meta, err := compileMeta()
	if err != nil {
		return nil, err
	}
	c := &Checker{}
	for _, doc := range docs {
		tree, err := jsonschema.UnmarshalJSON(strings.NewReader(string(doc.JSON)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", doc.Name, err)
		}
		if err := meta.Validate(tree); err != nil {
			return nil, fmt.Errorf("%s is not OpenAPI 3.1: %w", doc.Name, err)
		}
		if err := c.add(doc.Name, tree); err != nil {
			return nil, fmt.Errorf("%s: %w", doc.Name, err)
		}
	}
	return c, nil
}

// compileMeta compiles the schema that the documents themselves must match.
func compileMeta() (*jsonschema.Schema, error) {
	tree, err := jsonschema.UnmarshalJSON(strings.NewReader(metaSchema))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("oas-3.1.json", tree); err != nil {
		return nil, err
	}
	return compiler.Compile("oas-3.1.json")
}

// Operations lists every operation as "METHOD /path".
func (c *Checker) Operations() []string {
	var all []string
	for _, op := range c.operations {
		all = append(all, op.method+" /"+strings.Join(op.path, "/"))
	}
	return all
}

// add reads all operations and compiles all schemas of a document. It also compiles
// named schemas that no operation uses, so that a mistake in them is found.
func (c *Checker) add(name string, tree any) error {
	r := &documentReader{base: "weir:///" + name + ".json", tree: tree, compiler: jsonschema.NewCompiler()}
	r.compiler.DefaultDraft(jsonschema.Draft2020)
	r.compiler.AssertFormat()
	if err := r.compiler.AddResource(r.base, tree); err != nil {
		return err
	}
	root := r.root()
	for path, item := range root.lookup("paths").members() {
		for method, op := range item.members() {
			c.operations = append(c.operations, r.operation(path, method, op))
		}
	}
	for schema := range root.lookup("components", "schemas").members() {
		r.compile(root.lookup("components", "schemas", schema))
	}
	if other := root.lookup("x-other-paths"); other.value != nil {
		c.others = append(c.others, otherPaths{other.text("under"), r.response(other.lookup("response"))})
	}
	return r.err
}

// find returns the operation of a request, and an operation of the same path with
// whatever method.
func (c *Checker) find(r *http.Request) (op, allowed *operation) {
	parts := strings.Split(strings.TrimPrefix(path(r), "/"), "/")
	for i := range c.operations {
		candidate := &c.operations[i]
		if !candidate.matchesPath(parts) {
			continue
		}
		if candidate.method == r.Method {
			return candidate, candidate
		}
		if allowed == nil {
			allowed = candidate
		}
	}
	return nil, allowed
}

// matchesPath reports whether the elements of a request path match those of op.
func (op *operation) matchesPath(parts []string) bool {
	if len(parts) != len(op.path) {
		return false
	}
	for i, part := range op.path {
		if strings.HasPrefix(part, "{") && parts[i] != "" {
			continue
		}
		if part != parts[i] {
			return false
		}
	}
	return true
}

// statuses returns the documented statuses of an operation.
func (op *operation) statuses() []string { return slices.Sorted(maps.Keys(op.responses)) }
