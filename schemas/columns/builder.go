package columns

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
)

// Builder gathers events into batches. It belongs to one goroutine.
type Builder struct {
	rows  *array.RecordBuilder
	bytes int64
}

// Position is where the record of an event stands.
type Position struct {
	Shard   int32
	Offset  int64
	Arrival int64 // log time; epoch milliseconds
}

// NewBuilder returns an empty builder; Release ends it.
func NewBuilder(mem memory.Allocator) *Builder {
	return &Builder{rows: array.NewRecordBuilder(mem, Schema())}
}

// Append adds e, copying all that it needs of it. Times beyond MaxTimeMS are
// held to it.
func (b *Builder) Append(e *schemas.Event, at Position) {}

// Len is the number of rows since the last Batch.
func (b *Builder) Len() int { return 0 }

// Bytes estimates the memory of the rows since the last Batch.
func (b *Builder) Bytes() int64 { return b.bytes }

// Batch returns the rows gathered and starts afresh. The caller releases it.
func (b *Builder) Batch() arrow.Record { return b.rows.NewRecord() }

// Release frees what was gathered and not taken.
func (b *Builder) Release() { b.rows.Release() }
