package values

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Strings is a list of strings of a request. A null in it is refused, and not read
// as "", which would be another question.
type Strings []string

// OneOrMany is a list of strings, or one string as a list of one.
type OneOrMany []string

// element is a string of a list.
type element string

var errNotText = errors.New("must be a string")

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (s *element) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '"' {
		if err := dec.SkipValue(); err != nil {
			return err
		}
		return errNotText
	}
	return json.UnmarshalDecode(dec, (*string)(s))
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. null is no list.
func (l *Strings) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var all []element
	if err := json.UnmarshalDecode(dec, &all); err != nil {
		return err
	}
	*l = nil
	if all != nil {
		*l = make(Strings, len(all))
	}
	for i, text := range all {
		(*l)[i] = string(text)
	}
	return nil
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom. null is no list.
func (l *OneOrMany) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() == '"' {
		var one string
		if err := json.UnmarshalDecode(dec, &one); err != nil {
			return err
		}
		*l = OneOrMany{one}
		return nil
	}
	return json.UnmarshalDecode(dec, (*Strings)(l))
}
