package query

import (
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/cost"
	"weir/schemas/values"
)

// listFilter is one filter of a list, as it is in the body.
type listFilter struct {
	Type        string         `json:"type"`
	Value       jsontext.Value `json:"value"`
	Min         jsontext.Value `json:"min"`
	Max         jsontext.Value `json:"max"`
	IncludeNull bool           `json:"includeNull"`

	field string // its path in the body
}

// parseLicenseFilters reads filters, which all must hold.
func parseLicenseFilters(filters map[string]jsontext.Value, budget *cost.Question) ([]func(*license) bool, error) {
	var wants []func(*license) bool
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		want, err := parseLicenseFilter(name, filters[name], budget)
		if err != nil {
			return nil, err
		}
		wants = append(wants, want)
	}
	return wants, nil
}

// parseLicenseFilter reads the filter on one property. The type of the property
// decides which types of filters are allowed.
func parseLicenseFilter(name string, raw jsontext.Value, budget *cost.Question) (func(*license) bool, error) {
	field := "filters." + name
	switch name {
	case "autoCollected":
		want, err := wantBool(field, raw)
		return func(l *license) bool { return l.Collected == want }, err
	case "licenseStatus":
		return wantStatus(field, raw)
	}
	f, err := readListFilter(field, raw)
	if err != nil {
		return nil, err
	}
	switch name {
	case "licenseKey":
		want, err := f.text(budget)
		return func(l *license) bool { return want(l.Key) }, err
	case "licenseType":
		want, err := f.text(budget)
		return func(l *license) bool { return want(l.Type) }, err
	case "addedDate":
		want, err := f.day()
		return func(l *license) bool { return want(l.Added) }, err
	case "expiryDate":
		want, err := f.day()
		return func(l *license) bool { return l.Expiry == nil && f.IncludeNull || l.Expiry != nil && want(*l.Expiry) }, err
	}
	number := map[string]func(*license) int64{
		"installQuota":   func(l *license) int64 { return l.Quota },
		"installCount":   func(l *license) int64 { return l.Installs },
		"overQuotaCount": func(l *license) int64 { return l.OverQuota },
	}[name]
	if number == nil {
		return nil, badField(field, "is not a property of license keys")
	}
	want, err := f.number()
	return func(l *license) bool { return want(float64(number(l))) }, err
}

// readListFilter reads a filter. A member with another name is refused: a
// misspelled one would change the question.
func readListFilter(field string, raw jsontext.Value) (listFilter, error) {
	f := listFilter{field: field}
	err := json.Unmarshal(raw, &f, json.RejectUnknownMembers(true))
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok && errors.Is(err, json.ErrUnknownName) {
		return f, badField(field+"."+fieldOf(wrong.JSONPointer), "is not known here, but includeNull, max, min, type, value")
	}
	if err != nil {
		return f, badField(field, "is not a filter")
	}
	return f, nil
}

// text reads a filter of type string, stringArray or regex.
func (f *listFilter) text(budget *cost.Question) (func(string) bool, error) {
	switch f.Type {
	case "string", "regex":
		var value string
		if json.Unmarshal(f.Value, &value) != nil {
			return nil, badField(f.field+".value", "must be a string")
		}
		if f.Type == "string" {
			return func(text string) bool { return text == value }, nil
		}
		pattern, err := compilePattern(budget, f.field+".value", value)
		if err != nil {
			return nil, err
		}
		return pattern.MatchString, nil
	case "stringArray":
		var texts values.Strings
		if json.Unmarshal(f.Value, &texts) != nil {
			return nil, badField(f.field+".value", "must be an array of strings")
		}
		wanted := map[string]bool{}
		for _, v := range texts {
			wanted[v] = true
		}
		return func(text string) bool { return wanted[text] }, nil
	}
	return nil, badField(f.field+".type", "must be string, stringArray or regex")
}

