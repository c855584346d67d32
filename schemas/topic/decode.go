package topic

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protowire"

	"weir/schemas"
	"weir/schemas/eventpb"
)

// Kind is the kind of a record.
type Kind int8

// Kinds of a record.
const (
	Event    Kind = iota + 1
	Tick          // only advances the shard's log time; counted as control
	Property      // a change of a client's properties; see Change
	Contact       // a change of a client's contacts; see Change
)

// Change returns the change that Decode read into e, for k Property or Contact. Its
// strings and byte slices alias the record, as those of e do.
func (k Kind) Change(e *schemas.Event) schemas.Change {
	c := schemas.Change{Product: e.Product, Client: e.Client, Time: e.Time, Kind: schemas.PropertyChange, Operation: e.Name, Values: e.Properties}
	if k == Contact {
		c.Kind = schemas.ContactChange
	}
	return c
}

// Decoder decodes records, one after the other. The zero value is ready. It belongs to
// one goroutine.
type Decoder struct {
	category string // what the pointers of the event point to
	value    decimal128.Num
	runtime  int64
	offline  bool

	user, client []byte // copies of the last that were found to be objects: those of one client come again and again
}

// Decode is Decoder.Decode for a record by itself.
func Decode(value []byte, into *schemas.Event) (Kind, error) { return new(Decoder).Decode(value, into) }

// Decode decodes the value of a record into `into` and overwrites it. The event is
// valid until the next Decode, and its strings and byte slices alias value: it must not
// be modified. An error means that the record can never be stored; its text, of a
// fixed set of our own words, becomes the reason of the dead letter. Decode skips fields that a later version added. A change
// uses fields of the event; Kind.Change extracts it.
//
// The decoder is written by hand because the generated one allocates a message and a
// string for each field, 26 allocations an event against one (BenchmarkDecodeFields,
// BenchmarkDecodeGenerated).
func (d *Decoder) Decode(value []byte, into *schemas.Event) (Kind, error) {
	*into = schemas.Event{}
	kind, err := d.decodeRecord(value, into)
	if err != nil {
		return 0, err
	}
	switch kind {
	case eventpb.Kind_KIND_TICK:
		return Tick, nil
	case eventpb.Kind_KIND_EVENT:
		return Event, d.validateEvent(into)
	case eventpb.Kind_KIND_PROPERTY:
		return Property, validateChange(Property.Change(into))
	case eventpb.Kind_KIND_CONTACT:
		return Contact, validateChange(Contact.Change(into))
	default:
		return 0, fmt.Errorf("record kind %d is unknown", kind)
	}
}

// decodeRecord ignores fields whose wire type is not the expected one.
func (d *Decoder) decodeRecord(value []byte, e *schemas.Event) (kind eventpb.Kind, err error) {
	for f := (fieldReader{rest: value}); len(f.rest) > 0; {
		if err := f.next(); err != nil {
			return 0, err
		}
		switch {
		case f.wire == protowire.BytesType:
			if err := d.setBytes(e, f.num, f.bytes); err != nil {
				return 0, err
			}
		case f.wire != protowire.VarintType:
		case f.num == fieldKind:
			kind = eventpb.Kind(int32(f.varint))
		default:
			d.setVarint(e, f.num, f.varint)
		}
	}
	return kind, nil
}

// setVarint sets the field of e that num denotes; an unknown one is of a later version.
func (d *Decoder) setVarint(e *schemas.Event, num protowire.Number, v uint64) {
	switch num {
	case fieldProduct:
		e.Product = int64(v)
	case fieldClient:
		e.Client = int64(v)
	case fieldTime:
		e.Time = int64(v)
	case fieldRuntime:
		d.runtime = int64(v)
		e.RuntimeMS = &d.runtime
	case fieldOffline:
		d.offline = protowire.DecodeBool(v)
		e.Offline = &d.offline
	default: // of a later version
	}
}

