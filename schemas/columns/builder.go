package columns

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
)

// arrayBytes is what the arrays of a column of a batch take beside their values.
const arrayBytes = 512

// Builder builds batches of events. It belongs to one goroutine.
type Builder struct {
	schema *arrow.Schema
	memory *countingAllocator
	rows   int
	copies int64 // bytes of values that the dictionaries keep beside the arrays

	product, client, offset, runtime *array.Int64Builder
	time, arrival                    *array.TimestampBuilder
	value                            *array.Decimal128Builder
	offline                          *array.BooleanBuilder
	shard                            *array.Int32Builder

	sessionID, randomID, exceptionMessage, exceptionStack, properties, valueText *array.StringBuilder

	name, category, appKey, appName, appVersion, contentLocale, uiLocale, userAgent, ip, user, clientProps,
	exceptionClass, exceptionMethod *DictionaryBuilder
}

// Position is the position of a record in the log.
type Position struct {
	Shard   int32
	Offset  int64
	Arrival int64 // log time; epoch milliseconds
}

// NewBuilder returns an empty builder; the caller ends it by Release.
func NewBuilder(allocator memory.Allocator) *Builder {
	mem := &countingAllocator{Allocator: allocator}
	newInstant := func() *array.TimestampBuilder {
		return array.NewTimestampBuilder(mem, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
	}
	return &Builder{
		schema: Schema(), memory: mem,
		product: array.NewInt64Builder(mem), client: array.NewInt64Builder(mem),
		offset: array.NewInt64Builder(mem), runtime: array.NewInt64Builder(mem),
		time: newInstant(), arrival: newInstant(),
		value: array.NewDecimal128Builder(mem, &arrow.Decimal128Type{
			Precision: schemas.ValuePrecision, Scale: schemas.ValueScale,
		}),
		offline: array.NewBooleanBuilder(mem), shard: array.NewInt32Builder(mem),
		sessionID: array.NewStringBuilder(mem), randomID: array.NewStringBuilder(mem),
		exceptionMessage: array.NewStringBuilder(mem), exceptionStack: array.NewStringBuilder(mem),
		properties: array.NewStringBuilder(mem), valueText: array.NewStringBuilder(mem),
		name: NewDictionaryBuilder(mem), category: NewDictionaryBuilder(mem), appKey: NewDictionaryBuilder(mem), appName: NewDictionaryBuilder(mem),
		appVersion: NewDictionaryBuilder(mem), contentLocale: NewDictionaryBuilder(mem), uiLocale: NewDictionaryBuilder(mem), userAgent: NewDictionaryBuilder(mem),
		ip: NewDictionaryBuilder(mem), user: NewDictionaryBuilder(mem), clientProps: NewDictionaryBuilder(mem),
		exceptionClass: NewDictionaryBuilder(mem), exceptionMethod: NewDictionaryBuilder(mem),
	}
}

// Append adds e and copies everything it needs, so e may be reused. Times are
// clamped to ±MaxTimeMS.
func (b *Builder) Append(e *schemas.Event, at Position) {
	b.rows++
	b.product.Append(e.Product)
	b.client.Append(e.Client)
	b.time.Append(ToTimestamp(e.Time))
	b.appendNumbers(e)
	b.appendStrings(e)
	b.appendException(e.Exception)
	b.shard.Append(at.Shard)
	b.offset.Append(at.Offset)
	b.arrival.Append(ToTimestamp(at.Arrival))
}

func (b *Builder) appendNumbers(e *schemas.Event) {
	if e.Value != nil {
		b.value.Append(*e.Value)
	} else {
		b.value.AppendNull()
	}
	if e.RuntimeMS != nil {
		b.runtime.Append(*e.RuntimeMS)
	} else {
		b.runtime.AppendNull()
	}
	if e.Offline != nil {
		b.offline.Append(*e.Offline)
	} else {
		b.offline.AppendNull()
	}
}

// appendStrings appends the string columns. Empty strings become null, except the name and
// a category that is present but empty.
func (b *Builder) appendStrings(e *schemas.Event) {
	b.appendCoded(b.name, e.Name)
	if e.Category != nil {
		b.appendCoded(b.category, *e.Category)
	} else {
		b.category.AppendNull()
	}
	appendPlain(b.sessionID, e.SessionID)
	b.randomID.Append(e.RandomID)
	b.appendCodedOrNull(b.appKey, e.AppKey)
	b.appendCodedOrNull(b.appName, e.AppName)
	b.appendCodedOrNull(b.appVersion, e.AppVersion)
	b.appendCodedOrNull(b.contentLocale, e.ContentLocale)
	b.appendCodedOrNull(b.uiLocale, e.UILocale)
	b.appendCodedOrNull(b.userAgent, e.UserAgent)
	b.appendCodedOrNull(b.ip, e.IP)
	b.appendCodedJSON(b.user, e.User)
	b.appendCodedJSON(b.clientProps, e.ClientProps)
	appendPlain(b.valueText, e.ValueText)
	if e.Properties == nil {
		b.properties.AppendNull()
		return
	}
	b.properties.BinaryBuilder.Append(e.Properties)
}

// appendException stores the class of every exception, even if it is empty: a row
// whose class is not null is an exception.
func (b *Builder) appendException(x *schemas.Exception) {
	if x == nil {
		b.exceptionClass.AppendNull()
		b.exceptionMethod.AppendNull()
		b.exceptionMessage.AppendNull()
		b.exceptionStack.AppendNull()
		return
	}
	b.appendCoded(b.exceptionClass, x.Class)
	b.appendCodedOrNull(b.exceptionMethod, x.Method)
	appendPlain(b.exceptionMessage, x.Message)
	appendPlain(b.exceptionStack, x.Stack)
}

func appendPlain(to *array.StringBuilder, s string) {
	if s == "" {
		to.AppendNull()
		return
	}
	to.Append(s)
}

func (b *Builder) appendCoded(to *DictionaryBuilder, s string) { b.copies += to.Append(s) }

func (b *Builder) appendCodedOrNull(to *DictionaryBuilder, s string) {
	if s == "" {
		to.AppendNull()
		return
	}
	b.copies += to.Append(s)
}

func (b *Builder) appendCodedJSON(to *DictionaryBuilder, raw []byte) {
	if len(raw) == 0 {
		to.AppendNull()
		return
	}
	b.copies += to.AppendBytes(raw)
}

// Len returns the number of rows since the last Batch.
func (b *Builder) Len() int { return b.rows }

// BatchBytes returns the memory that Batch would hand over.
func (b *Builder) BatchBytes() int64 { return b.memory.held + int64(len(b.schema.Fields()))*arrayBytes }

// Bytes returns the memory that the builder holds: the rows since the last Batch,
// and what its dictionaries keep.
func (b *Builder) Bytes() int64 {
	n := b.memory.held + b.copies
	for _, c := range b.dictionaries() {
		n += c.kept()
	}
	return n
}

func (b *Builder) dictionaries() [13]*DictionaryBuilder {
	return [...]*DictionaryBuilder{
		b.name, b.category, b.appKey, b.appName, b.appVersion, b.contentLocale, b.uiLocale, b.userAgent, b.ip,
		b.user, b.clientProps, b.exceptionClass, b.exceptionMethod,
	}
}

// Batch returns the rows appended so far and resets the builder. The caller
// releases the batch.
func (b *Builder) Batch() arrow.Record {
	cols := []arrow.Array{
		b.product.NewArray(), b.client.NewArray(), b.time.NewArray(), b.name.NewArray(), b.category.NewArray(),
		b.value.NewArray(), b.sessionID.NewArray(), b.runtime.NewArray(), b.randomID.NewArray(), b.appKey.NewArray(),
		b.appName.NewArray(), b.appVersion.NewArray(), b.contentLocale.NewArray(), b.uiLocale.NewArray(), b.offline.NewArray(),
		b.userAgent.NewArray(), b.ip.NewArray(), b.user.NewArray(), b.clientProps.NewArray(), b.exceptionClass.NewArray(),
		b.exceptionMethod.NewArray(), b.exceptionMessage.NewArray(), b.exceptionStack.NewArray(), b.properties.NewArray(),
		b.shard.NewArray(), b.offset.NewArray(), b.arrival.NewArray(), b.valueText.NewArray(),
	}
	rec := array.NewRecord(b.schema, cols, int64(b.rows))
	for _, c := range cols {
		c.Release()
	}
	b.rows, b.copies, b.memory.held = 0, 0, 0
	return rec
}

// Release frees the rows that Batch did not return.
func (b *Builder) Release() {
	for _, c := range []array.Builder{
		b.product, b.client, b.offset, b.runtime, b.time, b.arrival, b.value, b.offline, b.shard,
		b.sessionID, b.randomID, b.exceptionMessage, b.exceptionStack, b.properties, b.valueText,
	} {
		c.Release()
	}
	for _, c := range b.dictionaries() {
		c.Release()
	}
}

// ToTimestamp converts epoch milliseconds to a timestamp, clamped to ±MaxTimeMS.
func ToTimestamp(ms int64) arrow.Timestamp {
	return arrow.Timestamp(max(-MaxTimeMS, min(MaxTimeMS, ms)) * 1000)
}
