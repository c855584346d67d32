package report

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Value is the value of a property of a client.
type Value struct {
	Null bool
	Text string // "" when Null
	raw  string // JSON; "" for computed values
}

// valueOf reads the JSON of a property as rollups store it. As published, ""
// and "<NULL>" are null. Text of invalid JSON is null too.
func valueOf(raw string) Value {
	text := raw
	if strings.HasPrefix(raw, `"`) {
		plain, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return Value{Null: true}
		}
		text = string(plain)
	} else if raw == "null" {
		return Value{Null: true}
	}
	if text == "" || text == NullLabel {
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

// number reads the value as a finite number.
func (v *Value) number() (float64, bool) {
	if v.Null {
		return 0, false
	}
	n, err := strconv.ParseFloat(v.Text, 64)
	return n, err == nil && n-n == 0
}

// truth reads the value as a boolean; false if it is anything but true, 1, Y or
// yes.
func (v *Value) truth() bool {
	switch strings.ToLower(v.Text) {
	case "true", "1", "y", "yes":
		return true
	}
	return false
}
