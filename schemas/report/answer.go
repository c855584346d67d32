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
