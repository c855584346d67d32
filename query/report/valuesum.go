package report

import (
	"math"
	"math/big"
	"math/bits"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
	"weir/schemas/rollup"
)

// valueSum is an exact sum of the sums of values of rows, in units of 10⁻⁹. Its 192
// bits hold those of more rows than a table can have, so that the order of adding
// does not matter. If one of the rows overflowed, so has the sum.
type valueSum struct {
	hi      int64 // overflowedHigh: the sum overflowed, and the rest means nothing
	mid, lo uint64
}

const overflowedHigh = math.MaxInt64

// sumOfCount returns a count as a sum of values of 1.
func sumOfCount(n int64) (s valueSum) {
	s.addRow(decimal128.FromI64(n).Mul(decimal128.FromI64(valueUnit)))
	return s
}

func (s *valueSum) overflowed() bool { return s.hi == overflowedHigh }

// addRow adds the sum of a row.
func (s *valueSum) addRow(v decimal128.Num) {
	if rollup.IsOverflowed(v) {
		s.hi = overflowedHigh
	}
	s.add(&valueSum{hi: v.HighBits() >> 63, mid: uint64(v.HighBits()), lo: v.LowBits()})
}

func (s *valueSum) add(o *valueSum) {
	if s.overflowed() || o.overflowed() {
		s.hi = overflowedHigh
		return
	}
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, o.lo, 0)
	s.mid, carry = bits.Add64(s.mid, o.mid, carry)
	s.hi += o.hi + int64(carry)
}

// units returns the sum in units of 10⁻⁹.
func (s *valueSum) units() *big.Int {
	out := new(big.Int).Lsh(big.NewInt(s.hi), 64)
	out.Or(out, new(big.Int).SetUint64(s.mid))
	out.Lsh(out, 64)
	return out.Or(out, new(big.Int).SetUint64(s.lo))
}

// exact returns a sum as a decimal without rounding; null if it overflowed.
func (s *valueSum) exact() jsontext.Value {
	switch {
	case s.overflowed():
		return nothing
	case s.hi == int64(s.mid)>>63:
		return schemas.AppendDecimal(nil, decimal128.New(int64(s.mid), s.lo), schemas.ValueScale)
	}
	return trimmed(new(big.Rat).SetFrac(s.units(), big.NewInt(valueUnit)).FloatString(schemas.ValueScale))
}

// per returns a sum ÷ d; null if it overflowed.
func (s *valueSum) per(d int64) jsontext.Value {
	if s.overflowed() {
		return nothing
	}
	return ratio(s.units(), new(big.Int).Mul(big.NewInt(d), big.NewInt(valueUnit)))
}

// perHour returns a sum ÷ hours of runtime; null if one of the two overflowed.
func (s *valueSum) perHour(runtimeMS int64) jsontext.Value {
	if s.overflowed() || runtimeMS == rollup.OverflowedRuntime {
		return nothing
	}
	return ratio(new(big.Int).Mul(s.units(), big.NewInt(hourMS)), new(big.Int).Mul(big.NewInt(runtimeMS), big.NewInt(valueUnit)))
}
