package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
)

// errNotRaw is a file that is neither a raw export nor begins with an event.
var errNotRaw = errors.New("not a raw export")

// errTracking is a file that begins with the columns Timestamp and Client ID.
var errTracking = fmt.Errorf("%w: a file of custom events or exceptions does not have all of an event: import the raw file of the day", errNotRaw)

// rawTimeLayout is the form of received and time.
const rawTimeLayout = "2006-01-02T15:04:05.000Z"

// rawRequired are the columns without which a file cannot be imported.
func rawRequired() []string {
	return []string{
		schemas.RawID, schemas.RawReceived, schemas.RawTime, schemas.RawClientID, schemas.RawName, schemas.RawShard, schemas.RawOffset,
	}
}

// rawOptional are the other columns that hold something of an event.
func rawOptional() []string {
	return []string{
		schemas.RawCategory, schemas.RawValue, schemas.RawSessionID, schemas.RawRuntime, schemas.RawAppKey, schemas.RawProperties,
		schemas.RawAppName, schemas.RawAppVersion, schemas.RawContentLocale, schemas.RawUILocale, schemas.RawOffline,
		schemas.RawUserAgent, schemas.RawIP, schemas.RawUser, schemas.RawClient, schemas.RawHasException,
		schemas.RawExceptionClass, schemas.RawExceptionMethod, schemas.RawExceptionMessage, schemas.RawExceptionStack,
		schemas.RawValueText,
	}
}

// rawPosition is where a record was in the log it was exported from. Within a shard
// the log time never runs back, so (received, offset) is the order of the log, also
// over the files of several servers that followed one another.
type rawPosition struct {
	received int64 // log time; epoch milliseconds
	shard    int32
	offset   int64
}

// rawEvent is a row of a raw file as an item of data[].
type rawEvent struct {
	rawPosition
	client int64
	time   int64  // epoch milliseconds
	id     string // random_id
	appKey string
	rest   []byte // the members of the item after random_id, and its closing brace
}

// rawDecoder makes events of the rows of one file. It belongs to one goroutine.
type rawDecoder struct {
	columns map[string]int // place of each known column, by its name in package schemas
	width   int            // fields of a row
	fields  [][]byte       // of the row being decoded
	buf     []byte
	members int // of properties so far
	bad     *schemas.ItemError
}

// newRawDecoder reads the header of a file, whose columns may have any order. missing
// are the columns of this version that the file does not have.
func newRawDecoder(header [][]byte) (d *rawDecoder, missing []string, err error) {
	d = &rawDecoder{columns: map[string]int{}, width: len(header)}
	for _, name := range slices.Concat(rawRequired(), rawOptional()) {
		switch at := placesOf(name, header); len(at) {
		case 0:
			missing = append(missing, name)
		case 1:
			d.columns[name] = at[0]
		default:
			return nil, nil, fmt.Errorf("the header has column %s twice", name)
		}
	}
	if len(missing) > 0 && slices.Contains(rawRequired(), missing[0]) { // they come first
		return nil, nil, notRaw(missing[0], header)
	}
	return d, missing, nil
}

// notRaw says what a file is whose header lacks a required column.
func notRaw(lacks string, header [][]byte) error {
	if len(placesOf("Timestamp", header)) > 0 && len(placesOf("Client ID", header)) > 0 {
		return errTracking
	}
	return fmt.Errorf("%w: the first line is no JSON object, and as a header it has no column %s", errNotRaw, lacks)
}

// placesOf returns where a column is in a header: as it is spelled, else in any case,
// which some programs change.
func placesOf(name string, header [][]byte) (exact []int) {
	var folded []int
	for i, column := range header {
		if string(column) == name {
			exact = append(exact, i)
		}
		if strings.EqualFold(string(column), name) {
			folded = append(folded, i)
		}
	}
	if exact == nil {
		return folded
	}
	return exact
}

// decode makes an event of the fields of a row. The event aliases the decoder until
// the next call. What only the server can judge, it leaves to the server.
func (d *rawDecoder) decode(fields [][]byte) (e rawEvent, bad *schemas.ItemError) {
	if len(fields) != d.width {
		return e, &schemas.ItemError{Reason: fmt.Sprintf("has %d fields, the header has %d", len(fields), d.width)}
	}
	d.fields, d.bad, d.buf, d.members = fields, nil, d.buf[:0], 0
	e.received, e.time = d.millis(schemas.RawReceived), d.millis(schemas.RawTime)
	e.shard = int32(d.number(schemas.RawShard, 32, 0))
	e.offset = d.number(schemas.RawOffset, 64, 0)
	e.client = d.number(schemas.RawClientID, 64, 1)
	e.id, e.appKey = d.text(schemas.RawID), d.text(schemas.RawAppKey)
	if e.id == "" {
		d.reject(schemas.RawID, "is empty")
	}
	d.buf = append(d.buf, `,"euid":"`...) // a string, since JavaScript and many tools round numbers above 2^53
	d.buf = strconv.AppendInt(d.buf, e.client, 10)
	d.buf = append(d.buf, `","event_name":`...)
	d.appendQuoted(schemas.RawName)
	d.buf = append(d.buf, `,"itime":`...)
	d.buf = strconv.AppendInt(d.buf, e.time, 10)
	d.buf = append(d.buf, `,"properties":{`...)
	d.appendProperties()
	d.buf = append(d.buf, "}}"...)
	e.rest = d.buf
	return e, d.bad
}

