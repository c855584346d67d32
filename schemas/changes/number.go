package changes

import (
	"bytes"
	"math/big"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDigits bounds the digits that a number may have before and after its decimal
// point, written without exponent, to be added. Without a bound an exponent of a few
// bytes would demand unlimited memory.
const maxDigits = 100

// Addable reports whether increase can add v: a number of at most 100 digits before
// and after its decimal point.
func Addable(v jsontext.Value) bool {
	_, ok := parseNumber(v)
	return ok
}

// decimal is units × 10^-scale.
type decimal struct {
	units *big.Int
	scale int // 0 to maxDigits
}

// parseNumber parses a JSON number exactly.
func parseNumber(v jsontext.Value) (decimal, bool) {
	if v.Kind() != '0' {
		return decimal{}, false
	}
	mantissa, exponent := []byte(v), 0
	if e := bytes.IndexAny(v, "eE"); e >= 0 {
		var err error
		if exponent, err = strconv.Atoi(string(v[e+1:])); err != nil {
			return decimal{}, false
		}
		mantissa = v[:e]
	}
	digits, scale := bytes.Clone(mantissa), 0
	if point := bytes.IndexByte(digits, '.'); point >= 0 {
		scale = len(digits) - point - 1
		digits = append(digits[:point], digits[point+1:]...)
	}
	for scale > 0 && digits[len(digits)-1] == '0' {
		digits, scale = digits[:len(digits)-1], scale-1
	}
	if len(digits) > 3*maxDigits || exponent < -3*maxDigits || exponent > 3*maxDigits {
		return decimal{}, false
	}
	units, ok := new(big.Int).SetString(string(digits), 10)
	if !ok {
		return decimal{}, false
	}
	if scale -= exponent; scale < 0 {
		units.Mul(units, powerOfTen(-scale))
		scale = 0
	}
	d := decimal{units: units, scale: scale}
	d.trimZeros()
	whole := new(big.Int).Quo(units, powerOfTen(d.scale))
	return d, d.scale <= maxDigits && len(whole.Text(10)) <= maxDigits+1 // and the sign
}

// trimZeros removes trailing zeros of the fraction.
func (d *decimal) trimZeros() {
	ten, rest := big.NewInt(10), new(big.Int)
	for d.scale > 0 {
		q, r := new(big.Int).QuoRem(d.units, ten, rest)
		if r.Sign() != 0 {
			return
		}
		d.units, d.scale = q, d.scale-1
	}
}

func powerOfTen(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// addNumbers returns a + b without exponent and trailing zeros; nil if one of them is
// not Addable.
func addNumbers(a, b jsontext.Value) jsontext.Value {
	x, ok1 := parseNumber(a)
	y, ok2 := parseNumber(b)
	if !ok1 || !ok2 {
		return nil
	}
	scale := max(x.scale, y.scale)
	sum := new(big.Int).Add(
		new(big.Int).Mul(x.units, powerOfTen(scale-x.scale)),
		new(big.Int).Mul(y.units, powerOfTen(scale-y.scale)),
	)
	d := decimal{units: sum, scale: scale}
	d.trimZeros()
	return d.text()
}

func (d *decimal) text() jsontext.Value {
	digits := new(big.Int).Abs(d.units).Text(10)
	for len(digits) <= d.scale {
		digits = "0" + digits
	}
	var out jsontext.Value
	if d.units.Sign() < 0 {
		out = append(out, '-')
	}
	point := len(digits) - d.scale
	out = append(out, digits[:point]...)
	if d.scale > 0 {
		out = append(append(out, '.'), digits[point:]...)
	}
	return out
}
