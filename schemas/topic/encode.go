package topic

import (
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"google.golang.org/protobuf/encoding/protowire"

	"weir/schemas"
	"weir/schemas/eventpb"
)

// Field numbers of eventpb.Record. Records in the log hold them permanently: a number
// is never reused, and a new field gets a new one.
const (
	fieldKind          = 1
	fieldProduct       = 2
	fieldClient        = 3
	fieldTime          = 4
	fieldName          = 5
	fieldRandomID      = 6
	fieldCategory      = 7
	fieldValue         = 8
	fieldSessionID     = 9
	fieldRuntime       = 10
	fieldAppKey        = 11
	fieldAppName       = 12
	fieldAppVersion    = 13
	fieldContentLocale = 14
	fieldUILocale      = 15
	fieldOffline       = 16
	fieldUserAgent     = 17
	fieldIP            = 18
	fieldUser          = 19
	fieldClientProps   = 20
	fieldException     = 21
	fieldProperties    = 22
	fieldValueText     = 23
)

// Field numbers of eventpb.Decimal and eventpb.Exception.
const (
	decimalHi = 1
	decimalLo = 2

	exceptionClass   = 1
	exceptionMethod  = 2
	exceptionMessage = 3
	exceptionStack   = 4
)

// Append appends e as the value of a record to dst. It writes the same bytes as the
// code generated from event.proto, without a message in between: 0.21 to 0.26 µs and
// no allocation an event, where the generated code takes 0.5 to 1.0 µs for a message
// that is already filled (BenchmarkAppend, BenchmarkAppendGenerated).
func Append(dst []byte, e *schemas.Event) []byte {
	dst = appendVarint(dst, fieldKind, uint64(eventpb.Kind_KIND_EVENT))
	dst = appendVarint(dst, fieldProduct, uint64(e.Product))
	dst = appendVarint(dst, fieldClient, uint64(e.Client))
	dst = appendVarint(dst, fieldTime, uint64(e.Time))
	dst = appendString(dst, fieldName, e.Name)
	dst = appendString(dst, fieldRandomID, e.RandomID)
	if e.Category != nil {
		dst = protowire.AppendTag(dst, fieldCategory, protowire.BytesType)
		dst = protowire.AppendString(dst, *e.Category)
	}
	if e.Value != nil {
		dst = appendDecimal(dst, *e.Value)
	}
	dst = appendString(dst, fieldSessionID, e.SessionID)
	if e.RuntimeMS != nil {
		dst = protowire.AppendTag(dst, fieldRuntime, protowire.VarintType)
		dst = protowire.AppendVarint(dst, uint64(*e.RuntimeMS))
	}
	dst = appendString(dst, fieldAppKey, e.AppKey)
	dst = appendString(dst, fieldAppName, e.AppName)
	dst = appendString(dst, fieldAppVersion, e.AppVersion)
	dst = appendString(dst, fieldContentLocale, e.ContentLocale)
	dst = appendString(dst, fieldUILocale, e.UILocale)
	if e.Offline != nil {
		dst = protowire.AppendTag(dst, fieldOffline, protowire.VarintType)
		dst = protowire.AppendVarint(dst, protowire.EncodeBool(*e.Offline))
	}
	dst = appendString(dst, fieldUserAgent, e.UserAgent)
	dst = appendString(dst, fieldIP, e.IP)
	dst = appendBytes(dst, fieldUser, e.User)
	dst = appendBytes(dst, fieldClientProps, e.ClientProps)
	if e.Exception != nil {
		dst = appendException(dst, e.Exception)
	}
	dst = appendBytes(dst, fieldProperties, e.Properties)
	return appendString(dst, fieldValueText, e.ValueText)
}

// AppendChange appends c as the value of a record to dst. A change shares the fields of
// an event: its operation is the name, its operands are the properties.
func AppendChange(dst []byte, c *schemas.Change) []byte {
	kind := eventpb.Kind_KIND_PROPERTY
	if c.Kind == schemas.ContactChange {
		kind = eventpb.Kind_KIND_CONTACT
	}
	dst = appendVarint(dst, fieldKind, uint64(kind))
	dst = appendVarint(dst, fieldProduct, uint64(c.Product))
	dst = appendVarint(dst, fieldClient, uint64(c.Client))
	dst = appendVarint(dst, fieldTime, uint64(c.Time))
	dst = appendString(dst, fieldName, c.Operation)
	return appendBytes(dst, fieldProperties, c.Values)
}

// AppendTick appends the value of a tick record to dst. A tick only carries its
// timestamp, which advances the log time of a shard without events.
func AppendTick(dst []byte) []byte {
	return appendVarint(dst, fieldKind, uint64(eventpb.Kind_KIND_TICK))
}

// appendDecimal appends the message Decimal. Its length precedes it on the wire, so the
// size is computed first.
func appendDecimal(dst []byte, v decimal128.Num) []byte {
	hi := protowire.EncodeZigZag(v.HighBits())
	size := 0
	if hi != 0 {
		size += 1 + protowire.SizeVarint(hi)
	}
	if v.LowBits() != 0 {
		size += 1 + protowire.SizeFixed64()
	}
	dst = protowire.AppendTag(dst, fieldValue, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendVarint(dst, decimalHi, hi)
	if v.LowBits() != 0 {
		dst = protowire.AppendTag(dst, decimalLo, protowire.Fixed64Type)
		dst = protowire.AppendFixed64(dst, v.LowBits())
	}
	return dst
}

// appendException appends the message Exception, also if all its fields are empty: the
// event is an exception nevertheless.
func appendException(dst []byte, x *schemas.Exception) []byte {
	size := 0
	for _, s := range [...]string{x.Class, x.Method, x.Message, x.Stack} {
		if s != "" {
			size += 1 + protowire.SizeBytes(len(s))
		}
	}
	dst = protowire.AppendTag(dst, fieldException, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(size))
	dst = appendString(dst, exceptionClass, x.Class)
	dst = appendString(dst, exceptionMethod, x.Method)
	dst = appendString(dst, exceptionMessage, x.Message)
	return appendString(dst, exceptionStack, x.Stack)
}

// appendVarint, appendString and appendBytes omit a zero value, as proto3 does for a
// field without presence.
func appendVarint(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, field, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

func appendString(dst []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendString(dst, s)
}

func appendBytes(dst []byte, field protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, field, protowire.BytesType)
	return protowire.AppendBytes(dst, b)
}
