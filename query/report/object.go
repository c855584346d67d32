package report

import (
	"math/big"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Object is a JSON object that keeps the order of its members. Answers depend
// on the order.
type Object []Member

// Member is a member of an Object.
type Member struct {
	Name  string
	Value any
}

// MarshalJSONTo writes the members in their order.
func (o Object) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, m := range o {
		if err := enc.WriteToken(jsontext.String(m.Name)); err != nil {
			return err
		}
		if err := json.MarshalEncode(enc, m.Value); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// ratio returns n ÷ d as a JSON number, rounded to two decimals with halves
// away from zero and without trailing zeros; 0 if d is 0. The published
// document asks for two decimals.
func ratio(n, d *big.Int) jsontext.Value {
	if d.Sign() == 0 {
		return jsontext.Value("0")
	}
	const decimals = 2
	return trimmed(new(big.Rat).SetFrac(n, d).FloatString(decimals))
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

// per returns the ratio of two whole numbers.
func per(n, d int64) jsontext.Value { return ratio(big.NewInt(n), big.NewInt(d)) }

// percent returns n as a percentage of d, rounded to one decimal with halves
// up; 0 if d is 0. The samples of the published document have one decimal.
func percent(n, d int64) jsontext.Value {
	return trimmed(new(big.Rat).SetFrac(big.NewInt(tenths(n, d)), big.NewInt(10)).FloatString(1))
}

// tenths returns percent in tenths, so that rows can be ordered by what is
// shown.
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
