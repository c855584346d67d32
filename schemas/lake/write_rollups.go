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

// batchRows is how many rows of a rollup become one batch.
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
	var parts []part
	for r := range rows {
		if b.batch.rows == batchRows {
			batches = append(batches, b.batch.record())
		}
		at := rowRef{batch: uint32(len(batches)), row: uint32(b.batch.rows)}
		b.append(b.batch, r)
		p := b.partition(r)
		i, known := of[p]
		if !known {
			i = len(parts)
			of[p], parts = i, append(parts, part{partition: p})
		}
		parts[i].rows = append(parts[i].rows, at)
	}
	batches = append(batches, b.batch.record())
	return l.writeParts(ctx, b.table, b.shard, batches, parts)
}

func newClientDayRows(shard int32) *rowBuilder[rollup.ClientDay] {
	return &rowBuilder[rollup.ClientDay]{
		table: ClientDays, shard: shard, batch: newBatchBuilder(ClientDays, memory.DefaultAllocator),
		partition: func(r *rollup.ClientDay) int32 { return monthOfDay(r.Day) },
		append: func(b *batchBuilder, r *rollup.ClientDay) {
			b.long(r.Product)
			b.long(r.Client)
			b.day(r.Day)
			b.long(r.Events)
			b.long(r.Sessions)
			b.long(r.RuntimeMS)
			b.instant(r.First)
			b.instant(r.Last)
			b.properties(r.Properties)
			b.integer(shard)
			b.endRow()
		},
	}
}

func newEventDayRows(shard int32) *rowBuilder[rollup.EventDay] {
	return &rowBuilder[rollup.EventDay]{
		table: EventDays, shard: shard, batch: newBatchBuilder(EventDays, memory.DefaultAllocator),
		partition: func(r *rollup.EventDay) int32 { return monthOfDay(r.Day) },
		append: func(b *batchBuilder, r *rollup.EventDay) {
			b.long(r.Product)
			b.long(r.Client)
			b.day(r.Day)
			b.coded(r.Category, r.HasCategory)
			b.coded(r.Name, true)
			b.long(r.Count)
			b.decimal(r.ValueSum)
			b.long(r.ValueCount)
			b.instant(r.First)
			b.integer(shard)
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
			b.long(r.Product)
			b.long(r.Client)
			b.day(r.InstallDay())
			b.instant(r.First)
			b.instant(r.Last)
			b.long(r.Events)
			b.long(r.Sessions)
			b.long(r.RuntimeMS)
			b.properties(r.Properties)
			b.integer(shard)
			b.endRow()
		},
	}
}

func newDeadLetterRows(shard int32) *rowBuilder[DeadLetter] {
	return &rowBuilder[DeadLetter]{
		table: DeadLetters, shard: shard, batch: newBatchBuilder(DeadLetters, memory.DefaultAllocator),
		partition: func(r *DeadLetter) int32 { return monthOfDay(rollup.Day(r.Arrival)) },
		append: func(b *batchBuilder, r *DeadLetter) {
			b.integer(r.Shard)
			b.long(r.Offset)
			b.instant(r.Arrival)
			b.coded(strings.ToValidUTF8(r.Reason, "\uFFFD"), true)
			b.binary(r.Key)
			b.binary(r.Value)
			b.endRow()
		},
	}
}