// appendProperties appends the reserved properties, and then the event's own as they
// were sent.
func (d *rawDecoder) appendProperties() {
	d.appendText("$category", schemas.RawCategory)
	if len(d.field(schemas.RawValueText)) > 0 {
		d.appendJSON("$value", schemas.RawValueText, '0', "a number")
	} else {
		d.appendJSON("$value", schemas.RawValue, '0', "a number")
	}
	d.appendText("$session_id", schemas.RawSessionID)
	d.appendJSON("$runtime", schemas.RawRuntime, '0', "a number")
	d.appendText("$app_name", schemas.RawAppName)
	d.appendText("$app_version", schemas.RawAppVersion)
	d.appendText("$content_locale", schemas.RawContentLocale)
	d.appendText("$ui_locale", schemas.RawUILocale)
	d.appendFlag("$offline", schemas.RawOffline)
	d.appendText("$user_agent", schemas.RawUserAgent)
	d.appendText("$ip", schemas.RawIP)
	d.appendJSON("$user", schemas.RawUser, '{', "a JSON object")
	d.appendJSON("$client", schemas.RawClient, '{', "a JSON object")
	d.appendException()
	own := d.field(schemas.RawProperties)
	if len(own) == 0 {
		return
	}
	if !d.isJSON(own, '{') {
		d.reject(schemas.RawProperties, "is not a JSON object")
		return
	}
	own = bytes.TrimSpace(own)
	if own = bytes.TrimSpace(own[1 : len(own)-1]); len(own) > 0 {
		d.comma()
		d.buf = append(d.buf, own...)
	}
}

// appendException appends $exception, which may be an empty object.
func (d *rawDecoder) appendException() {
	switch text := string(d.field(schemas.RawHasException)); text {
	case "", "false":
		return
	case "true":
	default:
		d.reject(schemas.RawHasException, strconv.Quote(text)+" is neither true nor empty")
		return
	}
	d.comma()
	d.buf = append(d.buf, `"$exception":{`...)
	outer := d.members
	d.members = 0
	d.appendText("className", schemas.RawExceptionClass)
	d.appendText("methodName", schemas.RawExceptionMethod)
	d.appendText("message", schemas.RawExceptionMessage)
	d.appendText("stackTrace", schemas.RawExceptionStack)
	d.members = outer
	d.buf = append(d.buf, '}')
}

// field returns the field of a column; nothing if the file has no such column.
func (d *rawDecoder) field(column string) []byte {
	at, ok := d.columns[column]
	if !ok {
		return nil
	}
	return d.fields[at]
}

// reject keeps the first thing that is wrong with the row.
func (d *rawDecoder) reject(column, reason string) {
	if d.bad == nil {
		d.bad = &schemas.ItemError{Field: column, Reason: reason}
	}
}

func (d *rawDecoder) comma() {
	if d.members > 0 {
		d.buf = append(d.buf, ',')
	}
	d.members++
}

// text returns the field of a column as text.
func (d *rawDecoder) text(column string) string {
	text := d.field(column)
	if !utf8.Valid(text) {
		d.reject(column, "is not UTF-8")
	}
	return string(text)
}

func (d *rawDecoder) appendQuoted(column string) {
	d.buf, _ = jsontext.AppendQuote(d.buf, d.text(column)) // text that is no UTF-8 is rejected
}

// appendText appends a member of text, and nothing if the field is empty.
func (d *rawDecoder) appendText(name, column string) {
	if len(d.field(column)) == 0 {
		return
	}
	d.comma()
	d.buf = append(append(append(d.buf, '"'), name...), `":`...)
	d.appendQuoted(column)
}

// appendJSON appends a member whose field is JSON of a kind, and nothing if the
// field is empty.
func (d *rawDecoder) appendJSON(name, column string, kind jsontext.Kind, what string) {
	text := d.field(column)
	if len(text) == 0 {
		return
	}
	if !d.isJSON(text, kind) {
		d.reject(column, "is not "+what)
		return
	}
	d.comma()
	d.buf = append(append(append(d.buf, '"'), name...), `":`...)
	d.buf = append(d.buf, text...)
}

func (*rawDecoder) isJSON(text []byte, kind jsontext.Kind) bool {
	value := jsontext.Value(text)
	return value.Kind() == kind && value.IsValid()
}

func (d *rawDecoder) appendFlag(name, column string) {
	switch text := string(d.field(column)); text {
	case "":
	case "true", "false":
		d.comma()
		d.buf = append(append(append(append(d.buf, '"'), name...), `":`...), text...)
	default:
		d.reject(column, strconv.Quote(text)+" is neither true, false nor empty")
	}
}

// millis returns an instant in epoch milliseconds.
func (d *rawDecoder) millis(column string) int64 {
	at, err := time.Parse(rawTimeLayout, string(d.field(column)))
	if err != nil {
		d.reject(column, "is not a time like 2024-03-01T09:15:00.042Z")
		return 0
	}
	return at.UnixMilli()
}

// number returns a whole number of at most so many bits that is not below least.
func (d *rawDecoder) number(column string, bits int, least int64) int64 {
	n, err := strconv.ParseInt(string(d.field(column)), 10, bits)
	if err != nil || n < least {
		d.reject(column, "is not a whole number from "+strconv.FormatInt(least, 10)+" on")
		return 0
	}
	return n
}

// missingColumns says what is not imported of a file of an earlier version.
func missingColumns(file string, missing []string) string {
	slices.Sort(missing)
	return fmt.Sprintf("warning: %s was exported by an earlier version and has no %s; what its events had there is not imported",
		file, strings.Join(missing, ", "))
}
