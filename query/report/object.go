package report

import (
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

// lazy is a part of an answer that is made when it is written, so that a large
// answer is never held whole.
type lazy func() any

// MarshalJSONTo makes the part and writes it.
func (l lazy) MarshalJSONTo(enc *jsontext.Encoder) error { return json.MarshalEncode(enc, l()) }

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
