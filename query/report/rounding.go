package report

import (
	"math/big"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/rollup"
)

// ratio returns n ÷ d as a JSON number, rounded to two decimals with halves
// away from zero and without trailing zeros; null if d is 0. The published
// document asks for two decimals.
func ratio(n, d *big.Int) jsontext.Value {
	if d.Sign() == 0 {
		return nothing
	}
	const decimals = 2
	return trimmed(new(big.Rat).SetFrac(n, d).FloatString(decimals))
}

// nothing is a quotient with nothing to divide by: a mean of no sessions, or a
// share of no clients, is not known, and 0 would be a claim. Charts show null as
// a gap.
var nothing = jsontext.Value("null")

// per returns the ratio of two whole numbers.
func per(n, d int64) jsontext.Value { return ratio(big.NewInt(n), big.NewInt(d)) }

// perHour returns n ÷ hours of runtime; null if the runtime overflowed.
func perHour(n *big.Int, runtimeMS int64) jsontext.Value {
	if runtimeMS == rollup.OverflowedRuntime {
		return nothing
	}
	return ratio(new(big.Int).Mul(n, big.NewInt(hourMS)), big.NewInt(runtimeMS))
}

// hourMS is an hour in milliseconds.
const hourMS = 3_600_000

// valueUnit is the number of units in 1: sums of values are kept in units of
// 10⁻⁹, so that they are exact.
const valueUnit = 1_000_000_000

// percent returns n as a percentage of d, rounded to one decimal with halves
// up; null if d is 0. The samples of the published document have one decimal.
func percent(n, d int64) jsontext.Value {
	if d == 0 {
		return nothing
	}
	return trimmed(new(big.Rat).SetFrac(big.NewInt(tenths(n, d)), big.NewInt(10)).FloatString(1))
}

// tenths returns percent in tenths, so that rows can be ordered by what is
// shown; null is ordered as 0.
func tenths(n, d int64) int64 {
	if d == 0 {
		return 0
	}
	return rounded(n, 1000, d)
}

// rounded returns n × times ÷ d, rounded half up. n is not negative and d is
// positive. The product may exceed 64 bits.
func rounded(n, times, d int64) int64 {
	twice := new(big.Int).Mul(big.NewInt(n), big.NewInt(2*times))
	twice.Add(twice, big.NewInt(d))
	return twice.Quo(twice, new(big.Int).Mul(big.NewInt(2), big.NewInt(d))).Int64()
}

// trimmed removes the zeros at the end of a decimal, and the sign of zero.
func trimmed(text string) jsontext.Value {
	end := len(text)
	for text[end-1] == '0' {
		end--
	}
	if text[end-1] == '.' {
		end--
	}
	if text = text[:end]; text == "-0" {
		text = "0"
	}
	return jsontext.Value(text)
}
