package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/oschwald/maxminddb-golang/v2"

	"weir/schemas"
)

// decoder turns one body into events, token by token and without a value in
// between. It is reused: all that its events point to belongs to it and holds
// until the next reset.
//
// What the body says twice (equal names in one object), what is not UTF-8 and
// what is not JSON to the letter (comments, trailing commas) makes the whole
// body bad. Names are told apart by case; unknown ones are skipped.
type decoder struct {
	product int64
	latest  int64             // event times up to this one are taken; epoch milliseconds
	places  *maxminddb.Reader // nil looks no address up
	body    []byte
	held    int // bytes of body that the service counts for us

	buffer bytes.Buffer
	json   jsontext.Decoder

	events  []schemas.Event
	scratch []byte       // unescaped strings, canonical $user and $client
	own     []byte       // own properties, one object after the other
	client  []clientProp // of the item being read
	refs    refs

	index   int  // of the item being read
	item    item // what that item has said so far
	bad     []schemas.ItemError
	badMore int  // bad fields beyond maxItemErrors
	noEUID  bool // the first bad field is an empty euid
}

// refs are where the optional fields of the events lie.
type refs struct {
	texts      []string
	values     []decimal128.Num
	runtimes   []int64
	flags      []bool
	exceptions []schemas.Exception
}

func (d *decoder) reset(product, latest int64) {
	d.product, d.latest, d.held = product, latest, 0
	clear(d.events)
	d.events, d.scratch, d.own = d.events[:0], d.scratch[:0], d.own[:0]
	d.refs.texts, d.refs.values, d.refs.runtimes = d.refs.texts[:0], d.refs.values[:0], d.refs.runtimes[:0]
	d.refs.flags, d.refs.exceptions = d.refs.flags[:0], d.refs.exceptions[:0]
	d.bad, d.badMore, d.noEUID = nil, 0, false
}

// decode reads the body. It returns the events, at least one, only if every
// item is good; a RequestError names what is not.
func (d *decoder) decode() ([]schemas.Event, error) {
	if err := d.object(`{"data":[...]}`, d.envelope); err != nil {
		return nil, err
	}
	if len(d.bad) > 0 {
		return nil, d.badItems()
	}
	return d.events, nil
}

// object reads a body that is one object and nothing else; read reads it. shape
// is what it should look like.
func (d *decoder) object(shape string, read func() error) error {
	d.buffer = *bytes.NewBuffer(d.body)
	d.json.Reset(&d.buffer)
	if len(bytes.TrimSpace(d.body)) == 0 {
		return badRequest("the body is empty")
	}
	if d.json.PeekKind() != '{' {
		if _, err := d.json.ReadValue(); err != nil {
			return syntax(err)
		}
		return badRequest("the body is not an object like %s", shape)
	}
	if err := read(); err != nil {
		return syntax(err)
	}
	if _, err := d.json.ReadToken(); err != io.EOF { //nolint:errorlint // the decoder returns it bare
		return badRequest("the body goes on after its end at byte %d", d.json.InputOffset())
	}
	return nil
}

func (d *decoder) envelope() error {
	appKey, hasData := "", false
	err := d.members(func(name string) (err error) {
		switch name {
		case "app_key":
			appKey, err = d.appKey()
			return err
		case "data":
			hasData = true
			return d.data()
		default:
			return d.json.SkipValue()
		}
	})
	if err != nil {
		return err
	}
	if !hasData {
		return badRequest("data is missing: it is the list of events")
	}
	if len(d.events) == 0 && len(d.bad) == 0 {
		return badRequest("data is empty: it needs at least one event")
	}
	for i := range d.events {
		d.events[i].AppKey = appKey
	}
	return nil
}

func (d *decoder) appKey() (string, error) {
	v, err := d.json.ReadValue()
	if err != nil {
		return "", err
	}
	switch {
	case v.Kind() == 'n':
		return "", nil
	case v.Kind() != '"':
		return "", badRequest("app_key must be a string, not %s", kindName(v))
	case len(v)-2 > schemas.MaxNameBytes:
		return "", badRequest("app_key is longer than %d bytes", schemas.MaxNameBytes)
	}
	return d.text(v), nil
}

func (d *decoder) data() error {
	if d.json.PeekKind() != '[' {
		v, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		return badRequest("data must be a list of events, not %s", kindName(v))
	}
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.index = 0; d.json.PeekKind() != ']'; d.index++ {
		if d.index == schemas.MaxBatchEvents {
			return &schemas.RequestError{
				Status: http.StatusRequestEntityTooLarge, Code: codeTooLarge,
				Detail: fmt.Sprintf("data has more than %d events", schemas.MaxBatchEvents),
			}
		}
		if err := d.event(); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// members calls each for every member of the object that comes next. each
// reads the member's value.
func (d *decoder) members(each func(name string) error) error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		if err := each(d.text(name)); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// text is what a JSON string says. It aliases the body, or the scratch space if
// it had to be unescaped: the decoder reads the body where it lies and moves
// nothing, and scratch space is only ever appended to.
func (d *decoder) text(v jsontext.Value) string {
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return alias(inner)
	}
	start := len(d.scratch)
	// The value has been read, so it is sound and there is no error to see.
	d.scratch, _ = jsontext.AppendUnquote(d.scratch, v)
	return alias(d.scratch[start:])
}

func alias(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the bytes are not written to while the events live
}

// reject notes that a field of the current item is bad.
func (d *decoder) reject(field, reason string) {
	d.item.bad = true
	if len(d.bad) == maxItemErrors {
		d.badMore++
		return
	}
	d.bad = append(d.bad, schemas.ItemError{Index: d.index, Field: field, Reason: reason})
}

func (d *decoder) badItems() error {
	first := d.bad[0]
	at := fmt.Sprintf("data[%d]", first.Index)
	if first.Field != "" {
		at += "." + first.Field
	}
	detail := at + " " + first.Reason
	if more := len(d.bad) + d.badMore - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	code := codeBadItems
	if d.noEUID {
		code = codeEmptyEUID
	}
	return &schemas.RequestError{Status: http.StatusBadRequest, Code: code, Detail: detail, Items: d.bad}
}

// syntax says where the body stops being JSON.
func syntax(err error) error {
	if _, ok := errors.AsType[*schemas.RequestError](err); ok {
		return err
	}
	se, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return badRequest("the body is not JSON: %v", err)
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return badRequest("%s is given twice", se.JSONPointer)
	}
	return badRequest("the body is not JSON at byte %d: %v", se.ByteOffset, se.Err)
}

func badRequest(format string, args ...any) error {
	return &schemas.RequestError{Status: http.StatusBadRequest, Code: codeBadRequest, Detail: fmt.Sprintf(format, args...)}
}

func kindName(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '0':
		return "a number"
	case 'n':
		return "null"
	default:
		return "a boolean"
	}
}
