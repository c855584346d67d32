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
	"weir/schemas/values"
)

// decoder parses one body into events, token by token and without intermediate
// values. It is pooled. The events and everything they point to alias its
// buffers and are valid until the next reset.
//
// A duplicate name in an object, invalid UTF-8 and anything that is not strict
// JSON (comments, trailing commas) makes the whole body bad: two parsers could
// read such a body differently. Names are case-sensitive; unknown members are
// skipped.
type decoder struct {
	product int64
	maxTime int64             // event times up to this one are taken; epoch milliseconds
	geoDB   *maxminddb.Reader // nil disables the country look-up
	body    []byte
	memory  decoderMemory

	buffer bytes.Buffer
	json   jsontext.Decoder

	events      []schemas.Event
	scratch     []byte       // unescaped strings, and $user and $client in canonical form; only appended to
	propertyBuf []byte       // event properties, one JSON object after the other
	client      []clientProp // $client of the item being read
	optional    optionalFields

	index          int  // of the item being read
	item           item // what has been read of that item
	itemErrors     []schemas.ItemError
	moreItemErrors int  // how many are not in itemErrors
	emptyEUIDFirst bool // the first bad field is a missing or empty euid
}

// optionalFields stores the optional fields to which the events point. A slice
// that grows leaves the earlier pointers to its old array, which stays valid.
type optionalFields struct {
	categories []string
	values     []decimal128.Num
	runtimes   []int64
	flags      []bool
	exceptions []schemas.Exception
}

func (d *decoder) reset(product, latest int64) {
	d.product, d.maxTime = product, latest
	clear(d.events)
	d.events, d.scratch, d.propertyBuf = d.events[:0], d.scratch[:0], d.propertyBuf[:0]
	d.optional.categories, d.optional.values, d.optional.runtimes = d.optional.categories[:0], d.optional.values[:0], d.optional.runtimes[:0]
	d.optional.flags, d.optional.exceptions = d.optional.flags[:0], d.optional.exceptions[:0]
	d.itemErrors, d.moreItemErrors, d.emptyEUIDFirst = nil, 0, false
}

// decodeEvents parses the body of /v1/event/report. It returns at least one event, and
// only if every item is valid; otherwise a RequestError names the bad fields.
func (d *decoder) decodeEvents() ([]schemas.Event, error) {
	if err := d.readObject(`{"data":[...]}`, d.readReport); err != nil {
		return nil, err
	}
	if len(d.itemErrors) > 0 {
		return nil, d.itemsError()
	}
	return d.events, nil
}

// readObject checks that the body is exactly one object and parses it with read.
// shape is the expected form, for the error.
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
	}
	key := d.stringValue(v)
	if values.LongerThan(key, schemas.MaxNameChars) {
		return "", badRequest("app_key is longer than %d characters", schemas.MaxNameChars)
	}
	return key, nil
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
		if err := d.memory.chargeGrowth(d); err != nil {
			return err
		}
		letOthersRun(d.body)
	}
	_, err := d.json.ReadToken()
	return err
}

// eachMember calls each for every member of the next object. each must read the
// value of the member.
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

// stringValue returns the text of a JSON string. It aliases the body, or scratch
// if the string had escapes. Both are safe until reset: the JSON decoder reads
// the body in place, and scratch is only appended to.
func (d *decoder) stringValue(v jsontext.Value) string {
	inner := v[1 : len(v)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return unsafeString(inner)
	}
	reserveScratch(d, len(v))
	start := len(d.scratch)
	// The JSON decoder has validated the value, so this cannot fail.
	d.scratch, _ = jsontext.AppendUnquote(d.scratch, v)
	return unsafeString(d.scratch[start:])
}

// tooLong reports whether a scalar has more characters than limit: those of a text
// itself, however it was escaped.
func tooLong(d *decoder, v jsontext.Value, limit int) bool {
	if len(v) <= limit {
		return false
	}
	return v.Kind() != '"' || values.LongerThan(d.stringValue(v), limit)
}

func unsafeString(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // the bytes do not change while the events are in use
}

// reject records that a field of the current item is bad. Beyond maxItemErrors
// it only counts, which bounds the answer.
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

// syntaxError returns a 400 that names the position of the first JSON error.
func syntaxError(err error) error {
	if _, ok := errors.AsType[*schemas.RequestError](err); ok {
		return err // also an overError
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
