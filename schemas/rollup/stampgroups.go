package rollup

import (
	"errors"
	"fmt"
	"strings"
)

// errStampGroups says that stored properties are not as AppendJSON writes them.
var errStampGroups = errors.New("properties are not groups of a time, an offset and values")

// EachStamp calls do for each group of raw, stored properties as AppendJSON writes
// them, with the time and offset of an event and the JSON object of those values of
// it that were the latest. ParseClientProperties reads the object; it shares
// memory with raw.
//
// It leaves the object unparsed because many rows have equal ones, which the caller
// parses once.
func EachStamp(raw string, do func(time, offset int64, values string)) error {
	rest, ok := strings.CutPrefix(raw, "[")
	if raw == "" || rest == "]" {
		return nil
	}
	for ok {
		var at stamp
		if at.time, rest, ok = cutInt(rest, `{"t":`); !ok {
			break
		}
		if at.offset, rest, ok = cutInt(rest, `,"o":`); !ok {
			break
		}
		if rest, ok = strings.CutPrefix(rest, `,"v":`); !ok {
			break
		}
		end := objectEnd(rest)
		if end < 0 {
			break
		}
		do(at.time, at.offset, rest[:end])
		if rest = rest[end:]; rest == "}]" {
			return nil
		}
		rest, ok = strings.CutPrefix(rest, "},")
	}
	return fmt.Errorf("read properties: %w", errStampGroups)
}

// objectEnd returns the length of the JSON object that text begins with; −1 if it
// does not end.
func objectEnd(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}
