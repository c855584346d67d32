package values

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Number reads the text of a value as a number: a sign or none, decimal digits
// with a point or none among or beside them, an exponent or none. Hexadecimal
// digits, digits that are grouped, words such as inf, and what no 64-bit
// floating-point number holds are no numbers.
func Number(text string) (float64, bool) {
	text = trim(text)
	if _, ok := scanNumber(text); !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(text, 64)
	return n + 0, err == nil // + 0 makes 0 of -0
}

// NumberText returns the one text that equal numbers have, which is also JSON.
func NumberText(n float64) string { return jsontext.Float(n).String() }

// Finite reports whether a 64-bit floating-point number holds a JSON number:
// 1e400 is none that a reader of answers could use.
func Finite(number []byte) bool {
	const always = 300 // digits without an exponent that are below 1.8e308
	if len(number) <= always && !hasExponent(number) {
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return !errors.Is(err, strconv.ErrRange)
}

func hasExponent(number []byte) bool {
	for _, c := range number {
		if c|0x20 == 'e' {
			return true
		}
	}
	return false
}

// FiniteWithin reports whether every number within a JSON value is Finite.
func FiniteWithin(v []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(v), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		switch dec.PeekKind() {
		case '0':
			if number, err := dec.ReadValue(); err != nil || !Finite(number) {
				return false
			}
		default:
			if _, err := dec.ReadToken(); err != nil {
				return errors.Is(err, io.EOF)
			}
		}
	}
}

// HasDigits reports whether a text has more than n digits in a row.
func HasDigits(text []byte, n int) bool {
	run := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			run = 0
		} else if run++; run > n {
			return true
		}
	}
	return false
}

// Whole reads a number as the whole number that it is: 30, 30.0, 3e1, 300e-1, as
// JSON Schema's integer. It is exact up to the bounds of an int64.
func Whole(text []byte) (int64, bool) {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, true
	}
	n, ok := scanNumber(string(text))
	if !ok {
		return 0, false
	}
	return n.whole()
}

// number is a number as it is spelled: digits × 10^exponent.
type number struct {
	negative bool
	digits   string // without leading and trailing zeros; "" is 0
	exponent int
}

// maxExponent bounds exponents, so that adding to them cannot overflow.
const maxExponent = 1 << 40

// scanNumber reads the spelling of a number, and all of text.
func scanNumber(text string) (number, bool) {
	var n number
	if text != "" && (text[0] == '-' || text[0] == '+') {
		n.negative, text = text[0] == '-', text[1:]
	}
	before, text := cutDigits(text)
	after := ""
	if text != "" && text[0] == '.' {
		after, text = cutDigits(text[1:])
	}
	if before == "" && after == "" {
		return n, false
	}
	n.exponent = -len(after)
	if text != "" {
		e, ok := scanExponent(text)
		if !ok {
			return n, false
		}
		n.exponent += e
	}
	n.digits = before + after
	for n.digits != "" && n.digits[0] == '0' {
		n.digits = n.digits[1:]
	}
	for n.digits != "" && n.digits[len(n.digits)-1] == '0' {
		n.digits = n.digits[:len(n.digits)-1]
		n.exponent++
	}
	return n, true
}

func cutDigits(text string) (digits, rest string) {
	i := 0
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		i++
	}
	return text[:i], text[i:]
}

// scanExponent reads e or E, a sign or none, and digits.
func scanExponent(text string) (int, bool) {
	if text[0]|0x20 != 'e' {
		return 0, false
	}
	text = text[1:]
	negative := false
	if text != "" && (text[0] == '-' || text[0] == '+') {
		negative, text = text[0] == '-', text[1:]
	}
	digits, rest := cutDigits(text)
	if digits == "" || rest != "" {
		return 0, false
	}
	e, err := strconv.Atoi(digits)
	if err != nil || e > maxExponent {
		e = maxExponent
	}
	if negative {
		e = -e
	}
	return e, true
}

// whole returns the number if it is whole and an int64.
func (n number) whole() (int64, bool) {
	const maxDigits = 19
	switch {
	case n.digits == "":
		return 0, true
	case n.exponent < 0, len(n.digits)+n.exponent > maxDigits:
		return 0, false
	}
	text := n.digits + strings.Repeat("0", n.exponent)
	u, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil:
		return 0, false
	case n.negative && u <= -math.MinInt64:
		return -int64(u), true
	case n.negative || u > math.MaxInt64:
		return 0, false
	}
	return int64(u), true
}

// Int is a whole number of a request, as Whole reads it.
type Int int64

var errNotWhole = errors.New("must be a whole number")

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *Int) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil || v.Kind() == 'n' {
		return err
	}
	whole, ok := Whole(v)
	if v.Kind() != '0' || !ok {
		return errNotWhole
	}
	*n = Int(whole)
	return nil
}