// setBytes sets the string, bytes or message field of e that num denotes. It fails on
// text that is not UTF-8 and on damaged messages.
func (d *Decoder) setBytes(e *schemas.Event, num protowire.Number, b []byte) error {
	switch num {
	case fieldUser:
		e.User = orNil(b)
		return nil
	case fieldClientProps:
		e.ClientProps = orNil(b)
		return nil
	case fieldProperties:
		e.Properties = orNil(b)
		return nil
	case fieldValue:
		return d.setDecimal(e, b)
	case fieldException:
		return setException(e, b)
	default:
		if at := d.stringField(e, num); at != nil {
			return setString(at, b, num)
		}
		return nil // of a later version
	}
}

// stringField returns the string of e that field num decodes into; nil if num is
// not a string field.
func (d *Decoder) stringField(e *schemas.Event, num protowire.Number) *string {
	switch num {
	case fieldName:
		return &e.Name
	case fieldRandomID:
		return &e.RandomID
	case fieldCategory:
		e.Category = &d.category
		return e.Category
	case fieldSessionID:
		return &e.SessionID
	case fieldAppKey:
		return &e.AppKey
	case fieldAppName:
		return &e.AppName
	case fieldAppVersion:
		return &e.AppVersion
	case fieldContentLocale:
		return &e.ContentLocale
	case fieldUILocale:
		return &e.UILocale
	case fieldUserAgent:
		return &e.UserAgent
	case fieldIP:
		return &e.IP
	case fieldValueText:
		return &e.ValueText
	default:
		return nil
	}
}

func setString(at *string, b []byte, num protowire.Number) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("field %d is not UTF-8", num)
	}
	*at = unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // Decode documents the aliasing; nobody writes to a fetched record
	return nil
}

func (d *Decoder) setDecimal(e *schemas.Event, b []byte) error {
	var hi int64
	var lo uint64
	if e.Value != nil {
		hi, lo = e.Value.HighBits(), e.Value.LowBits() // protobuf merges a message that occurs twice
	}
	var err error
	for f := (fieldReader{rest: b}); len(f.rest) > 0; {
		if err = f.next(); err != nil {
			break
		}
		switch {
		case f.num == decimalHi && f.wire == protowire.VarintType:
			hi = protowire.DecodeZigZag(f.varint)
		case f.num == decimalLo && f.wire == protowire.Fixed64Type:
			lo = f.varint
		}
	}
	d.value = decimal128.New(hi, lo)
	e.Value = &d.value
	return err
}

func setException(e *schemas.Event, b []byte) error {
	if e.Exception == nil {
		e.Exception = new(schemas.Exception)
	}
	x := e.Exception
	at := [...]*string{exceptionClass: &x.Class, exceptionMethod: &x.Method, exceptionMessage: &x.Message, exceptionStack: &x.Stack}
	for f := (fieldReader{rest: b}); len(f.rest) > 0; {
		if err := f.next(); err != nil {
			return err
		}
		if f.wire != protowire.BytesType || f.num > exceptionStack {
			continue
		}
		if err := setString(at[f.num], f.bytes, fieldException); err != nil {
			return err
		}
	}
	return nil
}

// fieldReader reads the fields of a message in wire order.
type fieldReader struct {
	rest []byte // what is not read yet

	num    protowire.Number
	wire   protowire.Type
	varint uint64 // also of a fixed64
	bytes  []byte
}

// next reads the next field; rest must not be empty. What most fields are, text of less
// than 128 bytes, takes no call.
func (f *fieldReader) next() error {
	b, n := f.rest, 1
	tag := uint64(b[0])
	if tag >= 0x80 && len(b) > 1 {
		tag, n = tag&0x7f|uint64(b[1])<<7, 2
	}
	f.num, f.wire = protowire.Number(tag>>3), protowire.Type(tag&7)
	if b[n-1] >= 0x80 || f.num < protowire.MinValidNumber || f.wire != protowire.BytesType || n == len(b) {
		return f.nextAny()
	}
	end := n + 1 + int(b[n])
	if b[n] >= 0x80 || end > len(b) {
		return f.nextAny()
	}
	f.bytes, f.rest = b[n+1:end], b[end:]
	return nil
}

