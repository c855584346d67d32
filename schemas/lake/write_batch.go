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

// batchBuilder builds batches of a table, cell by cell in the order of its
// columns. Only the builder of a column's own type is set.
type batchBuilder struct {
	schema *arrow.Schema
	cells  []cellBuilder
	at     int // the column that comes next
	rows   int
	json   []byte // scratch
}

type cellBuilder struct {
	builder array.Builder // nil for a coded column

	longs    *array.Int64Builder
	ints     *array.Int32Builder
	days     *array.Date32Builder
	instants *array.TimestampBuilder
	decimals *array.Decimal128Builder
	texts    *array.StringBuilder
	binaries *array.BinaryBuilder
	coder    *columns.DictionaryBuilder
}

func newBatchBuilder(t Table, mem memory.Allocator) *batchBuilder {
	b := &batchBuilder{schema: arrowSchema(t)}
	for _, f := range b.schema.Fields() {
		b.cells = append(b.cells, newCellBuilder(f, mem))
	}
	return b
}

func newCellBuilder(f arrow.Field, mem memory.Allocator) (c cellBuilder) {
	switch f.Type.ID() {
	case arrow.INT64:
		c.longs = array.NewInt64Builder(mem)
		c.builder = c.longs
	case arrow.INT32:
		c.ints = array.NewInt32Builder(mem)
		c.builder = c.ints
	case arrow.DATE32:
		c.days = array.NewDate32Builder(mem)
		c.builder = c.days
	case arrow.TIMESTAMP:
		c.instants = array.NewTimestampBuilder(mem, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
		c.builder = c.instants
	case arrow.DECIMAL128:
		c.decimals = array.NewDecimal128Builder(mem, &arrow.Decimal128Type{
			Precision: schemas.ValuePrecision, Scale: schemas.ValueScale,
		})
		c.builder = c.decimals
	case arrow.BINARY:
		c.binaries = array.NewBinaryBuilder(mem, arrow.BinaryTypes.Binary)
		c.builder = c.binaries
	case arrow.DICTIONARY:
		c.coder = columns.NewCoder(mem)
	default:
		c.texts = array.NewStringBuilder(mem)
		c.builder = c.texts
	}
	return c
}

func (b *batchBuilder) next() *cellBuilder {
	b.at++
	return &b.cells[b.at-1]
}

func (b *batchBuilder) long(v int64)             { b.next().longs.Append(v) }
func (b *batchBuilder) integer(v int32)          { b.next().ints.Append(v) }
func (b *batchBuilder) day(v int32)              { b.next().days.Append(arrow.Date32(v)) }
func (b *batchBuilder) instant(ms int64)         { b.next().instants.Append(columns.Instant(ms)) }
func (b *batchBuilder) decimal(v decimal128.Num) { b.next().decimals.Append(v) }

func (b *batchBuilder) coded(s string, there bool) {
	c := b.next().coder
	if !there {
		c.Null()
		return
	}
	c.Add(s)
}

// text appends a string that is always there.
func (b *batchBuilder) text(s []byte) { b.next().texts.BinaryBuilder.Append(s) }

// binary appends raw; nil is no value.
func (b *batchBuilder) binary(raw []byte) {
	to := b.next().binaries
	if raw == nil {
		to.AppendNull()
		return
	}
	to.Append(raw)
}

// properties appends p as JSON; none at all is no value.
func (b *batchBuilder) properties(p rollup.Properties) {
	to := b.next().texts
	if len(p) == 0 {
		to.AppendNull()
		return
	}
	b.json = p.AppendJSON(b.json[:0])
	to.BinaryBuilder.Append(b.json)
}

func (b *batchBuilder) endRow() {
	b.at = 0
	b.rows++
}

// record returns the rows gathered and starts afresh.
func (b *batchBuilder) record() arrow.Record {
	cols := make([]arrow.Array, len(b.cells))
	for i, c := range b.cells {
		if c.coder != nil {
			cols[i] = c.coder.NewArray()
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

func (b *batchBuilder) release() {
	for _, c := range b.cells {
		if c.coder != nil {
			c.coder.Release()
			continue
		}
		c.builder.Release()
	}
}
