package report

import (
	"errors"
	"math"

	"github.com/go-json-experiment/json/jsontext"

	"weir/query/cost"
	"weir/schemas/property"
	"weir/schemas/values"
)

// Types of filters and segments, as published. The type says how a value is
// read, whatever the property.
//
// All that depends on the type is in this file. A new type takes a constant, a
// case in compile and one in test, and a look at ranged, comparesText, canSplit
// and valueLabel; schemas/DESIGN.md "To change X, read Y" lists the documents
// and the models to follow. Lists of license keys have filters of the same
// types in query/licensefilter.go: not shared, because their errors have other
// texts, their dates have no time of day, and null follows other rules.
const (
	typeString      = "string"
	typeStringArray = "stringArray"
	typeRegex       = "regex"
	typeNumber      = "number"
	typeNumberRange = "numberRange"
	typeDate        = "date"
	typeDateRange   = "dateRange"
	typeBoolean     = "boolean"
)

// condition is a compiled filter or segment: a test of one value.
type condition struct {
	kind      string // one of the types; "" is null alone
	texts     cost.Texts
	regex     *cost.Pattern
	low, high float64
	from, to  Day // both included
	truth     bool
	nulls     bool // null passes too
	id        int  // index among the conditions of the question
}

// newCondition compiles the members type, value, min, max and includeNull of a
// filter or a segment. A member that is neither one of them nor of more is
// refused: a misspelled one would change the question.
func newCondition(field string, m members, p *usedProperties, more ...string) (*condition, error) {
	c, err := p.addCondition(field)
	if err != nil {
		return nil, err
	}
	if err := m.read(field, "type", &c.kind, "a string"); err != nil {
		return nil, err
	}
	if err := m.read(field, "includeNull", &c.nulls, "true or false"); err != nil {
		return nil, err
	}
	if c.kind == "" {
		if m.has("value") || !c.nulls {
			return nil, fieldErrorf(field+".type", "is missing")
		}
		return c, m.only(field, append(more, "includeNull")...)
	}
	if c.ranged() && m.has("value") {
		return nil, fieldErrorf(field+".value", "a range has min and max instead")
	}
	if err := m.only(field, append(more, c.members()...)...); err != nil {
		return nil, err
	}
	if !c.ranged() && !m.has("value") {
		return nil, fieldErrorf(field+".value", "is missing")
	}
	return c, c.compile(field, m, p.cost)
}

// members are the names of the members of a condition.
func (c *condition) members() []string {
	if c.ranged() {
		return []string{"type", "min", "max", "includeNull"}
	}
	return []string{"type", "value", "includeNull"}
}

// canonicalize brings the texts that are wanted into the form that values of a type have.
func (c *condition) canonicalize(t property.Type) {
	for i, text := range c.texts.List {
		c.texts.List[i] = t.Spell(text)
	}
	c.texts = cost.NewTexts(c.texts.List)
}

// addCondition returns an empty condition with the next id of the question.
func (p *usedProperties) addCondition(field string) (*condition, error) {
	if err := p.cost.Condition(field); err != nil {
		return nil, err
	}
	c := &condition{id: p.conditions}
	p.conditions++
	return c, nil
}

// ranged reports whether the type has min and max in place of a value.
func (c *condition) ranged() bool { return c.kind == typeNumberRange || c.kind == typeDateRange }

// compile reads the value, or min and max, as the type says. Bounds are
// inclusive and may be left out, as published.
func (c *condition) compile(field string, m members, budget *cost.Question) error {
	switch c.kind {
	case typeString:
		var text string
		err := m.read(field, "value", &text, "a string")
		c.texts = cost.NewTexts([]string{text})
		return err
	case typeStringArray:
		var texts values.Strings
		err := m.read(field, "value", &texts, "an array of strings")
		c.texts = cost.NewTexts(texts)
		return err
	case typeRegex:
		return c.compileRegex(field, m, budget)
	case typeNumber:
		err := m.read(field, "value", &c.low, "a number")
		c.high = c.low
		return err
	case typeNumberRange:
		c.low, c.high = math.Inf(-1), math.Inf(1)
		if err := m.read(field, "min", &c.low, "a number"); err != nil {
			return err
		}
		return m.read(field, "max", &c.high, "a number")
	case typeDate, typeDateRange:
		return c.compileDates(field, m)
	case typeBoolean:
		return m.read(field, "value", &c.truth, "true or false")
	}
	return fieldErrorf(field+".type", "there is no type %q", c.kind)
}

