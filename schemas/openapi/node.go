package openapi

import (
	"fmt"
	"iter"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"
)

// toJSON encodes a YAML tree as JSON and keeps the order of members.
func toJSON(n *yaml.Node) ([]byte, error) {
	text, err := appendJSON(nil, n)
	if err != nil {
		return nil, err
	}
	v := jsontext.Value(text)
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil { // also refuses duplicate names
		return nil, err
	}
	return append(v, '\n'), nil
}

// appendJSON appends n as JSON without white space.
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

// appendScalar encodes a scalar by the rules of YAML 1.2, which has no type for
// dates: a date stays a string.
func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch n.ShortTag() {
	case "!!int", "!!float", "!!bool":
		if !jsontext.Value(n.Value).IsValid() {
			return nil, fmt.Errorf("line %d: %q is not JSON", n.Line, n.Value)
		}
		return append(dst, n.Value...), nil
	case "!!null":
		return append(dst, "null"...), nil
	}
	return jsontext.AppendQuote(dst, n.Value)
}

// resolveAlias returns the node that an alias refers to; n itself if it is none.
func resolveAlias(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// lookup returns the node at a path of keys in n; nil if there is none.
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

// members yields the names and values of a mapping; nothing for another node.
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

// items yields the values of a sequence; nothing for another node.
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

// lookupText returns the text of the scalar at a path of keys; "" if there is none.
func lookupText(n *yaml.Node, keys ...string) string {
	if n = lookup(n, keys...); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// compactJSON encodes n as JSON in one line.
func compactJSON(n *yaml.Node) string {
	text, err := appendJSON(nil, n)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// indentJSON encodes n as JSON for people: a value stays on one line if it fits.
func indentJSON(n *yaml.Node) string { return string(appendIndented(nil, n, "\n", 0)) }

// maxLineWidth is the width of a line in bytes from which on a value is broken.
const maxLineWidth = 92

// appendIndented appends n. margin is a line break and the indentation of its lines;
// used is the width that the name before it already takes on the first line.
func appendIndented(dst []byte, n *yaml.Node, margin string, used int) []byte {
	n = resolveAlias(n)
	line := jsontext.Value(compactJSON(n))
	if err := line.Compact(); err != nil {
		return append(dst, compactJSON(n)...) // the reason why it cannot be encoded
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
		dst, _ = jsontext.AppendQuote(dst, name) // never fails: the YAML parser accepts only UTF-8
		dst = append(dst, ": "...)
		dst = appendIndented(dst, value, inner, len(dst)-start)
	}
	for value := range items(n) {
		next()
		dst = appendIndented(dst, value, inner, 0)
	}
	return append(append(dst, margin...), end)
}

// resolveRef returns the node that a reference in the same document leads to, and the
// last element of its path; n itself and "" if n is not a reference.
func resolveRef(root, n *yaml.Node) (*yaml.Node, string) {
	path, ok := strings.CutPrefix(lookupText(n, "$ref"), "#/")
	if !ok {
		return n, ""
	}
	keys := strings.Split(path, "/")
	return lookup(root, keys...), keys[len(keys)-1]
}
