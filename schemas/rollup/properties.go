package rollup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Properties are a client's standard properties, last by time, in the order of
// their names. The slice is never changed in place: a Merge that changes
// something makes another.
type Properties []Property

// Property is the latest value of one property.
type Property struct {
	Name         string // dotted
	Value        string // JSON as it was sent; "null" when the latest event cleared it
	Time, Offset int64  // event time in epoch milliseconds, and offset, of the event that said so
}

// cleared is the Value of a property without one.
const cleared = "null"

// Cleared says that the latest event took the value away. The property stays,
// so that an older value that comes later does not come back.
func (p *Property) Cleared() bool { return p.Value == cleared }

// newer orders by (time, offset), and by value so that the order is total.
func (p *Property) newer(o *Property) bool {
	if p.Time != o.Time {
		return p.Time > o.Time
	}
	if p.Offset != o.Offset {
		return p.Offset > o.Offset
	}
	return p.Value > o.Value
}

// Find is the property called name; false when it was never said or is
// cleared.
func (p Properties) Find(name string) (Property, bool) {
	i, found := slices.BinarySearchFunc(p, name, func(p Property, name string) int { return strings.Compare(p.Name, name) })
	if !found || p[i].Cleared() {
		return Property{}, false
	}
	return p[i], true
}

// Merge is the later of p and o, property by property. It may be p, and never
// shares memory with o.
func (p Properties) Merge(o Properties) Properties {
	if len(o) == 0 {
		return p
	}
	out := make(Properties, 0, max(len(p), len(o)))
	for len(p) > 0 && len(o) > 0 {
		switch c := strings.Compare(p[0].Name, o[0].Name); {
		case c < 0:
			out, p = append(out, p[0]), p[1:]
		case c > 0:
			out, o = append(out, o[0]), o[1:]
		case o[0].newer(&p[0]):
			out, p, o = append(out, o[0]), p[1:], o[1:]
		default:
			out, p, o = append(out, p[0]), p[1:], o[1:]
		}
	}
	return append(append(out, p...), o...)
}

// AppendJSON appends p as the tables keep it:
// {"prodVersion":{"v":"1.0","t":1700000000000,"o":42}}.
func (p Properties) AppendJSON(to []byte) []byte {
	to = append(to, '{')
	for i := range p {
		if i > 0 {
			to = append(to, ',')
		}
		to, _ = jsontext.AppendQuote(to, p[i].Name) // invalid UTF-8 becomes U+FFFD, as JSON has no other way to say it
		to = append(append(to, `:{"v":`...), p[i].Value...)
		to = strconv.AppendInt(append(to, `,"t":`...), p[i].Time, 10)
		to = strconv.AppendInt(append(to, `,"o":`...), p[i].Offset, 10)
		to = append(to, '}')
	}
	return append(to, '}')
}

// ParseProperties reads what AppendJSON wrote. The result shares memory with
// raw.
func ParseProperties(raw string) (Properties, error) {
	if raw == "" || raw == "{}" {
		return nil, nil
	}
	if p, ok := parsePlain(raw); ok {
		return p, nil
	}
	return parseAny(raw)
}

// parsePlain reads the very form that AppendJSON writes, with names and values
// without escapes: cut out of raw, nothing is copied.
func parsePlain(raw string) (Properties, bool) {
	out := make(Properties, 0, strings.Count(raw, `{"v":`))
	rest, ok := strings.CutPrefix(raw, "{")
	for ok {
		var p Property
		if p, rest, ok = plainProperty(rest); !ok {
			return nil, false
		}
		out = append(out, p)
		if rest == "}" {
			return out, sorted(out)
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return nil, false
}

func plainProperty(rest string) (p Property, _ string, ok bool) {
	if rest, ok = strings.CutPrefix(rest, `"`); !ok {
		return p, "", false
	}
	if p.Name, rest, ok = strings.Cut(rest, `":{"v":`); !ok || !plainText(p.Name) {
		return p, "", false
	}
	if p.Value, rest, ok = plainValue(rest); !ok {
		return p, "", false
	}
	if p.Time, rest, ok = plainInt(rest, `,"t":`, ','); !ok {
		return p, "", false
	}
	if p.Offset, rest, ok = plainInt(rest, `,"o":`, '}'); !ok {
		return p, "", false
	}
	return p, rest[1:], true
}

// plainValue cuts a scalar without escapes off rest, in the form that a rollup
// keeps it in.
func plainValue(rest string) (value, after string, ok bool) {
	if text, isText := strings.CutPrefix(rest, `"`); isText {
		end := strings.IndexByte(text, '"')
		if end < 1 || !plainText(text[:end]) {
			return "", "", false
		}
		return rest[:end+2], text[end+1:], true
	}
	end := strings.IndexByte(rest, ',')
	if end < 1 {
		return "", "", false
	}
	value = rest[:end]
	return value, rest[end:], value == cleared || value == "true" || value == "false" || plainNumber(value)
}

// plainText says that text stands for itself between quotes.
func plainText(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] == '\\' || text[i] == '"' {
			return false
		}
	}
	return utf8.ValidString(text)
}

func plainNumber(value string) bool {
	return strings.Trim(value, "-+.eE0123456789") == "" && jsontext.Value(value).IsValid()
}

// plainInt cuts a number after prefix and before the byte end, which stays.
func plainInt(rest, prefix string, end byte) (n int64, after string, ok bool) {
	if rest, ok = strings.CutPrefix(rest, prefix); !ok {
		return 0, "", false
	}
	at := strings.IndexByte(rest, end)
	if at < 0 {
		return 0, "", false
	}
	digits := strings.TrimPrefix(rest[:at], "-")
	if strings.HasPrefix(digits, "+") || (strings.HasPrefix(digits, "0") && digits != "0") {
		return 0, "", false
	}
	n, err := strconv.ParseInt(rest[:at], 10, 64)
	return n, rest[at:], err == nil
}

func sorted(p Properties) bool {
	for i := 1; i < len(p); i++ {
		if p[i-1].Name >= p[i].Name {
			return false
		}
	}
	return true
}

// parseAny reads any JSON object of objects.
func parseAny(raw string) (Properties, error) {
	dec := jsontext.NewDecoder(strings.NewReader(raw))
	var out Properties
	err := members(dec, func(name string) error {
		p := Property{Name: name, Value: cleared}
		err := members(dec, func(field string) error { return p.read(dec, field) })
		out = append(out, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read properties: %w", err)
	}
	slices.SortFunc(out, func(a, b Property) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// read reads the value of one field of p.
func (p *Property) read(dec *jsontext.Decoder, field string) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch field {
	case "v":
		p.Value = settled(value)
	case "t":
		p.Time, err = strconv.ParseInt(string(value), 10, 64)
	case "o":
		p.Offset, err = strconv.ParseInt(string(value), 10, 64)
	}
	return err
}

// members calls each for the members of the object that comes next; each reads
// the value.
func members(dec *jsontext.Decoder, each func(name string) error) error {
	tok, err := dec.ReadToken()
	if err != nil {
		return err
	}
	if tok.Kind() != '{' {
		return fmt.Errorf("%s is not an object", tok.Kind())
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		if err := each(name.String()); err != nil {
			return err
		}
	}
	_, err = dec.ReadToken()
	return err
}
