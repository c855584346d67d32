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

// batchRows is how many rows of a rollup become one batch.
const batchRows = 8 << 10

// rowFormat turns Go values into rows of one table and back. Every table but
// events has one; events stay in columns.
type rowFormat[R any] struct {
	partition func(r *R) int32                               // the value of the table's partition field
	append    func(b *batchBuilder, r *R, shard int32)       // appends the cells of a row, in the order of the columns
	read      func(rec arrow.Record) func(i int, r *R) error // binds a batch and returns what reads its row i
	compare   func(a, b *R) int                              // order of the rows of a data file
	merge     func(into, from *R)                            // makes one row of two that compare equal; nil: rows stay apart
}

// writeRows puts rows, which come in the order of the table, as one data file
// for each partition.
func writeRows[R any](ctx context.Context, l *Lake, t Table, shard int32, format rowFormat[R], rows iter.Seq[*R]) ([]DataFile, error) {
	b := newBatchBuilder(l.tables[t].columns, memory.DefaultAllocator)
	defer b.release()
	var batches []arrow.Record
	defer func() {
		for _, rec := range batches {
			rec.Release()
		}
	}()
	fileOf := map[int32]int{} // partition → index in parts
	var files []fileContent
	for r := range rows {
		if b.rows == batchRows {
			batches = append(batches, b.newRecord())
		}
		ref := parquet.RowRef{Batch: uint32(len(batches)), Row: uint32(b.rows)}
		format.append(b, r, shard)
		b.endRow()
		partition := format.partition(r)
		i, known := fileOf[partition]
		if !known {
			i = len(files)
			fileOf[partition], files = i, append(files, fileContent{partition: partition})
		}
		files[i].rows = append(files[i].rows, ref)
	}
	batches = append(batches, b.newRecord())
	return l.writeFiles(ctx, t, shard, batches, files)
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

// decodeRows yields the rows of batches; bind returns what reads row i of one.
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

// columnAs is column i of a batch of the table's own schema.
func columnAs[A arrow.Array](rec arrow.Record, i int) A {
	a, _ := rec.Column(i).(A) // newScanner made the schema
	return a
}

func propertiesAt(a *array.String, i int) (rollup.Properties, error) {
	if a.IsNull(i) {
		return nil, nil
	}
	return rollup.ParseProperties(strings.Clone(a.Value(i)))
}

func toMillis(t arrow.Timestamp) int64 {
	ms := int64(t) / 1000
	if t%1000 < 0 {
		ms--
	}
	return ms
}

// dictionaryStrings reads a coded column; each value is copied out of the batch once.
type dictionaryStrings struct {
	rows   *array.Dictionary
	codes  []int32
	values *array.String
	copies []string // by code; "" until asked for
}

func newDictionaryStrings(rec arrow.Record, i int) *dictionaryStrings {
	rows := columnAs[*array.Dictionary](rec, i)
	codes, _ := rows.Indices().(*array.Int32)
	values, _ := rows.Dictionary().(*array.String)
	return &dictionaryStrings{rows: rows, codes: codes.Int32Values(), values: values, copies: make([]string, values.Len())}
}

// at is the value of row i, and whether it has one.
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
