package lake

import (
	"context"
	"iter"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/lake/parquet"
	"weir/schemas/rollup"
)

// batchRows is how many rows of a rowFormat become one batch.
const batchRows = 8 << 10

// rowFormat turns Go values into rows of one table and back. Every table except
// events has one; events stay in columns from the shard to the data file.
type rowFormat[R any] struct {
	arrival func(r *R) int64                               // log time, by which runs are divided; nil: they are not
	before  func(r *R) int32                               // value of the partition field before runs
	append  func(b *batchBuilder, r *R, shard int32)       // appends one cell for each column, in their order
	read    func(rec arrow.Record) func(i int, r *R) error // binds a batch and returns the reader of its row i
	compare func(a, b *R) int                              // order of the rows of a data file
	merge   func(into, from *R)                            // makes one row of two that compare equal; nil: rows stay apart
}

// writeRows puts rows, which must come in the sort order of the table, as one
// data file for each partition.
func writeRows[R any](ctx context.Context, l *Lake, t Table, shard int32, format rowFormat[R], rows iter.Seq[*R]) ([]DataFile, error) {
	by := l.tables[t].division()
	b := newBatchBuilder(l.tables[t].columns, memory.DefaultAllocator)
	defer b.release()
	var batches []arrow.Record
	defer func() {
		for _, rec := range batches {
			rec.Release()
		}
	}()
	fileOf := map[int32]int{} // partition → index in files
	var files []fileContent
	for r := range rows {
		if b.rows == batchRows {
			batches = append(batches, b.newRecord())
		}
		ref := parquet.RowRef{Batch: uint32(len(batches)), Row: uint32(b.rows)}
		format.append(b, r, shard)
		b.endRow()
		partition := format.partition(r, &by)
		i, known := fileOf[partition]
		if !known {
			i = len(files)
			fileOf[partition], files = i, append(files, fileContent{partition: partition})
		}
		files[i].rows = append(files[i].rows, ref)
	}
	batches = append(batches, b.newRecord())
	return l.writeFiles(ctx, t, shard, &by, batches, files)
}

// partition returns the value of the partition field of r.
func (f *rowFormat[R]) partition(r *R, by *division) int32 {
	switch {
	case !by.runs:
		return f.before(r)
	case f.arrival == nil:
		return 0
	}
	return MonthOf(f.arrival(r))
}

// pointers yields a pointer to each of rows.
func pointers[R any](rows []R) iter.Seq[*R] {
	return func(yield func(*R) bool) {
		for i := range rows {
			if !yield(&rows[i]) {
				return
			}
		}
	}
}

// decodeRows yields the rows of batches; bind returns the reader of row i of a
// batch. It reuses one R, so a row is valid until the next.
func decodeRows[R any](batches iter.Seq2[arrow.Record, error], bind func(arrow.Record) func(i int, into *R) error) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		var row R
		for rec, err := range batches {
			if err != nil {
				yield(nil, err)
				return
			}
			read := bind(rec)
			for i := range int(rec.NumRows()) {
				if err := read(i, &row); err != nil {
					yield(nil, err)
					return
				}
				if !yield(&row, nil) {
					return
				}
			}
		}
	}
}

// columnAs returns column i of a batch that newScanner made for all columns of
// the table, so that its type is known.
func columnAs[A arrow.Array](rec arrow.Record, i int) A {
	a, _ := rec.Column(i).(A) // newScanner made the schema
	return a
}

// propertiesAt parses the properties of row i. It copies the string first,
// since parsed values point into it and the batch's memory is reused.
func propertiesAt(a *array.String, i int) (rollup.Properties, error) {
	if a.IsNull(i) {
		return nil, nil
	}
	p, err := rollup.ParseProperties(strings.Clone(a.Value(i)))
	return p.Bounded(), err // a version before wrote every property
}

// toMillis converts microseconds to milliseconds, rounding towards the past.
func toMillis(t arrow.Timestamp) int64 {
	ms := int64(t) / 1000
	if t%1000 < 0 {
		ms--
	}
	return ms
}

// dictionaryStrings reads a dictionary-encoded column. It copies each value out
// of the batch once, however many rows have it.
type dictionaryStrings struct {
	rows   *array.Dictionary
	codes  []int32
	values *array.String
	copies []string // by code; "" until a row has it
}

// newDictionaryStrings binds column i, which must be dictionary-encoded.
func newDictionaryStrings(rec arrow.Record, i int) *dictionaryStrings {
	rows := columnAs[*array.Dictionary](rec, i)
	codes, _ := rows.Indices().(*array.Int32)
	values, _ := rows.Dictionary().(*array.String)
	return &dictionaryStrings{rows: rows, codes: codes.Int32Values(), values: values, copies: make([]string, values.Len())}
}

// at returns the value of row i, and whether it has one.
func (t *dictionaryStrings) at(i int) (string, bool) {
	if t.rows.IsNull(i) {
		return "", false
	}
	code := t.codes[i]
	if t.copies[code] == "" {
		t.copies[code] = strings.Clone(t.values.Value(int(code)))
	}
	return t.copies[code], true
}
