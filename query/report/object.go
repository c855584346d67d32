package report

import (
	"math/big"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Object is a JSON object whose members keep their order.
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

// ratio is n ÷ d, rounded half up to two decimals, as a JSON number without
// needless zeros; 0 for a divisor of 0.
func ratio(n, d *big.Int) jsontext.Value {
	if d.Sign() == 0 {
		return jsontext.Value("0")
	}
	const decimals = 2
	return trimmed(new(big.Rat).SetFrac(n, d).FloatString(decimals))
}

// trimmed drops the zeros at the end of a decimal.
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

// per is n ÷ d of whole numbers.
func per(n, d int64) jsontext.Value { return ratio(big.NewInt(n), big.NewInt(d)) }

// percent is n of d in per cent, rounded half up to one decimal; 0 of nobody.
func percent(n, d int64) jsontext.Value {
	return trimmed(new(big.Rat).SetFrac(big.NewInt(tenths(n, d)), big.NewInt(10)).FloatString(1))
}

// tenths is percent in tenths.
func tenths(n, d int64) int64 {
	if d == 0 {
		return 0
	}
	return rounded(n, 1000, d)
}

// rounded is n × times ÷ d, rounded half up; n is not negative, d positive.
func rounded(n, times, d int64) int64 {
	twice := new(big.Int).Mul(big.NewInt(n), big.NewInt(2*times))
	twice.Add(twice, big.NewInt(d))
	return twice.Quo(twice, new(big.Int).Mul(big.NewInt(2), big.NewInt(d))).Int64()
}
