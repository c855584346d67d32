// Package openapitest holds the OpenAPI documents to the code, and the code to
// them: tests send their requests through Wrap, and an exchange that the
// documents do not know fails the test.
//
// What it asks of an exchange:
//
//   - path, method and status are documented, the answer's headers are, those
//     that are required are there, and all values fit their schemas;
//   - the body of the answer is of the documented type and fits its schema;
//   - a request that is answered 2xx brought the credentials, parameters and
//     body that are documented: nothing is taken that no client can know of.
//
// What is not there is answered as the member x-other-paths of a document says.
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

// metaSchema is that of the OpenAPI Initiative,
// https://spec.openapis.org/oas/3.1/schema/2022-10-07.
//
//go:embed oas-3.1.json
var metaSchema string

// Checker knows all documents.
type Checker struct {
	operations []operation
	others     []otherPaths
}

// operation is one method of a path.
type operation struct {
	method    string
	path      []string // its parts; {name} fits any
	security  []map[string]scheme
	params    []param
	body      *content // of a request; nil has none
	needsBody bool
	responses map[string]response // by status
}

type scheme struct{ kind, in, name string }

type param struct {
	name, in string
	required bool
	schema   *jsonschema.Schema
}

type content struct {
	mediaType string
	schema    *jsonschema.Schema
}

type response struct {
	headers map[string]param // by canonical name
	body    *content         // nil has none
}

// otherPaths says how a path that is not there is answered.
type otherPaths struct {
	under    string
	response response
}

// New reads the documents, and checks that they are OpenAPI 3.1 and that each
// example fits its schema.
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

// Operations names every operation as "METHOD /path".
func (c *Checker) Operations() []string {
	var all []string
	for _, op := range c.operations {
		all = append(all, op.method+" /"+strings.Join(op.path, "/"))
	}
	return all
}

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

// find is the operation for a request, or else another one of the same path.
func (c *Checker) find(r *http.Request) (op, allowed *operation) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
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

// statuses are what an operation is documented to answer.
func (op *operation) statuses() []string { return slices.Sorted(maps.Keys(op.responses)) }
