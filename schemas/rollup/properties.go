package rollup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
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

// AppendJSON appends p as the tables keep it, by the event that said it, the
// latest first: [{"t":1700000000000,"o":42,"v":{"C01":"a","prodVersion":"1.0"}}].
// Most clients say all that they say with each event.
func (p Properties) AppendJSON(to []byte) []byte {
	to = append(to, '[')
	for n, at := range p.stamps() {
		if n > 0 {
			to = append(to, ',')
		}
		to = strconv.AppendInt(append(to, `{"t":`...), at.time, 10)
		to = strconv.AppendInt(append(to, `,"o":`...), at.offset, 10)
		to = append(to, `,"v":{`...)
		comma := false
		for i := range p {
			if p[i].Time != at.time || p[i].Offset != at.offset {
				continue
			}
			if comma {
				to = append(to, ',')
			}
			comma = true
			to, _ = jsontext.AppendQuote(to, p[i].Name) // invalid UTF-8 becomes U+FFFD, as JSON has no other way to say it
			to = append(append(to, ':'), p[i].Value...)
		}
		to = append(to, "}}"...)
	}
	return append(to, ']')
}

// stamp is when something was said.
type stamp struct{ time, offset int64 }

// stamps are when p was said, the latest first.
func (p Properties) stamps() []stamp {
	var all []stamp
	for i := range p {
		if at := (stamp{p[i].Time, p[i].Offset}); !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, func(a, b stamp) int { return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(b.offset, a.offset)) })
	return all
}

// ParseProperties reads what AppendJSON wrote. The result shares memory with
// raw.
func ParseProperties(raw string) (Properties, error) {
	if raw == "" || raw == "[]" {
		return nil, nil
	}
	if p, ok := parseUnescaped(raw); ok {
		return p, nil
	}
	return parseJSON(raw)
}

// parseUnescaped reads the very form that AppendJSON writes, with names and values
// without escapes: cut out of raw, nothing is copied.
func parseUnescaped(raw string) (Properties, bool) {
	out := make(Properties, 0, strings.Count(raw, `":`))
	rest, ok := strings.CutPrefix(raw, "[")
	for ok {
		if out, rest, ok = cutStamped(out, rest); !ok {
			return nil, false
		}
		if rest == "]" {
			slices.SortFunc(out, compareNames)
			return out, strictlySorted(out)
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return nil, false
}

func compareNames(a, b Property) int { return strings.Compare(a.Name, b.Name) }

// cutStamped cuts what was said at one moment off rest.
func cutStamped(out Properties, rest string) (_ Properties, after string, ok bool) {
	var at stamp
	if at.time, rest, ok = cutInt(rest, `{"t":`); !ok {
		return out, "", false
	}
	if at.offset, rest, ok = cutInt(rest, `,"o":`); !ok {
		return out, "", false
	}
	if rest, ok = strings.CutPrefix(rest, `,"v":`); !ok {
		return out, "", false
	}
	if out, rest, ok = cutObject(out, rest, at); !ok {
		return out, "", false
	}
	after, ok = strings.CutPrefix(rest, "}")
	return out, after, ok
}

// cutObject cuts an object off rest that has members, all of them scalars
// without escapes, and no white space.
func cutObject(out Properties, rest string, at stamp) (_ Properties, after string, ok bool) {
	rest, ok = strings.CutPrefix(rest, "{")
	for ok {
		p := Property{Time: at.time, Offset: at.offset}
		if rest, ok = strings.CutPrefix(rest, `"`); !ok {
			return out, "", false
		}
		if p.Name, rest, ok = strings.Cut(rest, `":`); !ok || !isUnescaped(p.Name) {
			return out, "", false
		}
		if p.Value, rest, ok = cutValue(rest); !ok {
			return out, "", false
		}
		out = append(out, p)
		if after, done := strings.CutPrefix(rest, "}"); done {
			return out, after, true
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return out, "", false
}

// cutValue cuts a scalar without escapes off rest, in the form that a rollup
// keeps it in.
func cutValue(rest string) (value, after string, ok bool) {
	if text, isText := strings.CutPrefix(rest, `"`); isText {
		end := strings.IndexByte(text, '"')
		if end < 1 || !isUnescaped(text[:end]) {
			return "", "", false
		}
		return rest[:end+2], text[end+1:], true
	}
	end := 0
	for end < len(rest) && rest[end] != ',' && rest[end] != '}' {
		end++
	}
	if end < 1 || end == len(rest) {
		return "", "", false
	}
	value = rest[:end]
	return value, rest[end:], value == cleared || value == "true" || value == "false" || isNumber(value)
}

// isUnescaped says that text stands for itself between quotes.
func isUnescaped(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] == '\\' || text[i] == '"' {
			return false
		}
	}
	return utf8.ValidString(text)
}

func isNumber(value string) bool {
	return strings.Trim(value, "-+.eE0123456789") == "" && jsontext.Value(value).IsValid()
}

// cutInt cuts a number after prefix off rest; the comma behind it stays.
func cutInt(rest, prefix string) (n int64, after string, ok bool) {
	if rest, ok = strings.CutPrefix(rest, prefix); !ok {
		return 0, "", false
	}
	from := 0
	if strings.HasPrefix(rest, "-") {
		from = 1
	}
	at := from
	for at < len(rest) && '0' <= rest[at] && rest[at] <= '9' {
		n = 10*n + int64(rest[at]-'0')
		at++
	}
	const most = 18 // digits that fit
	if at == from || at-from > most || (rest[from] == '0' && at-from > 1) || at == len(rest) || rest[at] != ',' {
		return 0, "", false
	}
	if from == 1 {
		n = -n
	}
	return n, rest[at:], true
}

func strictlySorted(p Properties) bool {
	for i := 1; i < len(p); i++ {
		if p[i-1].Name >= p[i].Name {
			return false
		}
	}
	return true
}

// parseJSON reads any JSON array of what was said at moments.
func parseJSON(raw string) (Properties, error) {
	var all []struct {
		Time   int64                     `json:"t"`
		Offset int64                     `json:"o"`
		Values map[string]jsontext.Value `json:"v"`
	}
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		return nil, fmt.Errorf("read properties: %w", err)
	}
	var out Properties
	for _, at := range all {
		for name, value := range at.Values {
			out = append(out, Property{Name: name, Value: normalizeValue(value), Time: at.Time, Offset: at.Offset})
		}
	}
	slices.SortFunc(out, compareNames)
	if !strictlySorted(out) {
		return nil, errors.New("read properties: one is said at two moments")
	}
	return out, nil
}
