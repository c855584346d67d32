package query

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/columns"
	"weir/schemas/property"
)

const (
	valuesPage  = 1000    // values of one answer
	valuesBytes = 8 << 20 // of values that are held at once
)

// propertyValue is one value that clients of a product reported.
type propertyValue struct {
	Value     string `json:"value"`
	ShortName string `json:"shortName,omitzero"` // of os
}

// valuesBody is a question for the values of a property.
type valuesBody struct {
	Property    *string `json:"property"`
	Granularity *string `json:"granularity"`
	Filter      *struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"filter"`
	StartAfter *string `json:"startAfter"`
}

// propertyValues lists the values of a property that clients of a product ever
// reported, ordered by their bytes, a page at a time.
func (s *Service) propertyValues(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	var body valuesBody
	if err := s.readBody(w, r, &body); err != nil {
		return err
	}
	name, err := body.property()
	if err != nil {
		return err
	}
	wants, err := body.wants(name)
	if err != nil {
		return err
	}
	seen := values{wants: wants, limit: valuesPage, of: map[string]struct{}{}}
	if body.StartAfter != nil {
		seen.after = *body.StartAfter
	}
	filter := columns.Filter{Products: []int64{q.product.ID}}
	return s.answer(w, r, func(ctx context.Context) (*view, error) {
		return s.plan(ctx, question{columns: []string{columns.Client}, filter: filter, watermark: q.want})
	}, func(ctx context.Context, v *view) (any, error) {
		if err := seen.gather(ctx, v, filter, name); err != nil {
			return nil, err
		}
		return seen.answer(strings.HasPrefix(name, "os.")), nil
	})
}

// property is the name of the property that is asked for: os, geography and
// gpu have several, told apart by granularity.
func (b *valuesBody) property() (string, error) {
	if b.Property == nil {
		return "", badField("property", "is missing")
	}
	name := *b.Property
	if members, flags := property.Levels(name); members != nil && !flags {
		if b.Granularity == nil {
			return "", badField("granularity", "is missing: "+name+" needs one")
		}
		name += "." + *b.Granularity
		if !listsValues(name) {
			return "", badField("granularity", "is none of "+*b.Property)
		}
	}
	if !listsValues(name) {
		return "", badField("property", "is not a property whose values are listed")
	}
	return name, nil
}

// listsValues reports whether the values of a property are listed.
func listsValues(name string) bool {
	p := property.Find(name)
	return p != nil && p.Values
}

func (b *valuesBody) wants(name string) (func(string) bool, error) {
	switch {
	case b.Filter == nil:
		return func(string) bool { return true }, nil
	case strings.HasPrefix(name, "geography."):
		return nil, badField("filter", "is not for geography")
	case b.Filter.Type == "string":
		return func(value string) bool { return value == b.Filter.Value }, nil
	case b.Filter.Type == "regex":
		re, err := regexp.Compile(b.Filter.Value)
		if err != nil {
			return nil, badField("filter.value", "is not a regular expression")
		}
		return re.MatchString, nil
	}
	return nil, badField("filter.type", "must be regex or string")
}

// values keeps the first values after one, in the order of their bytes: limit
// of them and one more, which tells that there are more.
type values struct {
	wants func(string) bool
	after string
	limit int

	of    map[string]struct{}
	bytes int
	full  bool // values above high were let go
	high  string
}

// gather reads what events say of their clients. Rollups would not do: which
// values of a day they still have depends on what was merged already.
func (v *values) gather(ctx context.Context, from *view, f columns.Filter, name string) error {
	for rec, err := range from.events(ctx, []string{columns.Client}, f) {
		if err != nil {
			return err
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		seen := make([]bool, rows.ClientProps.DictionaryLen())
		for i := range rows.Rows {
			code := rows.ClientProps.Code(i)
			if rows.ClientProps.Null(i) || code >= 0 && seen[code] {
				continue
			}
			if code >= 0 {
				seen[code] = true
			}
			v.add(clientProperty(rows.ClientProps.At(i), name))
		}
	}
	return nil
}

// clientProperty is the text of a property in what an event says of its client,
// "" when it says nothing of it, or null.
func clientProperty(object, name string) string {
	dec := jsontext.NewDecoder(strings.NewReader(object))
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return ""
	}
	for dec.PeekKind() == '"' {
		key, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		found := key.String() == name
		value, err := dec.ReadValue()
		if err != nil {
			return ""
		}
		if found {
			return propertyText(string(value))
		}
	}
	return ""
}

func (v *values) add(value string) {
	if value == "" || value <= v.after || v.full && value > v.high {
		return
	}
	if _, known := v.of[value]; known || !v.wants(value) {
		return
	}
	v.of[value] = struct{}{}
	if v.bytes += len(value); len(v.of) > 2*v.limit+1 || v.bytes > valuesBytes && len(v.of) > 1 {
		v.cut()
	}
}

// cut lets go of what cannot be in the answer, and, when values are that
// large, of what makes the page shorter.
func (v *values) cut() {
	all := slices.Sorted(maps.Keys(v.of))
	keep := min(len(all), v.limit+1)
	if len(all) == keep {
		keep = (len(all) + 1) / 2
	}
	for _, value := range all[keep:] {
		v.bytes -= len(value)
		delete(v.of, value)
	}
	v.full, v.high = true, all[keep-1]
}

// first are the values of one answer.
func (v *values) first() []string {
	all := slices.Sorted(maps.Keys(v.of))
	return all[:min(len(all), v.limit)]
}

func (v *values) answer(short bool) any {
	answer := struct {
		Status string          `json:"status"`
		Result []propertyValue `json:"result"`
		Last   string          `json:"lastValue,omitzero"`
	}{Status: "OK", Result: []propertyValue{}}
	for _, value := range v.first() {
		one := propertyValue{Value: value}
		if short {
			one.ShortName = value
		}
		answer.Result = append(answer.Result, one)
	}
	if v.full || len(v.of) > v.limit {
		answer.Last = answer.Result[len(answer.Result)-1].Value
	}
	return answer
}
