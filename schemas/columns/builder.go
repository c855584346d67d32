package columns

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
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

	zeros                            *zeros // shared by all columns, and by their arrays of nulls
	product, client, offset, runtime *numberBuilder[int64]
	time, arrival                    *numberBuilder[arrow.Timestamp]
	value                            *numberBuilder[decimal128.Num]
	offline                          *boolBuilder
	shard                            *numberBuilder[int32]

	sessionID, randomID, exceptionMessage, exceptionStack, properties, valueText *stringBuilder

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
	mem, z := &countingAllocator{Allocator: allocator}, &zeros{}
	newInt64 := func() *numberBuilder[int64] { return newNumberBuilder[int64](mem, z, arrow.PrimitiveTypes.Int64) }
	newInstant := func() *numberBuilder[arrow.Timestamp] {
		return newNumberBuilder[arrow.Timestamp](mem, z, Timestamp())
	}
	newString := func() *stringBuilder { return newStringBuilder(mem, z) }
	newDictionary := func() *DictionaryBuilder { return newDictionaryBuilder(mem, z) }
	return &Builder{
		schema: Schema(), memory: mem, zeros: z,
		product: newInt64(), client: newInt64(), offset: newInt64(), runtime: newInt64(), time: newInstant(), arrival: newInstant(),
		value:     newNumberBuilder[decimal128.Num](mem, z, &arrow.Decimal128Type{Precision: schemas.ValuePrecision, Scale: schemas.ValueScale}),
		offline:   &boolBuilder{columnRows: columnRows{mem: mem, zeros: z}},
		shard:     newNumberBuilder[int32](mem, z, arrow.PrimitiveTypes.Int32),
		sessionID: newString(), randomID: newString(), exceptionMessage: newString(), exceptionStack: newString(), properties: newString(), valueText: newString(),
		name: newDictionary(), category: newDictionary(), appKey: newDictionary(), appName: newDictionary(), appVersion: newDictionary(),
		contentLocale: newDictionary(), uiLocale: newDictionary(), userAgent: newDictionary(), ip: newDictionary(), user: newDictionary(),
		clientProps: newDictionary(), exceptionClass: newDictionary(), exceptionMethod: newDictionary(),
	}
}

// Append adds e and copies everything it needs, so e may be reused. Times are
// clamped to ±MaxTimeMS.
func (b *Builder) Append(e *schemas.Event, at Position) {
	b.rows++
	b.product.append(e.Product)
	b.client.append(e.Client)
	b.time.append(ToTimestamp(e.Time))
	b.appendNumbers(e)
	b.appendStrings(e)
	b.appendException(e.Exception)
	b.shard.append(at.Shard)
	b.offset.append(at.Offset)
	b.arrival.append(ToTimestamp(at.Arrival))
}

func (b *Builder) appendNumbers(e *schemas.Event) {
	if e.Value != nil {
		b.value.append(*e.Value)
	} else {
		b.value.appendNull()
	}
	if e.RuntimeMS != nil {
		b.runtime.append(*e.RuntimeMS)
	} else {
		b.runtime.appendNull()
	}
	if e.Offline != nil {
		b.offline.append(*e.Offline)
	} else {
		b.offline.appendNull()
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
	b.randomID.append(e.RandomID)
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
		b.properties.appendNull()
		return
	}
	b.properties.appendBytes(e.Properties)
}

// appendException stores the class of every exception, even if it is empty: a row
// whose class is not null is an exception.
func (b *Builder) appendException(x *schemas.Exception) {
	if x == nil {
		b.exceptionClass.AppendNull()
		b.exceptionMethod.AppendNull()
		b.exceptionMessage.appendNull()
		b.exceptionStack.appendNull()
		return
	}
	b.appendCoded(b.exceptionClass, x.Class)
	b.appendCodedOrNull(b.exceptionMethod, x.Method)
	appendPlain(b.exceptionMessage, x.Message)
	appendPlain(b.exceptionStack, x.Stack)
}

func appendPlain(to *stringBuilder, s string) {
	if s == "" {
		to.appendNull()
		return
	}
	to.append(s)
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
	n := b.memory.held + b.copies + int64(len(b.zeros.bytes))
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
		b.product.newArray(), b.client.newArray(), b.time.newArray(), b.name.NewArray(), b.category.NewArray(),
		b.value.newArray(), b.sessionID.newArray(), b.runtime.newArray(), b.randomID.newArray(), b.appKey.NewArray(),
		b.appName.NewArray(), b.appVersion.NewArray(), b.contentLocale.NewArray(), b.uiLocale.NewArray(), b.offline.newArray(),
		b.userAgent.NewArray(), b.ip.NewArray(), b.user.NewArray(), b.clientProps.NewArray(), b.exceptionClass.NewArray(),
		b.exceptionMethod.NewArray(), b.exceptionMessage.newArray(), b.exceptionStack.newArray(), b.properties.newArray(),
		b.shard.newArray(), b.offset.newArray(), b.arrival.newArray(), b.valueText.newArray(),
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
	for _, c := range []interface{ release() }{
		b.product, b.client, b.offset, b.runtime, b.time, b.arrival, b.value, b.offline, b.shard,
		b.sessionID, b.randomID, b.exceptionMessage, b.exceptionStack, b.properties, b.valueText,
	} {
		c.release()
	}
	for _, c := range b.dictionaries() {
		c.Release()
	}
}

// ToTimestamp converts epoch milliseconds to a timestamp, clamped to ±MaxTimeMS.
func ToTimestamp(ms int64) arrow.Timestamp {
	return arrow.Timestamp(max(-MaxTimeMS, min(MaxTimeMS, ms)) * 1000)
}
