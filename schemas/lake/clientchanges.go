package lake

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"weir/schemas"
	"weir/schemas/columns"
)

// Change is a row of client_changes: one change of the attributes or contacts
// of a client, and its place in the log. The changes of a client are applied in
// the order of Offset.
type Change struct {
	schemas.Change

	Shard   int32
	Offset  int64
	Arrival int64 // log time; epoch milliseconds
}

// compare is the order of the rows of a data file.
func (c *Change) compare(o *Change) int {
	return cmp.Or(cmp.Compare(c.Product, o.Product), cmp.Compare(c.Client, o.Client), cmp.Compare(c.Offset, o.Offset))
}

// WriteChanges puts the rows of batches, all of one shard and with
// columns.ChangeSchema, as one data file for each partition. Readers
// see nothing before the files are committed.
func (l *Lake) WriteChanges(ctx context.Context, shard int32, batches []arrow.Record) ([]DataFile, error) {
	var rows []Change
	all := ChangesOf(func(yield func(arrow.Record, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
	})
	for row, err := range all {
		if err != nil {
			return nil, fmt.Errorf("write changes of shard %d: %w", shard, err)
		}
		rows = append(rows, *row)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	slices.SortFunc(rows, func(a, b Change) int { return a.compare(&b) })
	return writeRows(ctx, l, Changes, shard, changeRows(), pointers(rows))
}

// ScanChanges yields the rows of files that match f, file by file; those of a
// file come by product, client, offset. A row is valid until the next, what its
// fields point to stays valid.
func (l *Lake) ScanChanges(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[*Change, error] {
	return ChangesOf(l.scan(ctx, Changes, files, nil, f))
}

// ChangesOf yields the rows of batches with columns.ChangeSchema, as
// ScanChanges does.
func ChangesOf(batches iter.Seq2[arrow.Record, error]) iter.Seq2[*Change, error] {
	return decodeRows(batches, readChanges)
}

// readChanges binds the columns of client_changes by position.
func readChanges(rec arrow.Record) func(int, *Change) error {
	product, client, time := columnAs[*array.Int64](rec, 0), columnAs[*array.Int64](rec, 1), columnAs[*array.Timestamp](rec, 2)
	kind, operation, values := newDictionaryStrings(rec, 3), newDictionaryStrings(rec, 4), columnAs[*array.String](rec, 5)
	shard, offset, arrival := columnAs[*array.Int32](rec, 6), columnAs[*array.Int64](rec, 7), columnAs[*array.Timestamp](rec, 8)
	return func(i int, c *Change) error {
		*c = Change{Shard: shard.Value(i), Offset: offset.Value(i), Arrival: toMillis(arrival.Value(i))}
		c.Product, c.Client, c.Time = product.Value(i), client.Value(i), toMillis(time.Value(i))
		name, _ := kind.at(i)
		c.Kind = schemas.ChangeKind(name)
		c.Operation, _ = operation.at(i)
		c.Values = []byte(values.Value(i)) // a copy, since the batch's memory is reused
		return nil
	}
}

// changeRows returns the row format of client_changes.
func changeRows() rowFormat[Change] {
	return rowFormat[Change]{
		arrival: func(c *Change) int64 { return c.Arrival },
		before:  func(c *Change) int32 { return MonthOf(c.Time) },
		append: func(b *batchBuilder, c *Change, _ int32) {
			b.appendInt64(c.Product)
			b.appendInt64(c.Client)
			b.appendTimestamp(c.Time)
			b.appendDictionary(string(c.Kind), true)
			b.appendDictionary(c.Operation, true)
			b.appendString(c.Values)
			b.appendInt32(c.Shard)
			b.appendInt64(c.Offset)
			b.appendTimestamp(c.Arrival)
		},
		read: readChanges, compare: (*Change).compare,
	}
}
