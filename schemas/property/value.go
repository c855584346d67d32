package property

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// NullText is how answers spell a value that is missing; a client that sends it
// means the same, as published.
const NullText = "<NULL>"

// TextOf reads the JSON of a value of a property, as events and rollups have it:
// null, "" and "<NULL>" are no value, and neither is text that is not JSON. A
// string is returned without its quotes, anything else as it is.
func TextOf(raw string) (text string, has bool) {
	text = raw
	if strings.HasPrefix(raw, `"`) {
		plain, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return "", false
		}
		text = string(plain)
	} else if raw == "null" {
		return "", false
	}
	if text == "" || text == NullText {
		return "", false
	}
	return text, true
}

// IsTrue reports whether the text of a boolean or a flag means true: true, 1, Y
// or yes, in any case. Everything else is false, and so is a flag without a value:
// reports, lists and export files decide by this alone.
func IsTrue(text string) bool {
	switch strings.ToLower(text) {
	case "true", "1", "y", "yes":
		return true
	}
	return false
}
