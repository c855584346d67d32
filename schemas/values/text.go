package values

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// NullText is how answers spell a value that is missing; a client that sends it
// means the same, as published.
const NullText = "<NULL>"

// Text reads the JSON of a value of a property, as events and rollups have it:
// null, "" and "<NULL>" are no value, and neither is text that is not JSON. A
// string is returned without its quotes, a list of strings with the fewest escapes
// and without white space, anything else as it is.
func Text(raw string) (text string, has bool) {
	switch text = raw; {
	case strings.HasPrefix(raw, `"`):
		plain, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return "", false
		}
		text = string(plain)
	case strings.HasPrefix(raw, "["):
		return listText(raw)
	case raw == "null":
		return "", false
	}
	if text == "" || text == NullText {
		return "", false
	}
	return text, true
}

// listText returns the one text that equal lists have.
func listText(raw string) (text string, has bool) {
	if !strings.ContainsAny(raw, "\\ \t\r\n") {
		return raw, true
	}
	list := jsontext.Value(raw)
	if err := list.Format(jsontext.CanonicalizeRawFloats(false), jsontext.PreserveRawStrings(false)); err != nil {
		return "", false
	}
	return string(list), true
}

// trim cuts off the white space around a number, a flag or a date, which does not
// count there. In a text it does.
func trim(text string) string { return strings.Trim(text, " \t\r\n") }

// LongerThan reports whether a text has more than n characters: code points, as
// JSON Schema's maxLength counts them, however the text was spelled.
func LongerThan(text string, n int) bool {
	return len(text) > n && utf8.RuneCountInString(text) > n
}

// FirstChars returns the first n characters of a text.
func FirstChars(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
