package export

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
)

// maxKnownProps bounds how many different $client objects are cached in parsed
// form; a few MiB.
const maxKnownProps = 4096

// clientKeys returns the properties of $client that exports read: those with a
// column, and the two numbers that stand for a resolution that was not sent as
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

// clientProps parses $client objects. A batch has few different ones, and the next
// batch mostly has the same, so both levels of cache save most of the parsing.
type clientProps struct {
	slots  map[string]int        // index of each key in clientKeys
	known  map[string]*propTexts // by JSON
	byCode []*propTexts          // of this batch; nil until it is read
	from   jsonText              // used by parse only
}

// propTexts are the values of one $client, in the order of clientKeys: texts
// of strings, numbers and booleans. What is null, empty or <NULL> is "".
type propTexts struct{ texts []string }

func newClientProps() *clientProps {
	p := &clientProps{slots: map[string]int{}, known: map[string]*propTexts{}}
	for slot, key := range clientKeys() {
		p.slots[key] = slot
	}
	return p
}

// beginBatch begins a batch whose dictionary has codes values.
func (p *clientProps) beginBatch(codes int) {
	p.byCode = make([]*propTexts, codes)
}

// parsed returns the values of json, which has code in this batch; −1 is no code.
func (p *clientProps) parsed(code int32, json string) *propTexts {
	if code >= 0 && p.byCode[code] != nil {
		return p.byCode[code]
	}
	texts, ok := p.known[json]
	if !ok {
		texts = p.parseNew(json)
	}
	if code >= 0 {
		p.byCode[code] = texts
	}
	return texts
}

// parseNew parses json and caches the result.
func (p *clientProps) parseNew(json string) *propTexts {
	if len(p.known) >= maxKnownProps {
		clear(p.known)
	}
	own := string([]byte(json)) // json is only valid as long as its batch
	texts := &propTexts{texts: make([]string, len(p.slots))}
	_ = p.parse(own, texts.texts) // ingest has checked it; of a broken object the members before the error count
	p.known[own] = texts
	return texts
}

// parse sets the texts of the members that exports read, by their index in
// clientKeys.
func (p *clientProps) parse(object string, texts []string) error {
	dec := p.from.decoder(object)
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		slot, wanted := p.slots[name.String()]
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		text, err := appendPlain(nil, value)
		if err != nil {
			return err
		}
		if wanted && string(text) != "<NULL>" {
			texts[slot] = string(text)
		}
	}
	return nil
}

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
// null as nothing, everything else as compact JSON.
func appendPlain(dst []byte, v jsontext.Value) ([]byte, error) {
	switch v.Kind() {
	case '"':
		return jsontext.AppendUnquote(dst, v)
	case 'n':
		return dst, nil
	case '{', '[':
		v = v.Clone()
		if err := v.Compact(); err != nil {
			return dst, err
		}
	default: // numbers and booleans are compact
	}
	return append(dst, v...), nil
}
