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

// What the page shows of a document. Texts are plain, or HTML where they say
// so.
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
		Path                    template.HTML // may break behind each slash
		Description             template.HTML
		Security                string // what it wants; "" is nothing
		Parameters              []fieldView
		Body                    *bodyView
		Answers                 []answerView
	}
	answerView struct {
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

// renderPage makes one page of all documents.
func renderPage(docs []Document) ([]byte, error) {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var views []documentView
	for _, doc := range docs {
		views = append(views, newPainter(doc).document())
	}
	var b bytes.Buffer
	if err := page.Execute(&b, views); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// painter makes views of one document.
type painter struct {
	name string
	root *yaml.Node
}

func newPainter(doc Document) *painter { return &painter{doc.Name, doc.root} }

func (p *painter) document() documentView {
	v := documentView{
		Name: p.name, Title: textAt(p.root, "info", "title"), Version: textAt(p.root, "info", "version"),
		Summary: textAt(p.root, "info", "summary"), Description: prose(textAt(p.root, "info", "description")),
	}
	for name, scheme := range members(at(p.root, "components", "securitySchemes")) {
		f := fieldView{Name: name, Description: prose(textAt(scheme, "description"))}
		f.Type = html("HTTP " + textAt(scheme, "scheme"))
		if textAt(scheme, "type") == "apiKey" {
			f.Type = html(textAt(scheme, "in") + " " + textAt(scheme, "name"))
		}
		v.Security = append(v.Security, f)
	}
	v.Groups = p.groups()
	for name, schema := range members(at(p.root, "components", "schemas")) {
		s := p.schema(schema)
		s.Name, s.Anchor = name, p.anchor(name)
		v.Schemas = append(v.Schemas, s)
	}
	return v
}

// groups are the operations by their first tag, in the order of the tags; what
// has none of these is in a group without a name.
func (p *painter) groups() []groupView {
	all := []groupView{{Anchor: p.anchor("untagged")}}
	of := map[string]int{}
	for tag := range items(at(p.root, "tags")) {
		name := textAt(tag, "name")
		of[name] = len(all)
		all = append(all, groupView{
			Name: name, Anchor: p.anchor("tag-" + strings.ReplaceAll(name, " ", "-")), Description: prose(textAt(tag, "description")),
		})
	}
	shown := map[*yaml.Node]bool{} // what several paths share is shown once
	for path, item := range members(at(p.root, "paths")) {
		for method, op := range members(item) {
			if shown[op] {
				continue
			}
			shown[op] = true
			group := 0
			for tag := range items(at(op, "tags")) {
				group = of[tag.Value]
				break
			}
			all[group].Operations = append(all[group].Operations, p.operation(path, method, op))
		}
	}
	return slices.DeleteFunc(all, func(g groupView) bool { return len(g.Operations) == 0 })
}

func (p *painter) anchor(name string) string { return p.name + "." + name }

func (p *painter) operation(path, method string, op *yaml.Node) operationView {
	v := operationView{
		Anchor: p.anchor(cmp.Or(textAt(op, "operationId"), method)), Method: strings.ToUpper(method),
		Path:    template.HTML(strings.ReplaceAll(template.HTMLEscapeString(path), "/", "/<wbr>")), //nolint:gosec // it is escaped
		Summary: textAt(op, "summary"), Description: prose(textAt(op, "description")), Security: p.security(op),
	}
	for param := range items(at(op, "parameters")) {
		param, _ = follow(p.root, param)
		f := p.field(textAt(param, "name"), at(param, "schema"))
		f.In, f.Required = textAt(param, "in"), textAt(param, "required") == "true"
		f.Description, f.Example = prose(textAt(param, "description")), textAt(param, "example")
		v.Parameters = append(v.Parameters, f)
	}
	if body := at(op, "requestBody"); body != nil {
		v.Body = p.body(at(body, "content"))
		v.Body.Description = prose(textAt(body, "description"))
	}
	for status, answer := range members(at(op, "responses")) {
		v.Answers = append(v.Answers, p.answer(status, answer))
	}
	return v
}

// security is what an operation wants: one of the names, or nothing.
func (p *painter) security(op *yaml.Node) string {
	wants := at(op, "security")
	if wants == nil {
		wants = at(p.root, "security")
	}
	var names []string
	for want := range items(wants) {
		for name := range members(want) {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

func (p *painter) answer(status string, answer *yaml.Node) answerView {
	answer, _ = follow(p.root, answer)
	code, _ := strconv.Atoi(status) // what is no number has no reason
	v := answerView{Status: status, Reason: http.StatusText(code), Description: prose(textAt(answer, "description"))}
	for name, header := range members(at(answer, "headers")) {
		header, _ = follow(p.root, header)
		f := p.field(name, at(header, "schema"))
		f.Required, f.Example = textAt(header, "required") == "true", textAt(header, "example")
		f.Description = prose(textAt(header, "description"))
		v.Headers = append(v.Headers, f)
	}
	if content := at(answer, "content"); content != nil {
		v.Body = p.body(content)
	}
	return v
}

func (p *painter) body(content *yaml.Node) *bodyView {
	v := &bodyView{}
	for mediaType, media := range members(content) {
		schema := at(media, "schema")
		v.MediaType, v.Schema = mediaType, p.schema(schema)
		if whole, name := follow(p.root, schema); name != "" {
			v.Schema.Fields = p.fields("", whole)
		}
		if example := at(media, "example"); example != nil {
			v.Examples = append(v.Examples, exampleView{"Example", pretty(example)})
		}
		for _, example := range members(at(media, "examples")) {
			v.Examples = append(v.Examples, exampleView{textAt(example, "summary"), pretty(at(example, "value"))})
		}
	}
	return v
}

func (p *painter) schema(n *yaml.Node) schemaView {
	return schemaView{
		Description: prose(textAt(n, "description")), Type: p.kind(n), Rules: rules(n), Fields: p.fields("", n),
	}
}

// fields are the members of an object, and of what is in it and has no name;
// those first that it has of others.
func (p *painter) fields(prefix string, n *yaml.Node) []fieldView {
	required := map[string]bool{}
	for name := range items(at(n, "required")) {
		required[name.Value] = true
	}
	var all []fieldView
	for part := range items(at(n, "allOf")) {
		part, _ = follow(p.root, part)
		all = append(all, p.fields(prefix, part)...)
	}
	for name, schema := range members(at(n, "properties")) {
		f := p.field(prefix+name, schema)
		f.Required = required[name]
		all = append(all, f)
		all = append(all, p.fields(prefix+name+".", schema)...)
		all = append(all, p.fields(prefix+name+"[].", at(schema, "items"))...)
	}
	return all
}

func (p *painter) field(name string, schema *yaml.Node) fieldView {
	return fieldView{Name: name, Type: p.kind(schema), Rules: rules(schema), Description: prose(textAt(schema, "description"))}
}

// kind says in a few words what a schema takes.
func (p *painter) kind(n *yaml.Node) template.HTML {
	if _, name := follow(p.root, n); name != "" {
		return template.HTML(fmt.Sprintf(`<a href="#%s">%s</a>`, //nolint:gosec // both are escaped
			template.HTMLEscapeString(p.anchor(name)), template.HTMLEscapeString(name)))
	}
	for _, choice := range []string{"oneOf", "anyOf"} {
		if list := at(n, choice); list != nil {
			return p.kinds(" or ", list)
		}
	}
	if list := at(n, "allOf"); list != nil {
		return p.kinds(", ", list)
	}
	var words []template.HTML
	for _, t := range typesOf(n) {
		word := html(t)
		if t == "array" {
			word = "list of " + p.kind(at(n, "items"))
		}
		if more := at(n, "additionalProperties"); t == "object" && more != nil && more.Kind == yaml.MappingNode {
			word = "object of " + p.kind(more)
		}
		words = append(words, word)
	}
	return join(words, " or ")
}

func (p *painter) kinds(between template.HTML, list *yaml.Node) template.HTML {
	var words []template.HTML
	for choice := range items(list) {
		word := p.kind(choice)
		if rest := rules(choice); len(rest) > 0 {
			word += html(" (" + strings.Join(rest, ", ") + ")")
		}
		for name, schema := range members(at(choice, "properties")) {
			word = html(name + " " + strings.Join(rules(schema), ", "))
			words = append(words, word)
			word = ""
		}
		if word != "" {
			words = append(words, word)
		}
	}
	return join(words, between)
}

func typesOf(n *yaml.Node) []string {
	var names []string
	for t := range items(at(n, "type")) {
		names = append(names, t.Value)
	}
	if t := textAt(n, "type"); t != "" {
		names = append(names, t)
	}
	return names
}

// rules are what a schema asks beyond its type.
func rules(n *yaml.Node) []string {
	var all []string
	for key, value := range members(n) {
		switch key {
		case "const":
			all = append(all, "is "+spelled(value))
		case "enum":
			var words []string
			for v := range items(value) {
				words = append(words, spelled(v))
			}
			all = append(all, "one of "+strings.Join(words, ", "))
		case "default":
			all = append(all, "default "+spelled(value))
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

func html(text string) template.HTML {
	return template.HTML(template.HTMLEscapeString(text)) //nolint:gosec // it is escaped
}

func join(words []template.HTML, between template.HTML) template.HTML {
	var all template.HTML
	for i, w := range words {
		if i > 0 {
			all += between
		}
		all += w
	}
	return all
}

// prose spells a description: paragraphs, and code between backticks.
func prose(text string) template.HTML {
	var all template.HTML
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.TrimSpace(paragraph) == "" {
			continue
		}
		all += "<p>"
		for i, part := range strings.Split(paragraph, "`") {
			if i%2 == 0 {
				all += html(part)
			} else {
				all += "<code>" + html(part) + "</code>"
			}
		}
		all += "</p>"
	}
	return all
}