// nextAny is next for fields of every kind.
func (f *fieldReader) nextAny() error {
	num, wire, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		return damagedError(n)
	}
	f.num, f.wire, f.rest = num, wire, f.rest[n:]
	switch wire {
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(f.rest)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(f.rest)
	case protowire.Fixed64Type:
		f.varint, n = protowire.ConsumeFixed64(f.rest)
	default:
		n = protowire.ConsumeFieldValue(num, wire, f.rest)
	}
	if n < 0 {
		return damagedError(n)
	}
	f.rest = f.rest[n:]
	return nil
}

// damages says in words of our own what protowire found, by the negative of its code.
// Those of the library differ between builds (it varies its spaces on purpose), and
// with the place of the damage hardly two records would have one reason.
var damages = [...]error{
	1: errors.New("record is damaged: it ends in the middle of a field"),
	2: errors.New("record is damaged: a field number is not valid"),
	3: errors.New("record is damaged: a number is too long"),
	4: errors.New("record is damaged: a wire type is unknown"),
	5: errors.New("record is damaged: a group ends that has not begun"),
	6: errors.New("record is damaged: groups are nested too deep"),
}

// errDamaged is the reason of a code that damages does not know.
var errDamaged = errors.New("record is damaged")

// damagedError returns the reason of a negative length that protowire has returned.
func damagedError(code int) error {
	if i := -code; i > 0 && i < len(damages) {
		return damages[i]
	}
	return errDamaged
}

// Reasons why a record that is valid protobuf cannot be stored.
var (
	errProduct  = errors.New("product id is not positive")
	errClient   = errors.New("client id is not positive")
	errName     = errors.New("event name is missing")
	errRandomID = errors.New("random id is missing")
	errTime     = errors.New("event time is outside the years 1970 to 9999")
	errValue    = errors.New("value has more than 38 digits")
	errRuntime  = errors.New("runtime is negative")

	errOperation = errors.New("operation of the change is unknown")
	errValues    = errors.New("change has no values")
)

// validateEvent checks what the columns of the lake and their readers require.
func (d *Decoder) validateEvent(e *schemas.Event) error {
	switch {
	case e.Product <= 0:
		return errProduct
	case e.Client <= 0:
		return errClient
	case e.Name == "":
		return errName
	case e.RandomID == "":
		return errRandomID
	case e.Time < schemas.MinTimeMS || e.Time > schemas.MaxTimeMS:
		return errTime
	case e.Value != nil && !e.Value.FitsInPrecision(schemas.ValuePrecision):
		return errValue
	case e.RuntimeMS != nil && *e.RuntimeMS < 0:
		return errRuntime
	}
	if err := validateAgain("user", e.User, &d.user); err != nil {
		return err
	}
	if err := validateAgain("client", e.ClientProps, &d.client); err != nil {
		return err
	}
	return validateObject("properties", e.Properties)
}

// validateChange checks what readers of changes require. A reason never quotes the
// record, which may contain personal data.
func validateChange(c schemas.Change) error {
	switch {
	case c.Product <= 0:
		return errProduct
	case c.Client <= 0:
		return errClient
	case c.Time < schemas.MinTimeMS || c.Time > schemas.MaxTimeMS:
		return errTime
	case !c.Kind.Has(c.Operation):
		return errOperation
	case c.Values == nil:
		return errValues
	}
	return validateObject("what the change is applied with", c.Values)
}

// maxKept is the longest object of which validateAgain keeps a copy.
const maxKept = 1 << 10

// validateAgain is validateObject for a field that often has the bytes of the one
// before, of which last is the copy.
func validateAgain(what string, b []byte, last *[]byte) error {
	if b == nil || bytes.Equal(b, *last) {
		return nil
	}
	if err := validateObject(what, b); err != nil {
		return err
	}
	if len(b) <= maxKept {
		*last = append((*last)[:0], b...)
	}
	return nil
}

// validateObject checks that a field is absent or a JSON object. Reports and exports
// parse these fields much later, when nobody could fix or refuse them.
func validateObject(what string, b []byte) error {
	if b == nil || isPlainObject(b) {
		return nil
	}
	if !bytes.HasPrefix(b, []byte("{")) || !jsontext.Value(b).IsValid() {
		return fmt.Errorf("%s is not a JSON object", what)
	}
	return nil
}

// orNil maps an empty field to nil, which means absent: proto3 does not distinguish them.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