// compileRegex compiles the value as a regular expression, which may match
// anywhere in a text.
func (c *condition) compileRegex(field string, m members, budget *cost.Question) error {
	var text string
	if err := m.read(field, "value", &text, "a string"); err != nil {
		return err
	}
	var err error
	c.regex, err = compilePattern(budget, field+".value", text)
	return err
}

// compilePattern compiles a regular expression within what it may cost.
func compilePattern(budget *cost.Question, field, text string) (*cost.Pattern, error) {
	pattern, err := budget.Compile(field, text)
	if refused, ok := errors.AsType[*cost.PatternError](err); ok {
		return nil, &FieldError{refused.Field, refused.Reason}
	}
	return pattern, err
}

// compileDates reads a date or a range of dates.
func (c *condition) compileDates(field string, m members) error {
	c.from, c.to = math.MinInt32, math.MaxInt32
	read := func(name string, into ...*Day) error {
		if !m.has(name) {
			return nil
		}
		var text string
		if err := m.read(field, name, &text, "a date"); err != nil {
			return err
		}
		day, ok := dateIn(text)
		if !ok {
			return fieldErrorf(field+"."+name, "%q is not a date like 2024-03-01", text)
		}
		for _, to := range into {
			*to = day
		}
		return nil
	}
	if c.kind == typeDate {
		return read("value", &c.from, &c.to)
	}
	if err := read("min", &c.from); err != nil {
		return err
	}
	return read("max", &c.to)
}

// holds reports whether a value passes. Null passes only with includeNull.
func (c *condition) holds(v *Value) bool {
	if v.Null {
		return c.nulls
	}
	return c.test(v)
}

// test reports whether a value that is not null passes. A value that cannot be
// read as the type of the condition does not pass.
func (c *condition) test(v *Value) bool {
	switch c.kind {
	case typeString, typeStringArray:
		return c.texts.Has(v.Text)
	case typeRegex:
		return c.regex.MatchString(v.Text)
	case typeNumber, typeNumberRange:
		n, ok := v.asNumber()
		return ok && c.low <= n && n <= c.high
	case typeDate, typeDateRange:
		d, ok := dateIn(v.Text)
		return ok && c.from <= d && d <= c.to
	case typeBoolean:
		set, known := values.Flag(v.Text)
		return known && set == c.truth
	}
	return false
}

// newFlagCondition returns the condition that a flag is set, or that it is not.
func newFlagCondition(field string, set bool, p *usedProperties) (*condition, error) {
	c, err := p.addCondition(field)
	if err != nil {
		return nil, err
	}
	c.kind, c.truth = typeBoolean, set
	return c, nil
}

// comparesText reports whether a type compares the text of a value. Filters of
// the levels of os, geography and gpu have such types only.
func comparesText(kind string) bool {
	return kind == typeString || kind == typeStringArray || kind == typeRegex
}

// canSplit reports whether a segment of the type can be split into a series for
// each value. As published, those are the types that match several texts.
func (c *condition) canSplit() bool { return c.kind == typeStringArray || c.kind == typeRegex }

// valueLabel returns the label of a segment that was given none: its value,
// where the type has a single one; false for other types.
func (c *condition) valueLabel() (string, bool) {
	switch c.kind {
	case typeString:
		return c.texts.List[0], true
	case typeNumber:
		return jsontext.Float(c.low).String(), true
	}
	return "", false
}
