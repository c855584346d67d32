package report

import (
	"weir/schemas/values"
)

// Value is the value of a property of a client.
type Value struct {
	Null bool
	Text string // "" when Null
	raw  string // JSON; "" for computed values
}

// valueOf reads the JSON of a property as rollups store it.
func valueOf(raw string) Value {
	text, has := values.Text(raw)
	if !has {
		return Value{Null: true}
	}
	return Value{Text: text, raw: raw}
}

// textValue is a value that was computed.
func textValue(text string) Value { return Value{Text: text} }

// label is the value as the name of a series.
func (v *Value) label() string {
	if v.Null {
		return NullLabel
	}
	return v.Text
}
