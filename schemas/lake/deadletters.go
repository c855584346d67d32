package lake

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"weir/schemas/columns"
)

// DeadLetter is a record that could not be decoded. The shard moves on past it;
// the record stays here with the reason, for repair.
type DeadLetter struct {
	Shard   int32
	Offset  int64
	Arrival int64  // log time; epoch milliseconds
	Reason  string // why it could not be decoded
	Key     []byte
	Value   []byte
}

// WriteDeadLetters puts letters, all of one shard, as one data file for each
// month of arrival.
func (l *Lake) WriteDeadLetters(ctx context.Context, shard int32, letters []DeadLetter) ([]DataFile, error) {
	letters = slices.Clone(letters)
	slices.SortFunc(letters, func(a, b DeadLetter) int { return cmp.Compare(a.Offset, b.Offset) })
	return writeRows(ctx, l, DeadLetters, shard, deadLetterRows(), pointers(letters))
}

// ReadDeadLetters yields the rows of files that match f. A row stays valid.
func (l *Lake) ReadDeadLetters(ctx context.Context, files []DataFile, f columns.Filter) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		for r, err := range decodeRows(l.scan(ctx, DeadLetters, files, nil, f), readDeadLetters) {
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			if !yield(*r, nil) {
				return
			}
		}
	}
}

// deadLetterRows returns the row format of dead_letters.
func deadLetterRows() rowFormat[DeadLetter] {
	return rowFormat[DeadLetter]{
		arrival: func(r *DeadLetter) int64 { return r.Arrival },
		before:  func(r *DeadLetter) int32 { return MonthOf(r.Arrival) },
		append: func(b *batchBuilder, r *DeadLetter, _ int32) {
			b.appendInt32(r.Shard)
			b.appendInt64(r.Offset)
			b.appendTimestamp(r.Arrival)
			b.appendDictionary(strings.ToValidUTF8(r.Reason, "\uFFFD"), true)
			b.appendBinary(r.Key)
			b.appendBinary(r.Value)
		},
		read: readDeadLetters, compare: compareOffsets,
	}
}

// compareOffsets is the order of the rows of a data file.
func compareOffsets(a, b *DeadLetter) int { return cmp.Compare(a.Offset, b.Offset) }

// readDeadLetters binds the columns of dead_letters by position. Its rows own
// their bytes.
func readDeadLetters(rec arrow.Record) func(int, *DeadLetter) error {
	shard, offset, arrival := columnAs[*array.Int32](rec, 0), columnAs[*array.Int64](rec, 1), columnAs[*array.Timestamp](rec, 2)
	reason, key, value := newDictionaryStrings(rec, 3), columnAs[*array.Binary](rec, 4), columnAs[*array.Binary](rec, 5)
	return func(i int, r *DeadLetter) error {
		*r = DeadLetter{Shard: shard.Value(i), Offset: offset.Value(i), Arrival: toMillis(arrival.Value(i))}
		r.Reason, _ = reason.at(i)
		if key.IsValid(i) {
			r.Key = bytes.Clone(key.Value(i))
		}
		if value.IsValid(i) {
			r.Value = bytes.Clone(value.Value(i))
		}
		return nil
	}
}
