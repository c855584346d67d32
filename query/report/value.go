package report

import (
	"weir/schemas/values"
)

// Value is the value of a property of a client.
type Value struct {
	Null   bool
	read   reading // of number
	number float64
	Text   string // "" when Null
	raw    string // JSON; "" for computed values
}

// reading is what is known of a value as a number, which many conditions read.
type reading int8

const (
	unread reading = iota
	isNumber
	noNumber
)

// asNumber returns the value as a number; false if it is none.
func (v *Value) asNumber() (float64, bool) {
	if v.read == unread {
		n, ok := values.Number(v.Text)
		if v.number, v.read = n, noNumber; ok {
			v.read = isNumber
		}
	}
	return v.number, v.read == isNumber
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
