package rollup

import (
	"math"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
)

// OverflowedRuntime stands for a sum of runtimes that overflowed; milliseconds.
//
// Sums are checked: a sum that its column cannot hold is never wrapped and never has
// more digits than the column's type. The largest number of the type stands in its
// place, and every further sum of it is that number again.
//
// The edge takes values below 10^18 and runtimes of 366 days at most, of which more
// fit one row than any client can send. Records of versions before can hold values of
// 29 digits before the point and runtimes of 292 million years. Runtimes are never
// negative, so that a sum that stops at the largest number does not depend on the
// order of adding. Values have signs, so that a single one beyond maxSummand marks its
// sum as overflowed, whatever else is added; all others fit 100,000 to a row.
const OverflowedRuntime = math.MaxInt64

// OverflowedValues returns the sum of values that overflowed: 38 nines, in units of
// 10^-9.
func OverflowedValues() decimal128.Num { return overflowedValues }

var (
	overflowedValues = decimal128.GetMaxValue(schemas.ValuePrecision)
	maxSummand       = decimal128.GetMaxValue(33) // just below 10^24, in units of 10^-9
)

// AddRuntime returns a + b, or OverflowedRuntime. A negative sum is one that a version
// before let wrap.
func AddRuntime(a, b int64) int64 {
	if a < 0 || b < 0 || a > math.MaxInt64-b {
		return OverflowedRuntime
	}
	return a + b
}

// IsOverflowed reports whether a stored sum of values overflowed. Versions before let
// sums wrap, which can show as too many digits.
func IsOverflowed(sum decimal128.Num) bool {
	return !isSmall(sum) && (!sum.Less(overflowedValues) || sum.Less(overflowedValues.Negate()))
}

// addValues returns the sum of two sums of values, or OverflowedValues.
func addValues(a, b decimal128.Num) decimal128.Num {
	if isSmall(a) && isSmall(b) {
		return a.Add(b)
	}
	if IsOverflowed(a) || IsOverflowed(b) {
		return overflowedValues
	}
	sum := a.Add(b) // of two numbers below 10^38, which may pass 2^127
	if wrapped := a.Sign() == b.Sign() && sum.Sign() != a.Sign(); wrapped || IsOverflowed(sum) {
		return overflowedValues
	}
	return sum
}

// isSmall reports whether a sum is so far from the largest one that two such sums
// can be added.
func isSmall(sum decimal128.Num) bool {
	const bound = 1 << 60 // of the upper 64 bits: 2^124 is less than a quarter of 10^38
	return -bound < sum.HighBits() && sum.HighBits() < bound
}

// addValue adds the value of an event to a sum.
func addValue(sum, value decimal128.Num) decimal128.Num {
	const bound = 1 << 40 // of the upper 64 bits: 2^104 is less than 10^33
	if high := value.HighBits(); high >= bound || high < -bound {
		if maxSummand.Less(value) || value.Less(maxSummand.Negate()) {
			return overflowedValues
		}
	}
	return addValues(sum, value)
}
