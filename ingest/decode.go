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
	product   int64
	maxTime   int64             // event times up to this one are taken; epoch milliseconds
	geoDB     *maxminddb.Reader // nil looks no address up
	body      []byte
	heldBytes int // bytes of body that the service counts for us

	buffer bytes.Buffer
	json   jsontext.Decoder

	events      []schemas.Event
	scratch     []byte       // unescaped strings, canonical $user and $client
	propertyBuf []byte       // own properties, one object after the other
	client      []clientProp // of the item being read
	optional    optionalFields

	index          int  // of the item being read
	item           item // what that item has said so far
	itemErrors     []schemas.ItemError
	moreItemErrors int  // bad fields beyond maxItemErrors
	emptyEUIDFirst bool // the first bad field is an empty euid
}

// optionalFields are where the optional fields of the events lie.
type optionalFields struct {
	categories []string
	values     []decimal128.Num
	runtimes   []int64
	flags      []bool
	exceptions []schemas.Exception
}

func (d *decoder) reset(product, latest int64) {
	d.product, d.maxTime, d.heldBytes = product, latest, 0
	clear(d.events)
	d.events, d.scratch, d.propertyBuf = d.events[:0], d.scratch[:0], d.propertyBuf[:0]
	d.optional.categories, d.optional.values, d.optional.runtimes = d.optional.categories[:0], d.optional.values[:0], d.optional.runtimes[:0]
	d.optional.flags, d.optional.exceptions = d.optional.flags[:0], d.optional.exceptions[:0]
	d.itemErrors, d.moreItemErrors, d.emptyEUIDFirst = nil, 0, false
}

// decodeEvents reads the body. It returns the events, at least one, only if every
// item is good; a RequestError names what is not.
func (d *decoder) decodeEvents() ([]schemas.Event, error) {
	if err := d.readObject(`{"data":[...]}`, d.readReport); err != nil {
		return nil, err
	}
	if len(d.itemErrors) > 0 {
		return nil, d.itemsError()
	}
	return d.events, nil
}

// readObject reads a body that is one object and nothing else; read reads it. shape
// is what it should look like.
func (d *decoder) readObject(shape string, read func() error) error {
	d.buffer = *bytes.NewBuffer(d.body)
	d.json.Reset(&d.buffer)
	if len(bytes.TrimSpace(d.body)) == 0 {
		return badRequest("the body is empty")
	}
	if d.json.PeekKind() != '{' {
		if _, err := d.json.ReadValue(); err != nil {
			return syntaxError(err)
		}
		return badRequest("the body is not an object like %s", shape)
	}
	if err := read(); err != nil {
		return syntaxError(err)
	}
	if _, err := d.json.ReadToken(); err != io.EOF { //nolint:errorlint // the decoder returns it bare
		return badRequest("the body goes on after its end at byte %d", d.json.InputOffset())
	}
	return nil
}

func (d *decoder) readReport() error {
	appKey, hasData := "", false
	err := d.eachMember(func(name string) (err error) {
		switch name {
		case "app_key":
			appKey, err = d.readAppKey()
			return err
		case "data":
			hasData = true
			return d.readData()
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
	if len(d.events) == 0 && len(d.itemErrors) == 0 {
		return badRequest("data is empty: it needs at least one event")
	}
	for i := range d.events {
		d.events[i].AppKey = appKey
	}
	return nil
}

func (d *decoder) readAppKey() (string, error) {
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
	return d.stringValue(v), nil
}

func (d *decoder) readData() error {
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
		if err := d.readEvent(); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// eachMember calls each for every member of the object that comes next. each
// reads the member's value.
func (d *decoder) eachMember(each func(name string) error) error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		if err := each(d.stringValue(name)); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// stringValue is what a JSON string says. It aliases the body, or the scratch space if
// it had to be unescaped: the decoder reads the body where it lies and moves
// nothing, and scratch space is only ever appended to.
func (d *decoder) stringValue(v jsontext.Value) string {
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return unsafeString(inner)
	}
	start := len(d.scratch)
	// The value has been read, so it is sound and there is no error to see.
	d.scratch, _ = jsontext.AppendUnquote(d.scratch, v)
	return unsafeString(d.scratch[start:])
}

func unsafeString(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the bytes are not written to while the events live
}

// reject notes that a field of the current item is bad.
func (d *decoder) reject(field, reason string) {
	d.item.bad = true
	if len(d.itemErrors) == maxItemErrors {
		d.moreItemErrors++
		return
	}
	d.itemErrors = append(d.itemErrors, schemas.ItemError{Index: d.index, Field: field, Reason: reason})
}

func (d *decoder) itemsError() error {
	first := d.itemErrors[0]
	at := fmt.Sprintf("data[%d]", first.Index)
	if first.Field != "" {
		at += "." + first.Field
	}
	detail := at + " " + first.Reason
	if more := len(d.itemErrors) + d.moreItemErrors - 1; more > 0 {
		detail += fmt.Sprintf(" (and %d more)", more)
	}
	code := codeBadItems
	if d.emptyEUIDFirst {
		code = codeEmptyEUID
	}
	return &schemas.RequestError{Status: http.StatusBadRequest, Code: code, Detail: detail, Items: d.itemErrors}
}

// syntaxError says where the body stops being JSON.
func syntaxError(err error) error {
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
