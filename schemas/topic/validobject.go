package topic

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Limits of what isPlainObject decides. Objects of clients are far below them.
const (
	plainMembers = 16 // of one object: each name is compared with those before it
	plainDepth   = 8  // of objects and arrays within each other
)

// isPlainObject reports whether b is a valid JSON object of a simple kind, as
// jsontext.Value.IsValid understands it: UTF-8, and no name twice. It is true of
// nothing that is not valid. It may be false of what is; the caller then asks the
// JSON package, which takes three times as long (BenchmarkValidObject).
//
// The functions below read one thing of the text b that begins at `at`. They return
// the index after it, or invalid.
func isPlainObject(b []byte) bool {
	if len(b) == 0 || b[0] != '{' {
		return false
	}
	at := skipObject(b, 0, plainDepth)
	return at != invalid && skipSpace(b, at) == len(b)
}

const invalid = -1

// skipSpace returns the index of the first byte that is not white space.
func skipSpace(b []byte, at int) int {
	for at < len(b) && b[at] <= ' ' && (b[at] == ' ' || b[at] == '\n' || b[at] == '\t' || b[at] == '\r') {
		at++
	}
	return at
}

// span is a part of the text.
type span struct{ from, to int }

// skipObject reads an object whose names have no escapes: with them, names could be
// the same although their bytes differ.
func skipObject(b []byte, at, depth int) int {
	at = skipSpace(b, at+1)
	if depth == 0 || at == len(b) {
		return invalid
	}
	if b[at] == '}' {
		return at + 1
	}
	var names [plainMembers]span
	for n := range names {
		from := skipSpace(b, at)
		if at = skipName(b, from); at == invalid {
			return invalid
		}
		names[n] = span{from, at}
		if at = skipSpace(b, at); isRepeated(b, names[:n], names[n]) || at == len(b) || b[at] != ':' {
			return invalid
		}
		if at = skipValue(b, at+1, depth); at == invalid {
			return invalid
		}
		if at = skipSpace(b, at); at == len(b) || b[at] != ',' && b[at] != '}' {
			return invalid
		}
		if at++; b[at-1] == '}' {
			return at
		}
	}
	return invalid
}

// isRepeated reports whether name is one of names.
func isRepeated(b []byte, names []span, name span) bool {
	for _, other := range names {
		if other.to-other.from == name.to-name.from && bytes.Equal(b[other.from:other.to], b[name.from:name.to]) {
			return true
		}
	}
	return false
}

func skipArray(b []byte, at, depth int) int {
	at = skipSpace(b, at+1)
	if depth == 0 || at == len(b) {
		return invalid
	}
	if b[at] == ']' {
		return at + 1
	}
	for {
		if at = skipValue(b, at, depth); at == invalid {
			return invalid
		}
		if at = skipSpace(b, at); at == len(b) || b[at] != ',' && b[at] != ']' {
			return invalid
		}
		if at++; b[at-1] == ']' {
			return at
		}
	}
}

func skipValue(b []byte, at, depth int) int {
	at = skipSpace(b, at)
	if at == len(b) {
		return invalid
	}
	switch b[at] {
	case '"':
		return skipString(b, at)
	case '{':
		return skipObject(b, at, depth-1)
	case '[':
		return skipArray(b, at, depth-1)
	case 't':
		return skipWord(b, at, "true")
	case 'f':
		return skipWord(b, at, "false")
	case 'n':
		return skipWord(b, at, "null")
	default:
		return skipNumber(b, at)
	}
}

func skipWord(b []byte, at int, word string) int {
	if len(b)-at < len(word) || string(b[at:at+len(word)]) != word {
		return invalid
	}
	return at + len(word)
}

func skipNumber(b []byte, at int) int {
	if b[at] == '-' {
		at++
	}
	if at < len(b) && b[at] == '0' {
		at++
	} else if at = skipDigits(b, at); at == invalid {
		return invalid
	}
	if at < len(b) && b[at] == '.' {
		if at = skipDigits(b, at+1); at == invalid {
			return invalid
		}
	}
	if at == len(b) || b[at] != 'e' && b[at] != 'E' {
		return at
	}
	if at++; at < len(b) && (b[at] == '+' || b[at] == '-') {
		at++
	}
	return skipDigits(b, at)
}

// skipDigits reads at least one digit.
func skipDigits(b []byte, at int) int {
	from := at
	for at < len(b) && '0' <= b[at] && b[at] <= '9' {
		at++
	}
	if at == from {
		return invalid
	}
	return at
}

// skipName reads a string without escapes, with its quotes.
func skipName(b []byte, at int) int {
	if at == len(b) || b[at] != '"' {
		return invalid
	}
	from := at + 1
	end := skipString(b, at)
	if end == invalid || bytes.IndexByte(b[from:end], '\\') >= 0 {
		return invalid
	}
	return end
}

// skipString reads a string with its quotes. Of the escapes it knows those of one
// character.
func skipString(b []byte, at int) int {
	from, ascii := at+1, true
	for at = from; ; at++ {
		if at = skipPlain(b, at); at == len(b) {
			return invalid
		}
		switch c := b[at]; {
		case c == '"':
			if !ascii && !utf8.Valid(b[from:at]) {
				return invalid
			}
			return at + 1
		case c >= utf8.RuneSelf:
			ascii = false
		case c < ' ':
			return invalid
		case c == '\\':
			if at++; at == len(b) || !isEscape(b[at]) {
				return invalid
			}
		}
	}
}

func isEscape(c byte) bool {
	switch c {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	}
	return false
}

// skipPlain skips eight characters at a time that are ASCII and neither a quote, nor
// a backslash, nor a control character. It stops at the first other one or within
// the last seven bytes of the text.
func skipPlain(b []byte, at int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; at+8 <= len(b); at += 8 {
		x := binary.LittleEndian.Uint64(b[at:])
		// A byte from which too much is taken borrows from the one above, so only
		// the lowest of the top bits that are set is certain.
		stops := (x | (x - ones*' ') | ((x ^ ones*'"') - ones) | ((x ^ ones*'\\') - ones)) & tops
		if stops != 0 {
			return at + bits.TrailingZeros64(stops)/8
		}
	}
	return at
}
