package lake

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/iceberg-go"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// WriteRollups puts the rows of set as data files of tables, or of every rollup
// if no table is named. The rows of a rollup are deltas: a key may have one row
// per cut until a merge makes one of them.
func (l *Lake) WriteRollups(ctx context.Context, shard int32, set *rollup.Set, tables ...Table) (map[Table][]DataFile, error) {
	if len(tables) == 0 {
		tables = Rollups()
	}
	out := map[Table][]DataFile{}
	for _, t := range tables {
		st := l.tables[t]
		if st == nil || st.rollup == nil {
			return nil, fmt.Errorf("write rollups: %s is not a rollup", t)
		}
		files, err := st.rollup(ctx, l, t, shard, set)
		if err != nil {
			return nil, err
		}
		out[t] = files
	}
	return out, nil
}

// writeRollup returns the function that writes the rows of a set that rows
// selects.
func writeRollup[R any](format func() rowFormat[R], rows func(*rollup.Set) iter.Seq[*R]) rollupFunc {
	return func(ctx context.Context, l *Lake, t Table, shard int32, set *rollup.Set) ([]DataFile, error) {
		return writeRows(ctx, l, t, shard, format(), rows(set))
	}
}

// ScanClientDays yields the rows of files that match f. A key may come several
// times: merge its rows. A row is valid until the next, what its fields point
// to stays valid. The other rollups are scanned in the same way.
func (l *Lake) ScanClientDays(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[*rollup.ClientDay, error] {
	return decodeRows(l.ScanRollup(ctx, ClientDays, files, nil, f), readClientDays)
}

// ScanEventDays yields the rows of files that match f.
func (l *Lake) ScanEventDays(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[*rollup.EventDay, error] {
	return decodeRows(l.ScanRollup(ctx, EventDays, files, nil, f), readEventDays)
}

// ScanClients yields the rows of files that match f, except for its times:
// clients have no time of their own to compare.
func (l *Lake) ScanClients(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[*rollup.Client, error] {
	f.TimeFrom, f.TimeTo = 0, 0
	return decodeRows(l.ScanRollup(ctx, Clients, files, nil, f), readClients)
}

// clientDayRows returns the row format of client_days.
func clientDayRows() rowFormat[rollup.ClientDay] {
	return rowFormat[rollup.ClientDay]{
		before: func(r *rollup.ClientDay) int32 { return monthOfDay(r.Day) },
		append: func(b *batchBuilder, r *rollup.ClientDay, shard int32) {
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
		},
		read: readClientDays, compare: (*rollup.ClientDay).Compare, merge: (*rollup.ClientDay).Merge,
	}
}

// readClientDays binds the columns of client_days by position.
func readClientDays(rec arrow.Record) func(int, *rollup.ClientDay) error {
	product, client, day := columnAs[*array.Int64](rec, 0), columnAs[*array.Int64](rec, 1), columnAs[*array.Date32](rec, 2)
	events, sessions, runtime := columnAs[*array.Int64](rec, 3), columnAs[*array.Int64](rec, 4), columnAs[*array.Int64](rec, 5)
	first, last, properties := columnAs[*array.Timestamp](rec, 6), columnAs[*array.Timestamp](rec, 7), columnAs[*array.String](rec, 8)
	return func(i int, r *rollup.ClientDay) (err error) {
		*r = rollup.ClientDay{
			Product: product.Value(i), Client: client.Value(i), Day: int32(day.Value(i)),
			Events: events.Value(i), Sessions: sessions.Value(i), RuntimeMS: rollup.AddRuntime(0, runtime.Value(i)),
			First: toMillis(first.Value(i)), Last: toMillis(last.Value(i)),
		}
		r.Properties, err = propertiesAt(properties, i)
		return err
	}
}

// eventDayRows returns the row format of event_days.
func eventDayRows() rowFormat[rollup.EventDay] {
	return rowFormat[rollup.EventDay]{
		before: func(r *rollup.EventDay) int32 { return monthOfDay(r.Day) },
		append: func(b *batchBuilder, r *rollup.EventDay, shard int32) {
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
		},
		read: readEventDays, compare: (*rollup.EventDay).Compare, merge: (*rollup.EventDay).Merge,
	}
}

// readEventDays binds the columns of event_days by position.
func readEventDays(rec arrow.Record) func(int, *rollup.EventDay) error {
	product, client, day := columnAs[*array.Int64](rec, 0), columnAs[*array.Int64](rec, 1), columnAs[*array.Date32](rec, 2)
	category, name := newDictionaryStrings(rec, 3), newDictionaryStrings(rec, 4)
	count, sum, values := columnAs[*array.Int64](rec, 5), columnAs[*array.Decimal128](rec, 6), columnAs[*array.Int64](rec, 7)
	first := columnAs[*array.Timestamp](rec, 8)
	return func(i int, r *rollup.EventDay) error {
		*r = rollup.EventDay{
			Product: product.Value(i), Client: client.Value(i), Day: int32(day.Value(i)),
			Count: count.Value(i), ValueSum: sum.Value(i), ValueCount: values.Value(i), First: toMillis(first.Value(i)),
		}
		if rollup.IsOverflowed(r.ValueSum) {
			r.ValueSum = rollup.OverflowedValues() // a version before may have written more digits than the column has
		}
		r.Category, r.HasCategory = category.at(i)
		r.Name, _ = name.at(i)
		return nil
	}
}

// clientRows returns the row format of clients.
func clientRows() rowFormat[rollup.Client] {
	bucket := iceberg.BucketTransform{NumBuckets: clientBuckets}.Transformer(iceberg.PrimitiveTypes.Int64)
	return rowFormat[rollup.Client]{
		before: func(r *rollup.Client) int32 { return bucket(r.Client).Val },
		append: func(b *batchBuilder, r *rollup.Client, shard int32) {
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
		},
		read: readClients, compare: (*rollup.Client).Compare, merge: (*rollup.Client).Merge,
	}
}

// readClients binds the columns of clients by position. It leaves out the
// install day, which is the day of First.
func readClients(rec arrow.Record) func(int, *rollup.Client) error {
	product, client := columnAs[*array.Int64](rec, 0), columnAs[*array.Int64](rec, 1)
	first, last := columnAs[*array.Timestamp](rec, 3), columnAs[*array.Timestamp](rec, 4)
	events, sessions, runtime := columnAs[*array.Int64](rec, 5), columnAs[*array.Int64](rec, 6), columnAs[*array.Int64](rec, 7)
	properties := columnAs[*array.String](rec, 8)
	return func(i int, r *rollup.Client) (err error) {
		*r = rollup.Client{
			Product: product.Value(i), Client: client.Value(i),
			Events: events.Value(i), Sessions: sessions.Value(i), RuntimeMS: rollup.AddRuntime(0, runtime.Value(i)),
			First: toMillis(first.Value(i)), Last: toMillis(last.Value(i)),
		}
		r.Properties, err = propertiesAt(properties, i)
		return err
	}
}