// day reads a filter of type date or dateRange. A filter with only IncludeNull
// wants keys without a date.
func (f *listFilter) day() (func(string) bool, error) {
	read := func(member string, v jsontext.Value, open string) (string, error) {
		if v == nil && open != "" {
			return open, nil
		}
		var day string
		if json.Unmarshal(v, &day) != nil {
			day = ""
		}
		if _, ok := values.Day(day); !ok {
			return "", badField(f.field+"."+member, "must be a date, YYYY-MM-DD")
		}
		return day, nil
	}
	switch f.Type {
	case "":
		if f.IncludeNull {
			return func(string) bool { return false }, nil
		}
	case "date":
		want, err := read("value", f.Value, "")
		return func(day string) bool { return day == want }, err
	case "dateRange":
		from, err := read("min", f.Min, "0000-01-01")
		if err != nil {
			return nil, err
		}
		to, err := read("max", f.Max, "9999-12-31")
		return func(day string) bool { return from <= day && day <= to }, err
	}
	return nil, badField(f.field+".type", "must be date or dateRange")
}

// number reads a filter of type number or numberRange.
func (f *listFilter) number() (func(float64) bool, error) {
	read := func(member string, v jsontext.Value, open float64) (n float64, err error) {
		if v == nil && !math.IsNaN(open) {
			return open, nil
		}
		if json.Unmarshal(v, &n) != nil || v.Kind() != '0' {
			return 0, badField(f.field+"."+member, "must be a number")
		}
		return n, nil
	}
	switch f.Type {
	case "number":
		want, err := read("value", f.Value, math.NaN())
		return func(n float64) bool { return n == want }, err
	case "numberRange":
		from, err := read("min", f.Min, math.Inf(-1))
		if err != nil {
			return nil, err
		}
		to, err := read("max", f.Max, math.Inf(1))
		return func(n float64) bool { return from <= n && n <= to }, err
	}
	return nil, badField(f.field+".type", "must be number or numberRange")
}

// wantBool reads true or false, either alone or as a filter of type boolean.
func wantBool(field string, raw jsontext.Value) (want bool, err error) {
	if raw.Kind() == '{' {
		f, err := readListFilter(field, raw)
		if err != nil {
			return false, err
		}
		if f.Type != "boolean" {
			return false, badField(field+".type", "must be boolean")
		}
		field, raw = field+".value", f.Value
	}
	if raw == nil || raw.Kind() == 'n' || json.Unmarshal(raw, &want) != nil {
		return false, badField(field, "must be true or false")
	}
	return want, nil
}

// wantStatus reads an array of objects of flags: a license must have all flags of
// one of them. A single object is an array of one.
func wantStatus(field string, raw jsontext.Value) (func(*license) bool, error) {
	var alternatives []map[string]bool
	if raw.Kind() == '{' {
		alternatives = make([]map[string]bool, 1)
		if json.Unmarshal(raw, &alternatives[0]) != nil {
			return nil, badField(field, "must have flags that are true or false")
		}
	} else if json.Unmarshal(raw, &alternatives) != nil {
		return nil, badField(field, "must be an array of objects of flags")
	}
	flag := map[string]func(*license) bool{
		"activated": func(l *license) bool { return l.Status.Activated }, "expired": func(l *license) bool { return l.Status.Expired },
		"blocked": func(l *license) bool { return l.Status.Blocked }, "blacklisted": func(l *license) bool { return l.Status.Blocked },
		"allowed": func(l *license) bool { return l.Status.Allowed }, "whitelisted": func(l *license) bool { return l.Status.Allowed },
	}
	for _, all := range alternatives {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if flag[name] == nil {
				return nil, badField(field+"."+name, "is not a flag of licenses")
			}
		}
	}
	return func(l *license) bool {
		return slices.ContainsFunc(alternatives, func(all map[string]bool) bool {
			for name, want := range all {
				if flag[name](l) != want {
					return false
				}
			}
			return true
		})
	}, nil
}
