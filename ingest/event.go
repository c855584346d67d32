package ingest

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"weir/schemas"
	"weir/schemas/values"
)

// item is the state of the item being read.
type item struct {
	bad                       bool // at least one field was rejected
	hasEUID, hasName, hasTime bool
	propertyStart             int // where its own properties begin in decoder.propertyBuf
	propertyCount             int
	exceptionClass            jsontext.Value // $exception_class, until the event's name is known
	exceptionMessage          jsontext.Value
}

// readEvent parses one item of data[] and appends it to d.events.
//
//	euid         a positive int64, as a number or as a string of its digits
//	event_name   1 to 256 characters
//	itime        milliseconds since 1970, from schemas.MinSentTimeMS up to an hour ahead of our clock
//	random_id    up to 256 characters; a random UUID when absent, null or ""
//	properties   an object; see readProperties
func (d *decoder) readEvent() error {
	d.item, d.client = item{propertyStart: len(d.propertyBuf)}, d.client[:0]
	if d.json.PeekKind() != '{' {
		v, err := d.json.ReadValue()
		if err == nil {
			d.reject("", "must be an object, not "+kindName(v))
		}
		return err
	}
	d.events = append(d.events, schemas.Event{Product: d.product})
	e := &d.events[len(d.events)-1]
	err := d.eachMember(func(name string) error {
		switch name {
		case "properties":
			return d.readProperties(e)
		case "euid", "event_name", "itime", "random_id":
			v, err := d.json.ReadValue()
			if err == nil {
				d.eventField(e, name, v)
			}
			return err
		default:
			return d.json.SkipValue()
		}
	})
	if err != nil {
		return err
	}
	d.finishEvent(e)
	return nil
}

func (d *decoder) eventField(e *schemas.Event, name string, v jsontext.Value) {
	if v.Kind() == 'n' {
		return // null is the same as absent
	}
	switch name {
	case "euid":
		d.item.hasEUID = true
		e.Client = d.euid(v)
	case "event_name":
		d.item.hasName = true
		e.Name = d.nameString(name, v)
		if string(v) == `""` {
			d.reject(name, "is empty")
		}
	case "itime":
		d.item.hasTime = true
		e.Time = d.itime(v)
	case "random_id":
		e.RandomID = d.nameString(name, v)
	}
}

// finishEvent makes the checks that need the whole item: members come in any
// order.
func (d *decoder) finishEvent(e *schemas.Event) {
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
	d.finishProperties(e)
	d.stampCountry(e)
	if e.RandomID == "" && !d.item.bad {
		e.RandomID = uuid.NewString()
	}
}

func (d *decoder) emptyEUID() {
	d.emptyEUIDFirst = d.emptyEUIDFirst || len(d.itemErrors) == 0
	d.reject("euid", "is empty")
}

// euid parses a client's id. A string is accepted because JavaScript cannot hold
// numbers beyond 2^53; it must be the canonical decimal form, so that
// an id has one spelling. A number is whole as JSON Schema's integer is: 5.0 is 5.
func (d *decoder) euid(v jsontext.Value) int64 {
	digits := unsafeString(v)
	if v.Kind() == '"' {
		digits = d.stringValue(v)
		if digits == "" {
			d.emptyEUID()
			return 0
		}
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	whole := err == nil && digits[0] != '0' && digits[0] != '+'
	if !whole && v.Kind() == '0' {
		id, whole = values.Whole(v)
	}
	if !whole || id <= 0 {
		d.reject("euid", "must be a whole number from 1 to 9223372036854775807")
		return 0
	}
	return id
}

// itime parses the time of an event. Seconds, sent by mistake, would be a time in
// January 1970 and would spoil the client's first day permanently, so they are
// refused: the first accepted number is beyond any year in seconds that a clock
// shows (10^11 s is the year 5138).
func (d *decoder) itime(v jsontext.Value) int64 {
	ms, err := strconv.ParseInt(unsafeString(v), 10, 64)
	whole := err == nil
	if !whole && v.Kind() == '0' {
		ms, whole = values.Whole(v)
	}
	switch {
	case !whole:
		d.reject("itime", "must be whole milliseconds since 1970 as a number")
	case ms < schemas.MinSentTimeMS:
		d.reject("itime", "is below 100000000000 (1973-03-03T09:46:40Z): it must be in milliseconds since 1970, not in seconds")
	case ms > d.maxTime:
		d.reject("itime", "lies more than an hour ahead; it is in milliseconds since 1970")
	}
	return ms
}

// nameString returns a string of at most MaxNameChars.
func (d *decoder) nameString(field string, v jsontext.Value) string {
	return d.boundedString(field, v, schemas.MaxNameChars)
}

// boundedString returns a string of at most limit characters. It rejects the field and
// returns "" when v is longer or no string.
func (d *decoder) boundedString(field string, v jsontext.Value, limit int) string {
	if v.Kind() != '"' {
		d.reject(field, "must be a string, not "+kindName(v))
		return ""
	}
	s := d.stringValue(v)
	if values.LongerThan(s, limit) {
		d.reject(field, fmt.Sprintf("is longer than %d characters", limit))
		return ""
	}
	return s
}
