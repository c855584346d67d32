package values

import "unicode/utf8"

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
