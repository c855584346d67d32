package schemas

import (
	"errors"
	"math/bits"
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
)

// Reasons why ParseDecimal rejects a number.
var (
	ErrNotNumber = errors.New("is not a number")
	ErrTooLarge  = errors.New("has too many digits before the point")
)

// ParseDecimal reads the text of a JSON number as a count of units of
// 10^-scale, exactly: digits beyond the scale are rounded half to even.
func ParseDecimal(text []byte, scale int) (decimal128.Num, error) {
	n, err := splitNumber(text)
	if err != nil {
		return decimal128.Num{}, err
	}
	whole := n.point + scale // digits that remain after rounding
	if n.len() == 0 || whole < 0 {
		return decimal128.Num{}, nil // zero, or less than a twentieth of a unit
	}
	if whole > ValuePrecision {
		return decimal128.Num{}, ErrTooLarge
	}
	var hi, lo uint64
	for i := range whole {
		hi, lo = timesTen(hi, lo)
		if i < n.len() {
			var carry uint64
			lo, carry = bits.Add64(lo, uint64(n.digit(i)-'0'), 0)
			hi += carry
		}
	}
	if n.roundsUp(whole, lo&1 == 1) {
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

// AppendDecimal appends v, in units of 10^-scale, as a JSON number without
// trailing zeros.
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

// IsShortest reports whether the text of a JSON number is the one that AppendDecimal
// gives for what ParseDecimal reads of it, so that the text need not be kept.
func IsShortest(text []byte, scale int) bool {
	rest := text
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	}
	before, rest := cutDigits(rest)
	if len(before) == 0 || before[0] == '0' && len(before) > 1 {
		return false
	}
	if len(rest) == 0 {
		return string(text) != "-0"
	}
	if rest[0] != '.' {
		return false
	}
	after, rest := cutDigits(rest[1:])
	return len(rest) == 0 && len(after) > 0 && len(after) <= scale && after[len(after)-1] != '0'
}

// numberText is a parsed JSON number: 0.digits × 10^point. The digits before and
// after the decimal point alias the text.
type numberText struct {
	negative      bool
	before, after []byte // without leading zeros; both empty for zero
	point         int
}

func (n *numberText) len() int { return len(n.before) + len(n.after) }

func (n *numberText) digit(i int) byte {
	if i < len(n.before) {
		return n.before[i]
	}
	return n.after[i-len(n.before)]
}

// roundsUp reports whether the digits from i on round the digit before them up:
// they are more than half a unit of it, or exactly half and that digit is odd.
func (n *numberText) roundsUp(i int, odd bool) bool {
	if i >= n.len() || n.digit(i) != '5' {
		return i < n.len() && n.digit(i) > '5'
	}
	for i++; i < n.len(); i++ {
		if n.digit(i) != '0' {
			return true
		}
	}
	return odd
}

// maxExponent bounds exponents, so that adding them up cannot overflow. A number
// beyond it is zero or too large whatever its digits: a body has fewer bytes.
const maxExponent = 1 << 40

// splitNumber parses a JSON number without copying its digits.
func splitNumber(text []byte) (numberText, error) {
	var n numberText
	rest := text
	if len(rest) > 0 && rest[0] == '-' {
		n.negative, rest = true, rest[1:]
	}
	n.before, rest = cutDigits(rest)
	if len(n.before) == 0 {
		return numberText{}, ErrNotNumber
	}
	n.point = len(n.before)
	if len(rest) > 0 && rest[0] == '.' {
		if n.after, rest = cutDigits(rest[1:]); len(n.after) == 0 {
			return numberText{}, ErrNotNumber
		}
	}
	if len(rest) > 0 {
		e, err := parseExponent(rest)
		if err != nil {
			return numberText{}, err
		}
		n.point += e
	}
	for n.len() > 0 && n.digit(0) == '0' {
		n.dropFirstDigit()
	}
	return n, nil
}

func (n *numberText) dropFirstDigit() {
	n.point--
	if len(n.before) > 0 {
		n.before = n.before[1:]
		return
	}
	n.after = n.after[1:]
}

func cutDigits(b []byte) (number, rest []byte) {
	i := 0
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return b[:i], b[i:]
}

func parseExponent(b []byte) (int, error) {
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
