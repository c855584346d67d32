package schemas

import (
	"errors"
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// Why a number cannot be a decimal(38,scale).
var (
	ErrNotNumber = errors.New("is not a number")
	ErrTooLarge  = errors.New("has too many digits before the point")
)

// ParseDecimal reads the text of a JSON number as a count of units of
// 10^-scale, exactly: digits beyond the scale are rounded half to even.
func ParseDecimal(text []byte, scale int) (decimal128.Num, error) {
	n, err := scan(text)
	if err != nil {
		return decimal128.Num{}, err
	}
	whole := n.point + scale // how many of the digits stand before the rounding
	if len(n.digits) == 0 || whole < 0 {
		return decimal128.Num{}, nil // zero, or less than a twentieth of a unit
	}
	if whole > ValuePrecision {
		return decimal128.Num{}, ErrTooLarge
	}
	var hi, lo uint64
	for i := range whole {
		hi, lo = timesTen(hi, lo)
		if i < len(n.digits) {
			var carry uint64
			lo, carry = bits.Add64(lo, uint64(n.digits[i]-'0'), 0)
			hi += carry
		}
	}
	if whole < len(n.digits) && roundsUp(n.digits[whole:], lo&1 == 1) {
		var carry uint64
		lo, carry = bits.Add64(lo, 1, 0)
		hi += carry
	}
	v := decimal128.New(int64(hi), lo)
	if !v.FitsInPrecision(ValuePrecision) {
		return decimal128.Num{}, ErrTooLarge
	}
	if n.negative {
		v = v.Negate()
	}
	return v, nil
}

// AppendDecimal appends v, in units of 10^-scale, as a JSON number with no more
// digits than it needs.
func AppendDecimal(dst []byte, v decimal128.Num, scale int) []byte {
	text := v.ToString(int32(scale))
	if scale > 0 {
		end := len(text)
		for end > 0 && text[end-1] == '0' {
			end--
		}
		if end > 0 && text[end-1] == '.' {
			end--
		}
		text = text[:end]
	}
	return append(dst, text...)
}

// number is a JSON number taken apart: 0.digits × 10^point.
type number struct {
	negative bool
	digits   []byte // without leading zeros; empty for zero
	point    int
}

// maxExponent bounds exponents; beyond it a number is zero or too large
// whatever its digits, which are fewer than a body has bytes.
const maxExponent = 1 << 40

// scan takes a number apart. Its digits are copied only when they lie on both
// sides of the point.
func scan(text []byte) (number, error) {
	var n number
	rest := text
	if len(rest) > 0 && rest[0] == '-' {
		n.negative, rest = true, rest[1:]
	}
	whole, rest := digits(rest)
	n.point = len(whole)
	n.digits = whole
	var fraction []byte
	if len(rest) > 0 && rest[0] == '.' {
		if fraction, rest = digits(rest[1:]); len(fraction) == 0 {
			return number{}, ErrNotNumber
		}
		n.digits = append(whole[:len(whole):len(whole)], fraction...)
	}
	if len(whole) == 0 {
		return number{}, ErrNotNumber
	}
	if len(rest) > 0 {
		e, err := exponent(rest)
		if err != nil {
			return number{}, err
		}
		n.point += e
	}
	for len(n.digits) > 0 && n.digits[0] == '0' {
		n.digits = n.digits[1:]
		n.point--
	}
	return n, nil
}

func digits(b []byte) (number, rest []byte) {
	i := 0
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return b[:i], b[i:]
}

func exponent(b []byte) (int, error) {
	if b[0] != 'e' && b[0] != 'E' {
		return 0, ErrNotNumber
	}
	e, err := strconv.ParseInt(string(b[1:]), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, ErrNotNumber
	}
	return int(min(max(e, -maxExponent), maxExponent)), nil
}

func timesTen(hi, lo uint64) (uint64, uint64) {
	carry, low := bits.Mul64(lo, 10)
	return hi*10 + carry, low
}

// roundsUp says whether the digits after the last one kept are more than a
// half, or just a half after an odd digit.
func roundsUp(rest []byte, odd bool) bool {
	if rest[0] != '5' {
		return rest[0] > '5'
	}
	for _, d := range rest[1:] {
		if d != '0' {
			return true
		}
	}
	return odd
}
