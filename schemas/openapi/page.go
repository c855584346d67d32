package openapi

import (
	"bytes"
	"cmp"
	_ "embed" // the page's template
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

//go:embed page.html
var pageText string

// The views are the data of the page's template. Strings are plain text that the
// template escapes; template.HTML is escaped already.
type (
	documentView struct {
		Name, Title, Version, Summary string
		Description                   template.HTML
		Security                      []fieldView
		Groups                        []groupView
		Schemas                       []schemaView
	}
	groupView struct { // the operations of a tag
		Name, Anchor string
		Description  template.HTML
		Operations   []operationView
	}
	operationView struct {
		Anchor, Method, Summary string
		Path                    template.HTML // lines may break after each slash
		Description             template.HTML
		Security                string // required credentials; "" for none
		Parameters              []fieldView
		Body                    *bodyView
		Responses               []responseView
	}
	responseView struct {
		Status, Reason string
		Description    template.HTML
		Headers        []fieldView
		Body           *bodyView
	}
	bodyView struct {
		Description template.HTML
		MediaType   string
		Schema      schemaView
		Examples    []exampleView
	}
	schemaView struct {
		Name, Anchor string
		Description  template.HTML
		Type         template.HTML
		Rules        []string
		Fields       []fieldView
	}
	fieldView struct {
		Name, In    string
		Required    bool
		Type        template.HTML
		Rules       []string
		Description template.HTML
		Example     string
	}
	exampleView struct{ Summary, Text string }
)

// renderPage renders one page of all documents.
func renderPage(docs []Document) ([]byte, error) {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var views []documentView
	for _, doc := range docs {
		views = append(views, newRenderer(doc).document())
	}
	var b bytes.Buffer
	if err := page.Execute(&b, views); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// renderer builds the views of one document. It works on the parsed YAML rather than on
// Go types, so that the page keeps the order in which the documents are written.
type renderer struct {
	name string
	root *yaml.Node
}

func newRenderer(doc Document) *renderer { return &renderer{doc.Name, doc.root} }

// document builds the view of a whole document: its credentials, operations and named
// schemas.
func (p *renderer) document() documentView {
	v := documentView{
		Name: p.name, Title: lookupText(p.root, "info", "title"), Version: lookupText(p.root, "info", "version"),
		Summary: lookupText(p.root, "info", "summary"), Description: paragraphs(lookupText(p.root, "info", "description")),
	}
	for name, scheme := range members(lookup(p.root, "components", "securitySchemes")) {
		f := fieldView{Name: name, Description: paragraphs(lookupText(scheme, "description"))}
		f.Type = escape("HTTP " + lookupText(scheme, "scheme"))
		if lookupText(scheme, "type") == "apiKey" {
			f.Type = escape(lookupText(scheme, "in") + " " + lookupText(scheme, "name"))
		}
		v.Security = append(v.Security, f)
	}
	v.Groups = p.groups()
	for name, schema := range members(lookup(p.root, "components", "schemas")) {
		s := p.schema(schema)
		s.Name, s.Anchor = name, p.anchor(name)
		v.Schemas = append(v.Schemas, s)
	}
	return v
}

// groups returns the operations grouped by their first tag, in the order of the
// tags. Operations without a tag are in a group without a name.
func (p *renderer) groups() []groupView {
	all := []groupView{{Anchor: p.anchor("untagged")}}
	of := map[string]int{}
	for tag := range items(lookup(p.root, "tags")) {
		name := lookupText(tag, "name")
		of[name] = len(all)
		all = append(all, groupView{
			Name: name, Anchor: p.anchor("tag-" + strings.ReplaceAll(name, " ", "-")), Description: paragraphs(lookupText(tag, "description")),
		})
	}
	shown := map[*yaml.Node]bool{} // an operation that several paths share is listed once
	for path, item := range members(lookup(p.root, "paths")) {
		for method, op := range members(item) {
			if shown[op] {
				continue
			}
			shown[op] = true
			group := 0
			for tag := range items(lookup(op, "tags")) {
				group = of[tag.Value]
				break
			}
			all[group].Operations = append(all[group].Operations, p.operation(path, method, op))
		}
	}
	return slices.DeleteFunc(all, func(g groupView) bool { return len(g.Operations) == 0 })
}

// anchor returns an id that is unique on the page of all documents: it begins
// with the document's name.
func (p *renderer) anchor(name string) string { return p.name + "." + name }

// operation builds the view of one method of a path. A path may break after each
// slash, as long ones would not fit the navigation.
func (p *renderer) operation(path, method string, op *yaml.Node) operationView {
	v := operationView{
		Anchor: p.anchor(cmp.Or(lookupText(op, "operationId"), method)), Method: strings.ToUpper(method),
		Path:    template.HTML(strings.ReplaceAll(template.HTMLEscapeString(path), "/", "/<wbr>")), //nolint:gosec // it is escaped
		Summary: lookupText(op, "summary"), Description: paragraphs(lookupText(op, "description")), Security: p.security(op),
	}
	for param := range items(lookup(op, "parameters")) {
		param, _ = resolveRef(p.root, param)
		f := p.field(lookupText(param, "name"), lookup(param, "schema"))
		f.In, f.Required = lookupText(param, "in"), lookupText(param, "required") == "true"
		f.Description, f.Example = paragraphs(lookupText(param, "description")), lookupText(param, "example")
		v.Parameters = append(v.Parameters, f)
	}
	if body := lookup(op, "requestBody"); body != nil {
		v.Body = p.body(lookup(body, "content"))
		v.Body.Description = paragraphs(lookupText(body, "description"))
	}
	for status, answer := range members(lookup(op, "responses")) {
		v.Responses = append(v.Responses, p.response(status, answer))
	}
	return v
}

// security returns the names of the credentials that an operation accepts.
func (p *renderer) security(op *yaml.Node) string {
	wants := lookup(op, "security")
	if wants == nil {
		wants = lookup(p.root, "security")
	}
	var names []string
	for want := range items(wants) {
		for name := range members(want) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// response builds the view of one response of an operation.
func (p *renderer) response(status string, answer *yaml.Node) responseView {
	answer, _ = resolveRef(p.root, answer)
	code, _ := strconv.Atoi(status) // not a number, as "default": no reason phrase
	v := responseView{Status: status, Reason: http.StatusText(code), Description: paragraphs(lookupText(answer, "description"))}
	for name, header := range members(lookup(answer, "headers")) {
		header, _ = resolveRef(p.root, header)
		f := p.field(name, lookup(header, "schema"))
		f.Required, f.Example = lookupText(header, "required") == "true", lookupText(header, "example")
		f.Description = paragraphs(lookupText(header, "description"))
		v.Headers = append(v.Headers, f)
	}
	if content := lookup(answer, "content"); content != nil {
		v.Body = p.body(content)
	}
	return v
}

// body builds the view of a request or response body. The documents have one media type
// for each body. A body of a named schema lists the fields of that schema.
func (p *renderer) body(content *yaml.Node) *bodyView {
	v := &bodyView{}
	for mediaType, media := range members(content) {
		schema := lookup(media, "schema")
		v.MediaType, v.Schema = mediaType, p.schema(schema)
		if whole, name := resolveRef(p.root, schema); name != "" {
			v.Schema.Fields = p.fields("", whole)
		}
		if example := lookup(media, "example"); example != nil {
			v.Examples = append(v.Examples, exampleView{"Example", indentJSON(example)})
		}
		for _, example := range members(lookup(media, "examples")) {
			v.Examples = append(v.Examples, exampleView{lookupText(example, "summary"), indentJSON(lookup(example, "value"))})
		}
	}
	return v
}

// schema builds the view of a schema without following a reference to a named one.
func (p *renderer) schema(n *yaml.Node) schemaView {
	return schemaView{
		Description: paragraphs(lookupText(n, "description")), Type: p.typeHTML(n), Rules: rules(n), Fields: p.fields("", n),
	}
}

// fields returns the members of an object: first those that it includes by allOf,
// then its own, each followed by the members of unnamed objects within it.
func (p *renderer) fields(prefix string, n *yaml.Node) []fieldView {
	required := map[string]bool{}
	for name := range items(lookup(n, "required")) {
		required[name.Value] = true
	}
	var all []fieldView
	for part := range items(lookup(n, "allOf")) {
		part, _ = resolveRef(p.root, part)
		all = append(all, p.fields(prefix, part)...)
	}
	for name, schema := range members(lookup(n, "properties")) {
		f := p.field(prefix+name, schema)
		f.Required = required[name]
		all = append(all, f)
		all = append(all, p.fields(prefix+name+".", schema)...)
		all = append(all, p.fields(prefix+name+"[].", lookup(schema, "items"))...)
	}
	return all
}

// field builds the view of a parameter, header or member.
func (p *renderer) field(name string, schema *yaml.Node) fieldView {
	return fieldView{Name: name, Type: p.typeHTML(schema), Rules: rules(schema), Description: paragraphs(lookupText(schema, "description"))}
}

// typeHTML describes the type of a schema in a few words, with links to named ones.
func (p *renderer) typeHTML(n *yaml.Node) template.HTML {
	if _, name := resolveRef(p.root, n); name != "" {
		return template.HTML(fmt.Sprintf(`<a href="#%s">%s</a>`, //nolint:gosec // both are escaped
			template.HTMLEscapeString(p.anchor(name)), template.HTMLEscapeString(name)))
	}
	for _, choice := range []string{"oneOf", "anyOf"} {
		if list := lookup(n, choice); list != nil {
			return p.typeListHTML(" or ", list)
		}
	}
	if list := lookup(n, "allOf"); list != nil {
		return p.typeListHTML(", ", list)
	}
	var words []template.HTML
	for _, t := range typeNames(n) {
		word := escape(t)
		if t == "array" {
			word = "list of " + p.typeHTML(lookup(n, "items"))
		}
		if more := lookup(n, "additionalProperties"); t == "object" && more != nil && more.Kind == yaml.MappingNode {
			word = "object of " + p.typeHTML(more)
		}
		words = append(words, word)
	}
	return joinHTML(words, " or ")
}

// typeListHTML describes the alternatives of oneOf and anyOf or the parts of allOf, each
// with its constraints. An alternative that only constrains members is described by
// these.
func (p *renderer) typeListHTML(between template.HTML, list *yaml.Node) template.HTML {
	var words []template.HTML
	for choice := range items(list) {
		word := p.typeHTML(choice)
		if rest := rules(choice); len(rest) > 0 {
			word += escape(" (" + strings.Join(rest, ", ") + ")")
		}
		for name, schema := range members(lookup(choice, "properties")) {
			word = escape(name + " " + strings.Join(rules(schema), ", "))
			words = append(words, word)
			word = ""
		}
		if word != "" {
			words = append(words, word)
		}
	}
	return joinHTML(words, between)
}

// typeNames returns the types of a schema: OpenAPI 3.1 allows one or a list.
func typeNames(n *yaml.Node) []string {
	var names []string
	for t := range items(lookup(n, "type")) {
		names = append(names, t.Value)
	}
	if t := lookupText(n, "type"); t != "" {
		names = append(names, t)
	}
	return names
}

// rules describes the constraints of a schema beyond its type.
func rules(n *yaml.Node) []string {
	var all []string
	for key, value := range members(n) {
		switch key {
		case "const":
			all = append(all, "is "+compactJSON(value))
		case "enum":
			var words []string
			for v := range items(value) {
				words = append(words, compactJSON(v))
			}
			all = append(all, "one of "+strings.Join(words, ", "))
		case "default":
			all = append(all, "default "+compactJSON(value))
		case "minimum":
			all = append(all, "at least "+value.Value)
		case "maximum":
			all = append(all, "at most "+value.Value)
		case "exclusiveMaximum":
			all = append(all, "below "+value.Value)
		case "minLength":
			all = append(all, "at least "+value.Value+" characters")
		case "maxLength":
			all = append(all, "at most "+value.Value+" characters")
		case "minItems":
			all = append(all, "at least "+value.Value+" items")
		case "maxItems":
			all = append(all, "at most "+value.Value+" items")
		case "maxProperties":
			all = append(all, "at most "+value.Value+" members")
		case "pattern":
			all = append(all, "like "+value.Value)
		}
	}
	return all
}

// escape turns plain text into HTML.
func escape(text string) template.HTML {
	return template.HTML(template.HTMLEscapeString(text)) //nolint:gosec // it is escaped
}

// joinHTML is strings.Join for HTML.
func joinHTML(words []template.HTML, between template.HTML) template.HTML {
	var all template.HTML
	for i, w := range words {
		if i > 0 {
			all += between
		}
		all += w
	}
	return all
}

// paragraphs renders a description as HTML: paragraphs, and code between backticks.
func paragraphs(text string) template.HTML {
	var all template.HTML
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.TrimSpace(paragraph) == "" {
			continue
		}
		all += "<p>"
		for i, part := range strings.Split(paragraph, "`") {
			if i%2 == 0 {
				all += escape(part)
			} else {
				all += "<code>" + escape(part) + "</code>"
			}
		}
		all += "</p>"
	}
	return all
}
