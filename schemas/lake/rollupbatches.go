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

// DayBatches yields the client days of files that match f, in columns, and
// reads only the columns that wants names. A batch is valid until the next. The
// other rollups are read in the same way.
func (l *Lake) DayBatches(ctx context.Context, files []DataFile, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.DayBatch, error] {
	names := []string{columns.ClientID, colDay}
	return bindBatches(l.ScanRollup(ctx, ClientDays, files, requestedColumns(names, wants), f, columns.ClientID), func(rec arrow.Record, b *rollup.DayBatch) {
		bindDictionary(&b.Client, rec, 0, int64Values)
		b.Day = dayColumn(rec, 1)
		b.Sessions, b.RuntimeMS, b.Properties = bindRequested(b.Properties[:0], rec, len(names), wants)
		b.Product = requestedProduct(rec, wants)
	})
}

// ClientBatches yields the clients of files that match f, in columns, except
// for the times of f: clients have no time of their own to compare.
func (l *Lake) ClientBatches(ctx context.Context, files []DataFile, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.ClientBatch, error] {
	f.TimeFrom, f.TimeTo = 0, 0
	names := []string{columns.ClientID, colFirst, colLast}
	return bindBatches(l.ScanRollup(ctx, Clients, files, requestedColumns(names, wants), f), func(rec arrow.Record, b *rollup.ClientBatch) {
		b.Client = int64Column(rec, 0)
		b.First, b.Last = millisColumn(b.First[:0], rec, 1), millisColumn(b.Last[:0], rec, 2)
		b.Sessions, b.RuntimeMS, b.Properties = bindRequested(b.Properties[:0], rec, len(names), wants)
		b.Product = requestedProduct(rec, wants)
	})
}

// EventBatches yields the event days of files that match f, in columns.
func (l *Lake) EventBatches(ctx context.Context, files []DataFile, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.EventBatch, error] {
	names := []string{columns.ClientID, colDay, columns.Category, columns.Name, colCount}
	if wants&rollup.WantValues != 0 {
		names = append(names, colValueSum, colValueCount)
	}
	if wants&rollup.WantFirst != 0 {
		names = append(names, colFirst)
	}
	return bindBatches(l.ScanRollup(ctx, EventDays, files, names, f, columns.ClientID), func(rec arrow.Record, b *rollup.EventBatch) {
		bindDictionary(&b.Client, rec, 0, int64Values)
		b.Day, b.Count = dayColumn(rec, 1), int64Column(rec, 4)
		bindDictionary(&b.Category, rec, 2, stringValues)
		bindDictionary(&b.Name, rec, 3, stringValues)
		if wants&rollup.WantValues != 0 {
			b.ValueSum, b.ValueCount = columnAs[*array.Decimal128](rec, 5).Values(), int64Column(rec, 6)
		}
		if wants&rollup.WantFirst != 0 {
			b.First = millisColumn(b.First[:0], rec, len(names)-1)
		}
	})
}

// requestedColumns returns names and the columns of days and clients that wants
// asks for.
func requestedColumns(names []string, wants rollup.Wants) []string {
	names = slices.Clone(names)
	if wants&rollup.WantSums != 0 {
		names = append(names, colSessions, columns.RuntimeMS)
	}
	if wants&rollup.WantProperties != 0 {
		names = append(names, columns.Properties)
	}
	if wants&rollup.WantProduct != 0 {
		names = append(names, columns.ProductID) // the last one, see requestedProduct
	}
	return names
}

// bindRequested binds the columns that requestedColumns has added, of which
// column i is the first.
func bindRequested(to []string, rec arrow.Record, i int, wants rollup.Wants) (sessions, runtime []int64, properties []string) {
	if wants&rollup.WantSums != 0 {
		sessions, runtime = int64Column(rec, i), int64Column(rec, i+1)
		i += 2
	}
	if wants&rollup.WantProperties != 0 {
		properties = stringColumn(to, rec, i)
	}
	return sessions, runtime, properties
}

// requestedProduct returns the column of products; nil if wants does not ask for it.
func requestedProduct(rec arrow.Record, wants rollup.Wants) []int64 {
	if wants&rollup.WantProduct == 0 {
		return nil
	}
	return int64Column(rec, int(rec.NumCols())-1)
}

// bindBatches yields batches as bind makes them of records. It reuses one B.
func bindBatches[B any](records iter.Seq2[arrow.Record, error], bind func(arrow.Record, *B)) iter.Seq2[*B, error] {
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

// int64Column returns the values of a column without nulls, in the batch's
// memory.
func int64Column(rec arrow.Record, i int) []int64 {
	return columnAs[*array.Int64](rec, i).Int64Values()
}

// dayColumn returns the values of a column of dates, in the batch's memory.
func dayColumn(rec arrow.Record, i int) []int32 {
	return arrow.Int32Traits.CastFromBytes(arrow.Date32Traits.CastToBytes(columnAs[*array.Date32](rec, i).Date32Values()))
}

// millisColumn appends a column of timestamps, in milliseconds, to dst.
func millisColumn(dst []int64, rec arrow.Record, i int) []int64 {
	for _, t := range columnAs[*array.Timestamp](rec, i).TimestampValues() {
		dst = append(dst, toMillis(t))
	}
	return dst
}

// stringColumn appends a column of strings, in the batch's memory, to dst; null
// becomes "".
func stringColumn(dst []string, rec arrow.Record, i int) []string {
	strings := columnAs[*array.String](rec, i)
	for row := range strings.Len() {
		value := ""
		if strings.IsValid(row) {
			value = strings.Value(row)
		}
		dst = append(dst, value)
	}
	return dst
}

// bindDictionary binds a dictionary-encoded column. It converts the dictionary
// by values, and only if it is another one than that of the batch before:
// batches of a row group share one. Rows without a value have the code −1.
func bindDictionary[V comparable](dst *rollup.DictionaryColumn[V], rec arrow.Record, i int, values func(arrow.Array) []V) {
	rows := columnAs[*array.Dictionary](rec, i)
	if dictionary := rows.Data().Dictionary(); dst.DictionaryID != any(dictionary) {
		dst.DictionaryID, dst.Values = dictionary, values(rows.Dictionary())
	}
	codes, _ := rows.Indices().(*array.Int32)
	if dst.Codes = codes.Int32Values(); rows.NullN() == 0 {
		return
	}
	valid, first := rows.NullBitmapBytes(), rows.Offset()
	dst.Codes = slices.Clone(dst.Codes) // those of the batch are not ours to change
	for row := range dst.Codes {
		if bitutil.BitIsNotSet(valid, first+row) {
			dst.Codes[row] = -1
		}
	}
}

// int64Values returns the values of a dictionary of integers, in the batch's
// memory.
func int64Values(dictionary arrow.Array) []int64 {
	values, _ := dictionary.(*array.Int64)
	return values.Int64Values()
}

// stringValues returns the values of a dictionary of strings, in the batch's
// memory.
func stringValues(dictionary arrow.Array) []string {
	values, _ := dictionary.(*array.String)
	out := make([]string, values.Len())
	for code := range out {
		out[code] = values.Value(code)
	}
	return out
}
