package lake

import (
	"context"
	"iter"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// DayBatches yields the client days of files that f asks for, in columns.
// Properties are read if asked for. A batch is valid until the next; so with
// the other rollups.
func (l *Lake) DayBatches(ctx context.Context, files []DataFile, f Filter, properties bool) iter.Seq2[*rollup.DayBatch, error] {
	names := []string{columns.ClientID, colDay, colSessions, columns.RuntimeMS}
	return batchesOf(l.ScanRollup(ctx, ClientDays, files, withProperties(names, properties), f), func(rec arrow.Record, b *rollup.DayBatch) {
		b.Client, b.Day = int64sOf(rec, 0), daysOf(rec, 1)
		b.Sessions, b.RuntimeMS = int64sOf(rec, 2), int64sOf(rec, 3)
		b.Properties = textsOf(b.Properties[:0], rec, len(names))
	})
}

// ClientBatches yields the clients' lives of files that f asks for, in columns;
// its times ask nothing of clients.
func (l *Lake) ClientBatches(ctx context.Context, files []DataFile, f Filter, properties bool) iter.Seq2[*rollup.ClientBatch, error] {
	f.TimeFrom, f.TimeTo = 0, 0
	names := []string{columns.ClientID, colFirst, colLast, colSessions, columns.RuntimeMS}
	return batchesOf(l.ScanRollup(ctx, Clients, files, withProperties(names, properties), f), func(rec arrow.Record, b *rollup.ClientBatch) {
		b.Client = int64sOf(rec, 0)
		b.First, b.Last = millisOf(b.First[:0], rec, 1), millisOf(b.Last[:0], rec, 2)
		b.Sessions, b.RuntimeMS = int64sOf(rec, 3), int64sOf(rec, 4)
		b.Properties = textsOf(b.Properties[:0], rec, len(names))
	})
}

// What an EventBatch may have besides.
const (
	EventValues = 1 << iota // ValueSum and ValueCount
	EventFirst              // First
)

// EventBatches yields the event days of files that f asks for, in columns.
func (l *Lake) EventBatches(ctx context.Context, files []DataFile, f Filter, besides int) iter.Seq2[*rollup.EventBatch, error] {
	names := []string{columns.ClientID, colDay, columns.Category, columns.Name, colCount}
	if besides&EventValues != 0 {
		names = append(names, colValueSum, colValueCount)
	}
	if besides&EventFirst != 0 {
		names = append(names, colFirst)
	}
	return batchesOf(l.ScanRollup(ctx, EventDays, files, names, f), func(rec arrow.Record, b *rollup.EventBatch) {
		b.Client, b.Day, b.Count = int64sOf(rec, 0), daysOf(rec, 1), int64sOf(rec, 4)
		codedOf(&b.Category, rec, 2)
		codedOf(&b.Name, rec, 3)
		if besides&EventValues != 0 {
			b.ValueSum, b.ValueCount = cell[*array.Decimal128](rec, 5).Values(), int64sOf(rec, 6)
		}
		if besides&EventFirst != 0 {
			b.First = millisOf(b.First[:0], rec, len(names)-1)
		}
	})
}

func withProperties(names []string, properties bool) []string {
	if !properties {
		return names
	}
	return append(slices.Clone(names), columns.Properties)
}

// batchesOf yields batches as bind makes them of records.
func batchesOf[B any](records iter.Seq2[arrow.Record, error], bind func(arrow.Record, *B)) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		var b B
		for rec, err := range records {
			if err != nil {
				yield(nil, err)
				return
			}
			bind(rec, &b)
			if !yield(&b, nil) {
				return
			}
		}
	}
}

func int64sOf(rec arrow.Record, i int) []int64 { return cell[*array.Int64](rec, i).Int64Values() }

func daysOf(rec arrow.Record, i int) []int32 {
	return arrow.Int32Traits.CastFromBytes(arrow.Date32Traits.CastToBytes(cell[*array.Date32](rec, i).Date32Values()))
}

func millisOf(to []int64, rec arrow.Record, i int) []int64 {
	for _, t := range cell[*array.Timestamp](rec, i).TimestampValues() {
		to = append(to, milli(t))
	}
	return to
}

// textsOf reads a column that may be absent: nil then.
func textsOf(to []string, rec arrow.Record, i int) []string {
	if i >= int(rec.NumCols()) {
		return nil
	}
	texts := cell[*array.String](rec, i)
	for row := range texts.Len() {
		text := ""
		if texts.IsValid(row) {
			text = texts.Value(row)
		}
		to = append(to, text)
	}
	return to
}

// codedOf reads a coded column; rows without a value have the code −1.
func codedOf(to *rollup.Coded, rec arrow.Record, i int) {
	rows := cell[*array.Dictionary](rec, i)
	codes, _ := rows.Indices().(*array.Int32)
	values, _ := rows.Dictionary().(*array.String)
	to.Values = to.Values[:0]
	for code := range min(values.Len(), math.MaxInt32) {
		to.Values = append(to.Values, values.Value(code))
	}
	if rows.NullN() == 0 {
		to.Codes = codes.Int32Values()
		return
	}
	own := make([]int32, rows.Len())
	for row, code := range codes.Int32Values() {
		own[row] = code
		if rows.IsNull(row) {
			own[row] = -1
		}
	}
	to.Codes = own
}
