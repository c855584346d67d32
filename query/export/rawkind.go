package export

import (
	"strconv"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
	"weir/schemas/columns"
)

// rawCode is the Code of raw events.
const rawCode = "raw"

// RawEvents are all events, with everything that was accepted of them, of which weir
// import makes the same events again, and with what was known of their clients. The
// first 13 columns are those of the files of before; columns are only ever appended,
// since readers may go by their position.
func RawEvents() Kind {
	return Kind{
		Code: rawCode, AllProperties: true,
		Columns: []string{
			columns.RandomID, columns.Arrival, columns.Time, columns.ClientID, columns.Name, columns.Category, columns.Value,
			columns.SessionID, columns.RuntimeMS, columns.AppKey, columns.Properties, columns.Shard, columns.Offset,
			columns.AppName, columns.AppVersion, columns.ContentLocale, columns.UILocale, columns.Offline, columns.UserAgent,
			columns.IP, columns.User, columns.Client,
			columns.ExceptionClass, columns.ExceptionMethod, columns.ExceptionMessage, columns.ExceptionStack,
			columns.ValueText,
		},
		Fields: []Field{
			rawText(schemas.RawID, func(r *Rows) *columns.Strings { return &r.RandomID }),
			rawField(schemas.RawReceived, func(dst []byte, r *Rows, i int) []byte { return appendMillis(dst, r.Arrival[i]) }),
			rawField(schemas.RawTime, func(dst []byte, r *Rows, i int) []byte { return appendMillis(dst, r.Time[i]) }),
			rawField(schemas.RawClientID, appendClient),
			rawText(schemas.RawName, func(r *Rows) *columns.Strings { return &r.Name }),
			rawText(schemas.RawCategory, func(r *Rows) *columns.Strings { return &r.Category }),
			rawField(schemas.RawValue, appendValue),
			rawText(schemas.RawSessionID, func(r *Rows) *columns.Strings { return &r.SessionID }),
			rawField(schemas.RawRuntime, appendRuntime),
			rawText(schemas.RawAppKey, func(r *Rows) *columns.Strings { return &r.AppKey }),
			rawField(schemas.RawProperties, appendProperties),
			rawField(schemas.RawShard, func(dst []byte, r *Rows, i int) []byte { return strconv.AppendInt(dst, int64(r.Shard[i]), 10) }),
			rawField(schemas.RawOffset, func(dst []byte, r *Rows, i int) []byte { return strconv.AppendInt(dst, r.Offset[i], 10) }),
			rawText(schemas.RawAppName, func(r *Rows) *columns.Strings { return &r.AppName }),
			rawText(schemas.RawAppVersion, func(r *Rows) *columns.Strings { return &r.AppVersion }),
			rawText(schemas.RawContentLocale, func(r *Rows) *columns.Strings { return &r.ContentLocale }),
			rawText(schemas.RawUILocale, func(r *Rows) *columns.Strings { return &r.UILocale }),
			rawField(schemas.RawOffline, appendOffline),
			rawText(schemas.RawUserAgent, func(r *Rows) *columns.Strings { return &r.UserAgent }),
			rawText(schemas.RawIP, func(r *Rows) *columns.Strings { return &r.IP }),
			rawText(schemas.RawUser, func(r *Rows) *columns.Strings { return &r.User }),
			rawText(schemas.RawClient, func(r *Rows) *columns.Strings { return &r.ClientProps }),
			rawField(schemas.RawHasException, appendHasException),
			rawText(schemas.RawExceptionClass, func(r *Rows) *columns.Strings { return &r.ExceptionClass }),
			rawText(schemas.RawExceptionMethod, func(r *Rows) *columns.Strings { return &r.ExceptionMethod }),
			rawText(schemas.RawExceptionMessage, func(r *Rows) *columns.Strings { return &r.ExceptionMessage }),
			rawText(schemas.RawExceptionStack, func(r *Rows) *columns.Strings { return &r.ExceptionStack }),
			rawText(schemas.RawValueText, func(r *Rows) *columns.Strings { return &r.ValueText }),
			rawField(schemas.RawKnown, func(dst []byte, r *Rows, _ int) []byte { return append(dst, r.client.json...) }),
		},
		Wants: func(*Rows, int) bool { return true },
	}
}

// rawField is a column with its name as key.
func rawField(name string, value func(dst []byte, r *Rows, i int) []byte) Field {
	return Field{Key: name, Name: name, Append: value}
}

// rawText is a column of text as it is stored; null is an empty field.
func rawText(name string, column func(r *Rows) *columns.Strings) Field {
	return rawField(name, func(dst []byte, r *Rows, i int) []byte { return append(dst, column(r).At(i)...) })
}

// appendValue appends the value as a decimal number of any size.
func appendValue(dst []byte, r *Rows, i int) []byte {
	if r.Value.Null(i) {
		return dst
	}
	return appendDecimal(dst, r.Value.At(i), schemas.ValueScale)
}

// appendRuntime appends the runtime in seconds, the unit in which it was sent.
func appendRuntime(dst []byte, r *Rows, i int) []byte {
	if r.Runtime.Null(i) {
		return dst
	}
	return appendDecimal(dst, decimal128.FromI64(r.Runtime.At(i)), 3)
}

// appendProperties appends the event's properties as JSON, and an empty object if
// it has none.
func appendProperties(dst []byte, r *Rows, i int) []byte {
	if r.Properties.Null(i) {
		return append(dst, "{}"...)
	}
	return append(dst, r.Properties.At(i)...)
}

// appendOffline appends true or false, and nothing for null.
func appendOffline(dst []byte, r *Rows, i int) []byte {
	if r.Offline.Null(i) {
		return dst
	}
	return strconv.AppendBool(dst, r.Offline.At(i))
}

// appendHasException appends true for an event with an exception, whose members may
// all be empty, and nothing for one without.
func appendHasException(dst []byte, r *Rows, i int) []byte {
	if r.ExceptionClass.Null(i) {
		return dst
	}
	return append(dst, "true"...)
}
