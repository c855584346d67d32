package ingest

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"weir/schemas"
)

// item is what is known of the item being read.
type item struct {
	bad                       bool // something of it was rejected
	hasEUID, hasName, hasTime bool
	ownStart                  int // where its own properties begin in decoder.own
	ownCount                  int
	exceptionClass            jsontext.Value // $exception_class, until the event's name is known
	exceptionMessage          jsontext.Value
}

// event reads one item of data[].
//
//	euid         a positive int64, as a number or as a string of its digits
//	event_name   1 to 256 bytes
//	itime        milliseconds since 1970, 0 or later, up to an hour ahead of us
//	random_id    up to 256 bytes; a random UUID when absent, null or ""
//	properties   an object; see property
func (d *decoder) event() error {
	d.item, d.client = item{ownStart: len(d.own)}, d.client[:0]
	if d.json.PeekKind() != '{' {
		v, err := d.json.ReadValue()
		if err == nil {
			d.reject("", "must be an object, not "+kindName(v))
		}
		return err
	}
	d.events = append(d.events, schemas.Event{Product: d.product})
	e := &d.events[len(d.events)-1]
	err := d.members(func(name string) error {
		switch name {
		case "properties":
			return d.properties(e)
		case "euid", "event_name", "itime", "random_id":
			v, err := d.json.ReadValue()
			if err == nil {
				d.field(e, name, v)
			}
			return err
		default:
			return d.json.SkipValue()
		}
	})
	if err != nil {
		return err
	}
	d.finish(e)
	return nil
}

func (d *decoder) field(e *schemas.Event, name string, v jsontext.Value) {
	if v.Kind() == 'n' {
		return // null is absent
	}
	switch name {
	case "euid":
		d.item.hasEUID = true
		e.Client = d.euid(v)
	case "event_name":
		d.item.hasName = true
		e.Name = d.short(name, v)
		if string(v) == `""` {
			d.reject(name, "is empty")
		}
	case "itime":
		d.item.hasTime = true
		e.Time = d.itime(v)
	case "random_id":
		e.RandomID = d.short(name, v)
	}
}

// finish checks what can only be seen when the whole item was read.
func (d *decoder) finish(e *schemas.Event) {
	if !d.item.hasEUID {
		d.emptyEUID()
	}
	if !d.item.hasName {
		d.reject("event_name", "is missing")
	}
	if !d.item.hasTime {
		d.reject("itime", "is missing")
	}
	d.finishException(e)
	d.finishOwn(e)
	d.locate(e)
	if e.RandomID == "" && !d.item.bad {
		e.RandomID = uuid.NewString()
	}
}

func (d *decoder) emptyEUID() {
	d.noEUID = d.noEUID || len(d.bad) == 0
	d.reject("euid", "is empty")
}

// euid reads a client's id. A string is taken because ids beyond 2^53 do not
// survive as numbers in JavaScript; it has to be the id's one decimal spelling.
func (d *decoder) euid(v jsontext.Value) int64 {
	digits := alias(v)
	if v.Kind() == '"' {
		digits = d.text(v)
		if digits == "" {
			d.emptyEUID()
			return 0
		}
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id <= 0 || digits[0] == '0' || digits[0] == '+' {
		d.reject("euid", "must be a whole number from 1 to 9223372036854775807, without fraction or exponent")
		return 0
	}
	return id
}

func (d *decoder) itime(v jsontext.Value) int64 {
	ms, err := strconv.ParseInt(alias(v), 10, 64)
	switch {
	case err != nil:
		d.reject("itime", "must be whole milliseconds since 1970 as a number, without fraction or exponent")
	case ms < schemas.MinTimeMS:
		d.reject("itime", "lies before 1970")
	case ms > d.latest:
		d.reject("itime", "lies more than an hour ahead; it is in milliseconds since 1970")
	}
	return ms
}

// short reads a string of at most MaxNameBytes.
func (d *decoder) short(field string, v jsontext.Value) string {
	return d.bounded(field, v, schemas.MaxNameBytes)
}

// bounded reads a string; "" is what a rejected one reads as.
func (d *decoder) bounded(field string, v jsontext.Value, limit int) string {
	if v.Kind() != '"' {
		d.reject(field, "must be a string, not "+kindName(v))
		return ""
	}
	s := d.text(v)
	if len(s) > limit {
		d.reject(field, fmt.Sprintf("is longer than %d bytes", limit))
		return ""
	}
	return s
}
