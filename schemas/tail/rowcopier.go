package tail

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

const (
	batchRows  = 16 << 10 // rows after which a batch on the wire is closed
	batchBytes = 4 << 20  // bytes after which it is closed
)

// rowCopier copies rows of many batches into batches of its own, whose dictionaries
// hold only the values that those rows use.
type rowCopier struct {
	b     *array.RecordBuilder
	rows  int
	bytes int
}

func newRowCopier(schema *arrow.Schema, mem memory.Allocator) *rowCopier {
	return &rowCopier{b: array.NewRecordBuilder(mem, schema)}
}

func (c *rowCopier) release() { c.b.Release() }

// add copies the selected rows of b and yields each batch that is full. It reports
// whether to go on.
func (c *rowCopier) add(b selectedRows, yield func(arrow.Record, error) bool) bool {
	for rows := b.rows; len(rows) > 0; {
		// Copy few rows at a time, so that large ones cannot exceed batchBytes by much.
		n := min(len(rows), 32, batchRows-c.rows)
		for i, col := range b.columns {
			size, err := appendRows(c.b.Field(i), col, rows[:n])
			if err != nil {
				yield(nil, err)
				return false
			}
			c.bytes += size
		}
		c.rows += n
		rows = rows[n:]
		if (c.rows >= batchRows || c.bytes >= batchBytes) && !c.flush(yield) {
			return false
		}
	}
	return true
}

// flush yields the rows copied so far, if any.
func (c *rowCopier) flush(yield func(arrow.Record, error) bool) bool {
	if c.rows == 0 {
		return true
	}
	rec := c.b.NewRecord()
	defer rec.Release()
	c.rows, c.bytes = 0, 0
	// Without ResetFull the builder would carry the dictionary over to the next batch.
	for _, field := range c.b.Fields() {
		if d, ok := field.(array.DictionaryBuilder); ok {
			d.ResetFull()
		}
	}
	return yield(rec, nil)
}

// appendRows copies rows of col to b and returns their approximate size in bytes.
func appendRows(b array.Builder, col arrow.Array, rows []int32) (int, error) {
	switch b := b.(type) {
	case *array.Int64Builder:
		return appendFixed(b, col, rows)
	case *array.Int32Builder:
		return appendFixed(b, col, rows)
	case *array.TimestampBuilder:
		return appendFixed(b, col, rows)
	case *array.BooleanBuilder:
		return appendFixed(b, col, rows)
	case *array.Decimal128Builder:
		return appendFixed(b, col, rows)
	case *array.StringBuilder:
		return appendStrings(col, rows, b.Append, b.AppendNull)
	case *array.BinaryDictionaryBuilder:
		var failed error
		n, err := appendStrings(col, rows, func(s string) {
			if err := b.AppendString(s); err != nil {
				failed = err
			}
		}, b.AppendNull)
		if failed != nil {
			return 0, failed
		}
		return n, err
	}
	return 0, fmt.Errorf("tail batch: no way to copy %s", b.Type())
}

// fixedBuilder is a builder of values of fixed size; fixedArray is its counterpart
// for reading.
type fixedBuilder[T any] interface {
	array.Builder
	Append(v T)
}

type fixedArray[T any] interface {
	arrow.Array
	Value(i int) T
}

func appendFixed[T any](b fixedBuilder[T], col arrow.Array, rows []int32) (int, error) {
	from, ok := col.(fixedArray[T])
	if !ok {
		return 0, fmt.Errorf("tail batch: column is %s, want %s", col.DataType(), b.Type())
	}
	for _, row := range rows {
		if from.IsNull(int(row)) {
			b.AppendNull()
			continue
		}
		b.Append(from.Value(int(row)))
	}
	return 16 * len(rows), nil
}

// appendStrings reads a plain or a dictionary-encoded column of strings.
func appendStrings(col arrow.Array, rows []int32, add func(string), addNull func()) (int, error) {
	value, err := stringAt(col)
	if err != nil {
		return 0, err
	}
	size := 8 * len(rows)
	for _, row := range rows {
		if col.IsNull(int(row)) {
			addNull()
			continue
		}
		s := value(int(row))
		size += len(s)
		add(s)
	}
	return size, nil
}

func stringAt(col arrow.Array) (func(int) string, error) {
	switch col := col.(type) {
	case *array.String:
		return col.Value, nil
	case *array.Dictionary:
		if dict, ok := col.Dictionary().(*array.String); ok {
			return func(i int) string { return dict.Value(col.GetValueIndex(i)) }, nil
		}
	}
	return nil, fmt.Errorf("tail batch: column is %s, want strings", col.DataType())
}
