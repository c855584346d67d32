package lake

import (
	"context"
	"iter"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// DayBatches yields the client days of files that f asks for, in columns, and
// reads those that are wanted alone. A batch is valid until the next; so with
// the other rollups.
func (l *Lake) DayBatches(ctx context.Context, files []DataFile, f Filter, wants rollup.Wants) iter.Seq2[*rollup.DayBatch, error] {
	names := []string{columns.ClientID, colDay}
	return batchesOf(l.ScanRollup(ctx, ClientDays, files, withWanted(names, wants), f, columns.ClientID), func(rec arrow.Record, b *rollup.DayBatch) {
		codedOf(&b.Client, rec, 0, int64sIn)
		b.Day = daysOf(rec, 1)
		b.Sessions, b.RuntimeMS, b.Properties = wantedOf(b.Properties[:0], rec, len(names), wants)
	})
}

// ClientBatches yields the clients' lives of files that f asks for, in columns;
// its times ask nothing of clients.
func (l *Lake) ClientBatches(ctx context.Context, files []DataFile, f Filter, wants rollup.Wants) iter.Seq2[*rollup.ClientBatch, error] {
	f.TimeFrom, f.TimeTo = 0, 0
	names := []string{columns.ClientID, colFirst, colLast}
	return batchesOf(l.ScanRollup(ctx, Clients, files, withWanted(names, wants), f), func(rec arrow.Record, b *rollup.ClientBatch) {
		b.Client = int64sOf(rec, 0)
		b.First, b.Last = millisOf(b.First[:0], rec, 1), millisOf(b.Last[:0], rec, 2)
		b.Sessions, b.RuntimeMS, b.Properties = wantedOf(b.Properties[:0], rec, len(names), wants)
	})
}

// EventBatches yields the event days of files that f asks for, in columns.
func (l *Lake) EventBatches(ctx context.Context, files []DataFile, f Filter, wants rollup.Wants) iter.Seq2[*rollup.EventBatch, error] {
	names := []string{columns.ClientID, colDay, columns.Category, columns.Name, colCount}
	if wants&rollup.WantValues != 0 {
		names = append(names, colValueSum, colValueCount)
	}
	if wants&rollup.WantFirst != 0 {
		names = append(names, colFirst)
	}
	return batchesOf(l.ScanRollup(ctx, EventDays, files, names, f, columns.ClientID), func(rec arrow.Record, b *rollup.EventBatch) {
		codedOf(&b.Client, rec, 0, int64sIn)
		b.Day, b.Count = daysOf(rec, 1), int64sOf(rec, 4)
		codedOf(&b.Category, rec, 2, textsIn)
		codedOf(&b.Name, rec, 3, textsIn)
		if wants&rollup.WantValues != 0 {
			b.ValueSum, b.ValueCount = cell[*array.Decimal128](rec, 5).Values(), int64sOf(rec, 6)
		}
		if wants&rollup.WantFirst != 0 {
			b.First = millisOf(b.First[:0], rec, len(names)-1)
		}
	})
}

// withWanted are names and what is wanted of days and clients.
func withWanted(names []string, wants rollup.Wants) []string {
	names = slices.Clone(names)
	if wants&rollup.WantSums != 0 {
		names = append(names, colSessions, columns.RuntimeMS)
	}
	if wants&rollup.WantProperties != 0 {
		names = append(names, columns.Properties)
	}
	return names
}

// wantedOf are the columns of withWanted, of which the first is column i.
func wantedOf(to []string, rec arrow.Record, i int, wants rollup.Wants) (sessions, runtime []int64, properties []string) {
	if wants&rollup.WantSums != 0 {
		sessions, runtime = int64sOf(rec, i), int64sOf(rec, i+1)
		i += 2
	}
	if wants&rollup.WantProperties != 0 {
		properties = textsOf(to, rec, i)
	}
	return sessions, runtime, properties
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

func textsOf(to []string, rec arrow.Record, i int) []string {
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

// codedOf reads a coded column, whose dictionary values reads; rows without a
// value have the code −1.
func codedOf[V comparable](to *rollup.Coded[V], rec arrow.Record, i int, values func(arrow.Array) []V) {
	rows := cell[*array.Dictionary](rec, i)
	if of := rows.Data().Dictionary(); to.Of != any(of) {
		to.Of, to.Values = of, values(rows.Dictionary())
	}
	codes, _ := rows.Indices().(*array.Int32)
	if to.Codes = codes.Int32Values(); rows.NullN() == 0 {
		return
	}
	there, from := rows.NullBitmapBytes(), rows.Offset()
	to.Codes = slices.Clone(to.Codes)
	for row := range to.Codes {
		if bitutil.BitIsNotSet(there, from+row) {
			to.Codes[row] = -1
		}
	}
}

func int64sIn(dictionary arrow.Array) []int64 {
	values, _ := dictionary.(*array.Int64)
	return values.Int64Values()
}

func textsIn(dictionary arrow.Array) []string {
	values, _ := dictionary.(*array.String)
	out := make([]string, values.Len())
	for code := range out {
		out[code] = values.Value(code)
	}
	return out
}
