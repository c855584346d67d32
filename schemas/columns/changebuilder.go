package columns

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
)

// Names of the columns that only batches of changes have.
const (
	Kind      = "kind"      // schemas.ChangeKind
	Operation = "operation" // schemas.OpSet and so on
)

// ChangeSchema returns the schema of a batch of changes; Properties holds the
// operands of the operation. The position of a column plus 1 is its field id in
// Iceberg and Parquet, so columns are only ever appended.
func ChangeSchema() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		{Name: ProductID, Type: arrow.PrimitiveTypes.Int64},
		{Name: ClientID, Type: arrow.PrimitiveTypes.Int64},
		{Name: Time, Type: Timestamp()},
		{Name: Kind, Type: DictionaryType()},
		{Name: Operation, Type: DictionaryType()},
		{Name: Properties, Type: arrow.BinaryTypes.String},
		{Name: Shard, Type: arrow.PrimitiveTypes.Int32},
		{Name: Offset, Type: arrow.PrimitiveTypes.Int64},
		{Name: Arrival, Type: Timestamp()},
	}, nil)
}

// ChangeBuilder builds batches of changes. It belongs to one goroutine.
type ChangeBuilder struct {
	schema *arrow.Schema
	memory *countingAllocator
	rows   int

	product, client, offset *array.Int64Builder
	time, arrival           *array.TimestampBuilder
	shard                   *array.Int32Builder
	values                  *array.StringBuilder
	kind, operation         *DictionaryBuilder
}

// NewChangeBuilder returns an empty builder; the caller ends it by Release.
func NewChangeBuilder(allocator memory.Allocator) *ChangeBuilder {
	mem := &countingAllocator{Allocator: allocator}
	newInstant := func() *array.TimestampBuilder {
		return array.NewTimestampBuilder(mem, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"})
	}
	return &ChangeBuilder{
		schema: ChangeSchema(), memory: mem,
		product: array.NewInt64Builder(mem), client: array.NewInt64Builder(mem), offset: array.NewInt64Builder(mem),
		time: newInstant(), arrival: newInstant(), shard: array.NewInt32Builder(mem), values: array.NewStringBuilder(mem),
		kind: NewDictionaryBuilder(mem), operation: NewDictionaryBuilder(mem),
	}
}

// Append adds c and copies everything it needs, so c may be reused.
func (b *ChangeBuilder) Append(c *schemas.Change, at Position) {
	b.rows++
	b.product.Append(c.Product)
	b.client.Append(c.Client)
	b.time.Append(ToTimestamp(c.Time))
	b.kind.Append(string(c.Kind)) // of these two there are few values
	b.operation.Append(c.Operation)
	b.values.BinaryBuilder.Append(c.Values)
	b.shard.Append(at.Shard)
	b.offset.Append(at.Offset)
	b.arrival.Append(ToTimestamp(at.Arrival))
}

// Len returns the number of rows since the last Batch.
func (b *ChangeBuilder) Len() int { return b.rows }

// BatchBytes returns the memory that Batch would hand over.
func (b *ChangeBuilder) BatchBytes() int64 {
	return b.memory.held + int64(len(b.schema.Fields()))*arrayBytes
}

// Bytes returns the memory that the builder holds.
func (b *ChangeBuilder) Bytes() int64 { return b.memory.held }

// Batch returns the rows appended so far and resets the builder. The caller
// releases the batch.
func (b *ChangeBuilder) Batch() arrow.Record {
	cols := []arrow.Array{
		b.product.NewArray(), b.client.NewArray(), b.time.NewArray(), b.kind.NewArray(), b.operation.NewArray(),
		b.values.NewArray(), b.shard.NewArray(), b.offset.NewArray(), b.arrival.NewArray(),
	}
	rec := array.NewRecord(b.schema, cols, int64(b.rows))
	for _, c := range cols {
		c.Release()
	}
	b.rows, b.memory.held = 0, 0
	return rec
}

// Release frees the rows that Batch did not return.
func (b *ChangeBuilder) Release() {
	for _, c := range []array.Builder{b.product, b.client, b.offset, b.time, b.arrival, b.shard, b.values} {
		c.Release()
	}
	b.kind.Release()
	b.operation.Release()
}
