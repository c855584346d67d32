package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/cost"
	"weir/query/report"
	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/property"
)

const (
	valuesPage  = 1000    // values of one answer
	valuesBytes = 8 << 20 // of values held at once
)

// propertyValue is one value that clients of a product reported.
type propertyValue struct {
	Value     string `json:"value"`
	ShortName string `json:"shortName,omitzero"` // of os
}

// valuesBody is a question for the values of a property.
type valuesBody struct {
	Property    *string       `json:"property"`
	Granularity *string       `json:"granularity"`
	Filter      *valuesFilter `json:"filter"`
	StartAfter  *string       `json:"startAfter"`
	FullList    *bool         `json:"getFullList"` // means nothing
}

// valuesFilter says which values are listed.
type valuesFilter struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. Members with other names are
// refused: a misspelled one would filter nothing.
func (f *valuesFilter) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	type plain valuesFilter
	return json.UnmarshalDecode(dec, (*plain)(f), json.RejectUnknownMembers(true))
}

// values answers with the values of a property that clients of a product ever
// reported, ordered by their bytes, a page at a time.
func (p properties) values(w http.ResponseWriter, r *http.Request, q productQuestion) error {
	var body valuesBody
	if err := p.readBody(w, r, &body); err != nil {
		return err
	}
	name, err := body.property()
	if err != nil {
		return err
	}
	budget := p.cost.Question()
	wants, err := body.wants(name, budget)
	if err != nil {
		return err
	}
	seen := valueSet{wants: wants, limit: valuesPage, values: map[string]struct{}{}}
	if body.StartAfter != nil {
		seen.after = *body.StartAfter
	}
	filter := columns.Filter{Products: []int64{q.product.ID}}
	return p.answerFromView(w, r, q.product.Account, func(ctx context.Context) (*view.View, error) {
		return p.views.Plan(ctx, view.Request{Columns: []string{columns.Client}, Filter: filter, Watermark: q.watermark})
	}, func(ctx context.Context, v *view.View) (any, error) {
		ctx, end := budget.Begin(ctx)
		defer end()
		if err := seen.gather(ctx, v, filter, name); err != nil || ctx.Err() != nil {
			return nil, cost.Cause(ctx, cmp.Or(err, ctx.Err()))
		}
		return seen.answer(strings.HasPrefix(name, "os.")), nil
	})
}

// property returns the name of the requested property. os, geography and gpu have
// several, which granularity tells apart.
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

// wants returns the filter on values. The published API has none for geography.
func (b *valuesBody) wants(name string, budget *cost.Question) (func(string) bool, error) {
	switch {
	case b.Filter == nil:
		return func(string) bool { return true }, nil
	case strings.HasPrefix(name, "geography."):
		return nil, badField("filter", "is not for geography")
	case b.Filter.Type == "string":
		return func(value string) bool { return value == b.Filter.Value }, nil
	case b.Filter.Type == "regex":
		pattern, err := compilePattern(budget, "filter.value", b.Filter.Value)
		if err != nil {
			return nil, err
		}
		return pattern.MatchString, nil
	}
	return nil, badField("filter.type", "must be regex or string")
}

// compilePattern compiles a regular expression within what it may cost.
func compilePattern(budget *cost.Question, field, text string) (*cost.Pattern, error) {
	pattern, err := budget.Compile(field, text)
	if wrong, ok := errors.AsType[*cost.PatternError](err); ok {
		return nil, badField(wrong.Field, wrong.Reason)
	}
	return pattern, err
}

// valueSet keeps the first values behind after, in the order of their bytes:
// limit of them and one more, which shows that there are more.
type valueSet struct {
	wants func(string) bool
	after string
	limit int

	values map[string]struct{}
	bytes  int    // of values
	full   bool   // values above high were dropped
	high   string // the largest value that is kept, if full
}

// gather reads the client properties of events. It does not read rollups, because
// which values of a day those still have depends on what was merged already.
func (v *valueSet) gather(ctx context.Context, from *view.View, f columns.Filter, name string) error {
	for rec, err := range from.Events(ctx, []string{columns.Client}, f) {
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
			v.add(valueOf(rows.ClientProps.At(i), name))
		}
	}
	return nil
}

// valueOf returns the value of a property that an event gives its client; "" if
// it gives none. The continent is that of the country, as in reports.
func valueOf(object, name string) string {
	if name == property.NameContinent {
		if continent := report.ContinentOf(clientProperty(object, property.NameCountry)); continent != "" {
			return continent
		}
	}
	return clientProperty(object, name)
}

// clientProperty returns the text of a property in the $client object of an
// event, and "" if it is missing or null.
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

// add adds value if it can be in the answer. It checks the cheap conditions first,
// because most values are known or past the page.
func (v *valueSet) add(value string) {
	if value == "" || value <= v.after || v.full && value > v.high {
		return
	}
	if _, known := v.values[value]; known || !v.wants(value) {
		return
	}
	v.values[value] = struct{}{}
	if v.bytes += len(value); len(v.values) > 2*v.limit+1 || v.bytes > valuesBytes && len(v.values) > 1 {
		v.trim()
	}
}

// trim drops values that cannot be in the answer. If none can be dropped so, the
// values are large, and it drops the upper half: the page gets shorter.
func (v *valueSet) trim() {
	all := slices.Sorted(maps.Keys(v.values))
	keep := min(len(all), v.limit+1)
	if len(all) == keep {
		keep = (len(all) + 1) / 2
	}
	for _, value := range all[keep:] {
		v.bytes -= len(value)
		delete(v.values, value)
	}
	v.full, v.high = true, all[keep-1]
}

// first returns the values of one answer, sorted.
func (v *valueSet) first() []string {
	all := slices.Sorted(maps.Keys(v.values))
	return all[:min(len(all), v.limit)]
}

// answer returns a page of values. lastValue is there if more follow: it is the
// startAfter of the next page.
func (v *valueSet) answer(short bool) any {
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
	if v.full || len(v.values) > v.limit {
		answer.Last = answer.Result[len(answer.Result)-1].Value
	}
	return answer
}
