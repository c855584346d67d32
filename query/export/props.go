package export

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
	"weir/schemas/values"
)

// clientKeys returns the properties of clients that tracking files have: those with
// a column, and the two numbers that stand for a resolution that was not sent as
// one text.
func clientKeys() []string {
	keys := []string{widthKey, heightKey}
	for _, p := range property.All() {
		if p.Header != "" && p.Source == property.Reported {
			keys = append(keys, p.Name)
		}
	}
	return keys
}

const (
	resolutionKey = "resolution"
	widthKey      = "resolutionWidth"
	heightKey     = "resolutionHeight"
)

// eventData encodes the properties of an event as custom event files have them:
// (key,value)&&(key,value), in the order in which they were sent.
type eventData struct{ from jsonText }

// append appends a JSON object in that form. Nothing is escaped, because the format
// has no escapes. Anything but an object is appended as it is.
func (d *eventData) append(dst []byte, object string) []byte {
	if object == "" || object == "{}" {
		return dst
	}
	start := len(dst)
	encoded, err := d.encode(dst, object)
	if err != nil {
		return append(dst[:start], object...)
	}
	return encoded
}

func (d *eventData) encode(dst []byte, object string) ([]byte, error) {
	dec := d.from.decoder(object)
	start := len(dst)
	if _, err := dec.ReadToken(); err != nil {
		return dst, err
	}
	for dec.PeekKind() != '}' {
		if len(dst) > start {
			dst = append(dst, "&&"...)
		}
		name, err := dec.ReadValue()
		if err != nil {
			return dst, err
		}
		if dst, err = appendPlain(append(dst, '('), name); err != nil {
			return dst, err
		}
		value, err := dec.ReadValue()
		if err != nil {
			return dst, err
		}
		if dst, err = appendPlain(append(dst, ','), value); err != nil {
			return dst, err
		}
		dst = append(dst, ')')
	}
	return dst, nil
}

// jsonText reads one JSON text after the other.
type jsonText struct {
	text bytes.Buffer
	dec  *jsontext.Decoder
}

// decoder returns a decoder at the start of text. It does not check again what
// ingest has checked.
func (j *jsonText) decoder(text string) *jsontext.Decoder {
	j.text.Reset()
	j.text.WriteString(text)
	if j.dec == nil {
		j.dec = jsontext.NewDecoder(&j.text, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		return j.dec
	}
	j.dec.Reset(&j.text, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return j.dec
}

// appendPlain appends a JSON value as text: a string without its quotes,
// null as nothing, a list as every reader of values has it, everything else as
// compact JSON.
func appendPlain(dst []byte, v jsontext.Value) ([]byte, error) {
	switch v.Kind() {
	case '"':
		return jsontext.AppendUnquote(dst, v)
	case 'n':
		return dst, nil
	case '[':
		if list, ok := values.Text(string(v)); ok {
			return append(dst, list...), nil
		}
		fallthrough
	case '{':
		v = v.Clone()
		if err := v.Compact(); err != nil {
			return dst, err
		}
	default: // numbers and booleans are compact
	}
	return append(dst, v...), nil
}
