package lake

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/iceberg-go"

	"weir/schemas/rollup"
)

// DeadLetter is a record that could not be decoded.
type DeadLetter struct {
	Shard   int32
	Offset  int64
	Arrival int64  // log time; epoch milliseconds
	Reason  string // why not
	Key     []byte
	Value   []byte
}

// rowsPerBatch is how many rows of a rollup become one batch.
const batchRows = 8 << 10

// WriteRollups puts the rows of set as data files of tables, or of every
// rollup table when none is named.
func (l *Lake) WriteRollups(ctx context.Context, shard int32, set *rollup.Set, tables ...Table) (map[Table][]DataFile, error) {
	if len(tables) == 0 {
		tables = Rollups()
	}
	out := map[Table][]DataFile{}
	for _, t := range tables {
		files, err := l.writeRollup(ctx, t, shard, set)
		if err != nil {
			return nil, err
		}
		out[t] = files
	}
	return out, nil
}

func (l *Lake) writeRollup(ctx context.Context, t Table, shard int32, set *rollup.Set) ([]DataFile, error) {
	switch t {
	case ClientDays:
		return writeRows(ctx, l, newClientDayRows(shard), set.ClientDays())
	case EventDays:
		return writeRows(ctx, l, newEventDayRows(shard), set.EventDays())
	case Clients:
		return writeRows(ctx, l, newClientRows(shard), set.Clients())
	default:
		return nil, fmt.Errorf("write rollups: %s is none", t)
	}
}

// WriteDeadLetters puts letters, all of one shard, as one data file for each
// month of arrival.
func (l *Lake) WriteDeadLetters(ctx context.Context, shard int32, letters []DeadLetter) ([]DataFile, error) {
	letters = slices.Clone(letters)
	slices.SortFunc(letters, func(a, b DeadLetter) int { return cmp.Compare(a.Offset, b.Offset) })
	rows := func(yield func(*DeadLetter) bool) {
		for i := range letters {
			if !yield(&letters[i]) {
				return
			}
		}
	}
	return writeRows(ctx, l, newDeadLetterRows(shard), rows)
}

// rowBuilder turns rows of a table into batches. It is the way of every table
// but events.
type rowBuilder[R any] struct {
	table     Table
	shard     int32
	batch     *batchBuilder
	partition func(r *R) int32
	append    func(b *batchBuilder, r *R)
}

// writeRows puts rows, which come in the order of the table, as one data file
// for each partition.
func writeRows[R any](ctx context.Context, l *Lake, b *rowBuilder[R], rows iter.Seq[*R]) ([]DataFile, error) {
	defer b.batch.release()
	var batches []arrow.Record
	defer func() {
		for _, rec := range batches {
			rec.Release()
		}
	}()
	of := map[int32]int{} // partition → index in parts
	var parts []fileRows
	for r := range rows {
		if b.batch.rows == batchRows {
			batches = append(batches, b.batch.newRecord())
		}
		at := RowRef{Batch: uint32(len(batches)), Row: uint32(b.batch.rows)}
		b.append(b.batch, r)
		p := b.partition(r)
		i, known := of[p]
		if !known {
			i = len(parts)
			of[p], parts = i, append(parts, fileRows{partition: p})
		}
		parts[i].rows = append(parts[i].rows, at)
	}
	batches = append(batches, b.batch.newRecord())
	return l.writeFiles(ctx, b.table, b.shard, batches, parts)
}

func newClientDayRows(shard int32) *rowBuilder[rollup.ClientDay] {
	return &rowBuilder[rollup.ClientDay]{
		table: ClientDays, shard: shard, batch: newBatchBuilder(ClientDays, memory.DefaultAllocator),
		partition: func(r *rollup.ClientDay) int32 { return monthOfDay(r.Day) },
		append: func(b *batchBuilder, r *rollup.ClientDay) {
			b.appendInt64(r.Product)
			b.appendInt64(r.Client)
			b.appendDate(r.Day)
			b.appendInt64(r.Events)
			b.appendInt64(r.Sessions)
			b.appendInt64(r.RuntimeMS)
			b.appendTimestamp(r.First)
			b.appendTimestamp(r.Last)
			b.appendProperties(r.Properties)
			b.appendInt32(shard)
			b.endRow()
		},
	}
}

func newEventDayRows(shard int32) *rowBuilder[rollup.EventDay] {
	return &rowBuilder[rollup.EventDay]{
		table: EventDays, shard: shard, batch: newBatchBuilder(EventDays, memory.DefaultAllocator),
		partition: func(r *rollup.EventDay) int32 { return monthOfDay(r.Day) },
		append: func(b *batchBuilder, r *rollup.EventDay) {
			b.appendInt64(r.Product)
			b.appendInt64(r.Client)
			b.appendDate(r.Day)
			b.appendDictionary(r.Category, r.HasCategory)
			b.appendDictionary(r.Name, true)
			b.appendInt64(r.Count)
			b.appendDecimal(r.ValueSum)
			b.appendInt64(r.ValueCount)
			b.appendTimestamp(r.First)
			b.appendInt32(shard)
			b.endRow()
		},
	}
}

func newClientRows(shard int32) *rowBuilder[rollup.Client] {
	bucket := iceberg.BucketTransform{NumBuckets: clientBuckets}.Transformer(iceberg.PrimitiveTypes.Int64)
	return &rowBuilder[rollup.Client]{
		table: Clients, shard: shard, batch: newBatchBuilder(Clients, memory.DefaultAllocator),
		partition: func(r *rollup.Client) int32 { return bucket(r.Client).Val },
		append: func(b *batchBuilder, r *rollup.Client) {
			b.appendInt64(r.Product)
			b.appendInt64(r.Client)
			b.appendDate(r.InstallDay())
			b.appendTimestamp(r.First)
			b.appendTimestamp(r.Last)
			b.appendInt64(r.Events)
			b.appendInt64(r.Sessions)
			b.appendInt64(r.RuntimeMS)
			b.appendProperties(r.Properties)
			b.appendInt32(shard)
			b.endRow()
		},
	}
}

func newDeadLetterRows(shard int32) *rowBuilder[DeadLetter] {
	return &rowBuilder[DeadLetter]{
		table: DeadLetters, shard: shard, batch: newBatchBuilder(DeadLetters, memory.DefaultAllocator),
		partition: func(r *DeadLetter) int32 { return monthOfDay(rollup.Day(r.Arrival)) },
		append: func(b *batchBuilder, r *DeadLetter) {
			b.appendInt32(r.Shard)
			b.appendInt64(r.Offset)
			b.appendTimestamp(r.Arrival)
			b.appendDictionary(strings.ToValidUTF8(r.Reason, "\uFFFD"), true)
			b.appendBinary(r.Key)
			b.appendBinary(r.Value)
			b.endRow()
		},
	}
}
