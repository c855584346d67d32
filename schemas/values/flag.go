package values

import "strings"

// Flag reads the text of a boolean or a flag, in any case of letters: true, 1, Y
// and yes are true; false, 0, N and no are false. Anything else is neither.
func Flag(text string) (set, known bool) {
	switch strings.ToLower(trim(text)) {
	case "true", "1", "y", "yes":
		return true, true
	case "false", "0", "n", "no":
		return false, true
	}
	return false, false
}

// IsTrue reports whether the text of a flag means true. A flag is false else, also
// where it has no value or one that means neither.
func IsTrue(text string) bool {
	set, _ := Flag(text)
	return set
}
