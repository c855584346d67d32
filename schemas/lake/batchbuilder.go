package lake

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// batchBuilder builds batches of a table, cell by cell in the order of the
// columns. It belongs to one goroutine.
type batchBuilder struct {
	schema  *arrow.Schema
	columns []columnBuilder
	column  int // index of the column that the next cell belongs to
	rows    int
	json    []byte // buffer for properties
}

// columnBuilder builds one column. Of the typed builders only that of the
// column's own type is set; builder is the same one, or nil for a
// dictionary-encoded column.
type columnBuilder struct {
	builder array.Builder // nil for a dictionary-encoded column

	int64s     *array.Int64Builder
	int32s     *array.Int32Builder
	dates      *array.Date32Builder
	timestamps *array.TimestampBuilder
	decimals   *array.Decimal128Builder
	strings    *array.StringBuilder
	binaries   *array.BinaryBuilder
	dictionary *columns.DictionaryBuilder
}

// newBatchBuilder returns an empty builder of batches with that schema; release
// frees it.
func newBatchBuilder(schema *arrow.Schema, mem memory.Allocator) *batchBuilder {
	b := &batchBuilder{schema: schema}
	for _, f := range b.schema.Fields() {
		b.columns = append(b.columns, newColumnBuilder(f, mem))
	}
	return b
}

// newColumnBuilder returns a builder of the type of f.
func newColumnBuilder(f arrow.Field, mem memory.Allocator) (c columnBuilder) {
	switch f.Type.ID() {
	case arrow.INT64:
		c.int64s = array.NewInt64Builder(mem)
		c.builder = c.int64s
	case arrow.INT32:
		c.int32s = array.NewInt32Builder(mem)
		c.builder = c.int32s
	case arrow.DATE32:
		c.dates = array.NewDate32Builder(mem)
		c.builder = c.dates
	case arrow.TIMESTAMP:
		c.timestamps = array.NewTimestampBuilder(mem, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
		c.builder = c.timestamps
	case arrow.DECIMAL128:
		c.decimals = array.NewDecimal128Builder(mem, &arrow.Decimal128Type{
			Precision: schemas.ValuePrecision, Scale: schemas.ValueScale,
		})
		c.builder = c.decimals
	case arrow.BINARY:
		c.binaries = array.NewBinaryBuilder(mem, arrow.BinaryTypes.Binary)
		c.builder = c.binaries
	case arrow.DICTIONARY:
		c.dictionary = columns.NewDictionaryBuilder(mem)
	default:
		c.strings = array.NewStringBuilder(mem)
		c.builder = c.strings
	}
	return c
}

// nextColumn returns the builder of the next cell. The caller's order of cells
// is trusted: a cell of another type would be a nil builder.
func (b *batchBuilder) nextColumn() *columnBuilder {
	b.column++
	return &b.columns[b.column-1]
}

func (b *batchBuilder) appendInt64(v int64) { b.nextColumn().int64s.Append(v) }
func (b *batchBuilder) appendInt32(v int32) { b.nextColumn().int32s.Append(v) }
func (b *batchBuilder) appendDate(v int32)  { b.nextColumn().dates.Append(arrow.Date32(v)) }

// appendTimestamp appends epoch milliseconds.
func (b *batchBuilder) appendTimestamp(ms int64) {
	b.nextColumn().timestamps.Append(columns.ToTimestamp(ms))
}
func (b *batchBuilder) appendDecimal(v decimal128.Num) { b.nextColumn().decimals.Append(v) }

// appendDictionary appends a dictionary-encoded string, or null.
func (b *batchBuilder) appendDictionary(s string, valid bool) {
	c := b.nextColumn().dictionary
	if !valid {
		c.AppendNull()
		return
	}
	c.Append(s)
}

// appendString appends a string that is never null.
func (b *batchBuilder) appendString(s []byte) { b.nextColumn().strings.BinaryBuilder.Append(s) }

// appendBinary appends raw; nil becomes null.
func (b *batchBuilder) appendBinary(raw []byte) {
	to := b.nextColumn().binaries
	if raw == nil {
		to.AppendNull()
		return
	}
	to.Append(raw)
}

// appendProperties appends p as JSON; no properties become null.
func (b *batchBuilder) appendProperties(p rollup.Properties) {
	to := b.nextColumn().strings
	if len(p) == 0 {
		to.AppendNull()
		return
	}
	b.json = p.AppendJSON(b.json[:0])
	to.BinaryBuilder.Append(b.json)
}

// endRow ends a row, of which every cell must have been appended.
func (b *batchBuilder) endRow() {
	b.column = 0
	b.rows++
}

// newRecord returns the rows appended so far and starts an empty batch. The
// caller releases the record.
func (b *batchBuilder) newRecord() arrow.Record {
	cols := make([]arrow.Array, len(b.columns))
	for i, c := range b.columns {
		if c.dictionary != nil {
			cols[i] = c.dictionary.NewArray()
			continue
		}
		cols[i] = c.builder.NewArray()
	}
	rec := array.NewRecord(b.schema, cols, int64(b.rows))
	for _, c := range cols {
		c.Release()
	}
	b.rows = 0
	return rec
}

// release frees the rows that newRecord has not taken.
func (b *batchBuilder) release() {
	for _, c := range b.columns {
		if c.dictionary != nil {
			c.dictionary.Release()
			continue
		}
		c.builder.Release()
	}
}
