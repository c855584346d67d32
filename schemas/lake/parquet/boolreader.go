package parquet

import (
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
)

// boolReader reads booleans value by value through parquet-go: data files have
// few of them.
type boolReader struct {
	*cursor
	mem        memory.Allocator
	out        *array.BooleanBuilder
	valuesPage parquet.Page // the page that values reads
	values     parquet.ValueReader
	next       int // row of the page that values reads next
	buffer     []parquet.Value
}

func (r *boolReader) Begin(rows int) {
	r.out = array.NewBooleanBuilder(r.mem)
	r.out.Reserve(rows)
}

// Read takes values of the page one by one, first those before the cursor,
// which are skipped: a page of booleans cannot be entered in the middle.
func (r *boolReader) Read(row int64, n int) error {
	return r.forEachPage(row, n, func(p pageRows) error {
		if p.values == 0 {
			r.out.AppendNulls(p.rows)
			return nil
		}
		if r.valuesPage != r.page {
			r.valuesPage, r.values, r.next = r.page, r.page.Values(), 0
		}
		for r.next < r.nextRow+p.rows {
			if cap(r.buffer) == 0 {
				r.buffer = make([]parquet.Value, 512)
			}
			want := r.nextRow + p.rows - r.next
			if r.next < r.nextRow {
				want = r.nextRow - r.next
			}
			got, err := r.values.ReadValues(r.buffer[:min(want, len(r.buffer))])
			if got == 0 {
				return fmt.Errorf("read truth values: %w", err)
			}
			r.appendValues(r.buffer[:got])
		}
		return nil
	})
}

// appendValues appends values, or skips them if they lie before the cursor.
func (r *boolReader) appendValues(values []parquet.Value) {
	skip := r.next < r.nextRow
	r.next += len(values)
	if skip {
		return
	}
	for _, v := range values {
		if v.IsNull() {
			r.out.AppendNull()
			continue
		}
		r.out.Append(v.Boolean())
	}
}

func (r *boolReader) Array() arrow.Array {
	out := r.out.NewArray()
	r.out.Release()
	r.out = nil
	return out
}

func (r *boolReader) Close() error {
	if r.out != nil {
		r.out.Release()
		r.out = nil
	}
	return r.cursor.close()
}
