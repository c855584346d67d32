package report

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Value is what a property of a client is.
type Value struct {
	Null bool
	Text string // "" when Null
	raw  string // JSON; "" of what is not said but computed
}

// valueOf reads a property as rollups keep it: JSON.
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

func textValue(text string) Value { return Value{Text: text} }

// label is how the value is written.
func (v *Value) label() string {
	if v.Null {
		return NullLabel
	}
	return v.Text
}

func (v *Value) number() (float64, bool) {
	if v.Null {
		return 0, false
	}
	n, err := strconv.ParseFloat(v.Text, 64)
	return n, err == nil && n-n == 0
}

// truth reads a flag; what was never said is not true.
func (v *Value) truth() bool {
	switch strings.ToLower(v.Text) {
	case "true", "1", "y", "yes":
		return true
	}
	return false
}
