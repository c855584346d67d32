package property

import (
	"strconv"

	"weir/schemas/values"
)

// Read reads the JSON of a value of a property of the type as reports, lists and
// export files spell it. A flag is true or false, whatever is there; has is false
// where any other type has no value.
func (t Type) Read(raw string) (text string, has bool) {
	text, has = values.Text(raw)
	if t == Flag {
		return strconv.FormatBool(values.IsTrue(text)), true
	}
	return t.Spell(text), has
}

// Spell returns the one text of a value of the type: a number without what does
// not count in it, true or false for a boolean or a flag. A text that is no number
// or no boolean, and any other type's, stays as it is.
func (t Type) Spell(text string) string {
	switch t {
	case Number:
		if n, ok := values.Number(text); ok {
			return values.NumberText(n)
		}
	case Boolean, Flag:
		if set, known := values.Flag(text); known {
			return strconv.FormatBool(set)
		}
	case Text, Date:
	}
	return text
}
