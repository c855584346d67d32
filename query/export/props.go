package export

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas/property"
)

// maxKnownProps bounds how many different $client objects are remembered taken
// apart; a few MiB.
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

// clientProps takes $client objects apart. Few different ones stand in a
// batch, and the next batch mostly has the same.
type clientProps struct {
	slots  map[string]int        // place of each key in clientKeys
	known  map[string]*propTexts // by JSON
	byCode []*propTexts          // of this batch; nil until asked for
	from   jsonText              // of parse alone
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

// forget begins a batch whose dictionary has so many codes.
func (p *clientProps) forget(codes int) {
	p.byCode = make([]*propTexts, codes)
}

// of returns the values of json, which has code in this batch; −1 is no code.
func (p *clientProps) of(code int32, json string) *propTexts {
	if code >= 0 && p.byCode[code] != nil {
		return p.byCode[code]
	}
	texts, ok := p.known[json]
	if !ok {
		texts = p.learn(json)
	}
	if code >= 0 {
		p.byCode[code] = texts
	}
	return texts
}

func (p *clientProps) learn(json string) *propTexts {
	if len(p.known) >= maxKnownProps {
		clear(p.known)
	}
	own := string([]byte(json)) // the batch it lies in goes away
	texts := &propTexts{texts: make([]string, len(p.slots))}
	_ = p.parse(own, texts.texts) // it was checked at the edge; of one that is broken counts what stands before the break
	p.known[own] = texts
	return texts
}

func (p *clientProps) parse(object string, texts []string) error {
	dec := p.from.rewound(object)
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

// eventData spells the own properties of an event as custom event files have
// them: (key,value)&&(key,value), in the order they were sent.
type eventData struct{ from jsonText }

// append appends the spelling of a JSON object. Nothing is escaped: the format
// has no escape. What is no object is appended as it is.
func (d *eventData) append(dst []byte, object string) []byte {
	if object == "" || object == "{}" {
		return dst
	}
	start := len(dst)
	spelled, err := d.spell(dst, object)
	if err != nil {
		return append(dst[:start], object...)
	}
	return spelled
}

func (d *eventData) spell(dst []byte, object string) ([]byte, error) {
	dec := d.from.rewound(object)
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

// rewound returns a decoder at the start of text. What the edge has checked is
// not checked again.
func (j *jsonText) rewound(text string) *jsontext.Decoder {
	j.text.Reset()
	j.text.WriteString(text)
	if j.dec == nil {
		j.dec = jsontext.NewDecoder(&j.text, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		return j.dec
	}
	j.dec.Reset(&j.text, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return j.dec
}

// appendPlain appends a JSON value as a text: a string without its quotes,
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
