package openapi

import (
	"fmt"
	"iter"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"
)

// toJSON spells a YAML tree as JSON, members in the order they are written in.
func toJSON(n *yaml.Node) ([]byte, error) {
	text, err := appendJSON(nil, n)
	if err != nil {
		return nil, err
	}
	v := jsontext.Value(text)
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil { // finds a name that is given twice, too
		return nil, err
	}
	return append(v, '\n'), nil
}

func appendJSON(dst []byte, n *yaml.Node) ([]byte, error) {
	var err error
	switch n = resolveAlias(n); n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = jsontext.AppendQuote(dst, n.Content[i].Value); err != nil {
				return nil, err
			}
			if dst, err = appendJSON(append(dst, ':'), n.Content[i+1]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = appendJSON(dst, item); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case yaml.ScalarNode:
		return appendScalar(dst, n)
	default:
		return nil, fmt.Errorf("line %d: a node of kind %d", n.Line, n.Kind)
	}
}

// appendScalar spells a scalar as YAML 1.2 reads it: there is no type for
// dates.
func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!int", "!!float", "!!bool":
		if !jsontext.Value(n.Value).IsValid() {
			return nil, fmt.Errorf("line %d: %q is no JSON", n.Line, n.Value)
		}
		return append(dst, n.Value...), nil
	case "!!null":
		return append(dst, "null"...), nil
	}
	return jsontext.AppendQuote(dst, n.Value)
}

// resolveAlias is what an alias stands for.
func resolveAlias(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// lookup is what stands under keys in n; nil if it is not there.
func lookup(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		var found *yaml.Node
		for name, value := range members(n) {
			if name == key {
				found = value
			}
		}
		if n = found; n == nil {
			return nil
		}
	}
	return n
}

// members are the names and values of a mapping; none of anything else.
func members(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, resolveAlias(n.Content[i+1])) {
				return
			}
		}
	}
}

// items are the values of a sequence; none of anything else.
func items(n *yaml.Node) iter.Seq[*yaml.Node] {
	return func(yield func(*yaml.Node) bool) {
		if n == nil || n.Kind != yaml.SequenceNode {
			return
		}
		for _, item := range n.Content {
			if !yield(resolveAlias(item)) {
				return
			}
		}
	}
}

// lookupText is the text under keys; "" if it is not there.
func lookupText(n *yaml.Node, keys ...string) string {
	if n = lookup(n, keys...); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// compactJSON is n as JSON in one line.
func compactJSON(n *yaml.Node) string {
	text, err := appendJSON(nil, n)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// indentJSON is n as JSON for people: what fits in a line stands in one.
func indentJSON(n *yaml.Node) string { return string(appendIndented(nil, n, "\n", 0)) }

// maxLineWidth is where a line is full.
const maxLineWidth = 92

// appendIndented adds n, whose lines begin with margin, a line break and spaces.
// used is what its first line has already, beside the margin.
func appendIndented(dst []byte, n *yaml.Node, margin string, used int) []byte {
	n = resolveAlias(n)
	line := jsontext.Value(compactJSON(n))
	if err := line.Compact(); err != nil {
		return append(dst, compactJSON(n)...) // what it cannot be spelled for
	}
	if err := line.Format(jsontext.SpaceAfterComma(true), jsontext.SpaceAfterColon(true)); err != nil || n.Kind == yaml.ScalarNode ||
		len(margin)+used+len(line) <= maxLineWidth {
		return append(dst, line...)
	}
	inner, end := margin+"  ", byte(']')
	dst = append(dst, '[')
	if n.Kind == yaml.MappingNode {
		dst[len(dst)-1], end = '{', '}'
	}
	first := true
	next := func() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, inner...)
	}
	for name, value := range members(n) {
		next()
		start := len(dst)
		dst, _ = jsontext.AppendQuote(dst, name) // what was read as UTF-8 can be written
		dst = append(dst, ": "...)
		dst = appendIndented(dst, value, inner, len(dst)-start)
	}
	for value := range items(n) {
		next()
		dst = appendIndented(dst, value, inner, 0)
	}
	return append(append(dst, margin...), end)
}

// resolveRef is what a reference in the same document leads to, and the last word
// of its path; n itself and "" if n is none.
func resolveRef(root, n *yaml.Node) (*yaml.Node, string) {
	path, ok := strings.CutPrefix(lookupText(n, "$ref"), "#/")
	if !ok {
		return n, ""
	}
	keys := strings.Split(path, "/")
	return lookup(root, keys...), keys[len(keys)-1]
}
