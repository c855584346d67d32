package lake

import (
	"cmp"
	"context"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

// eventInput is one data file of events being merged, at its next row.
type eventInput struct {
	next       func() (arrow.Record, error, bool)
	rec        arrow.Record // retained by eventMerge.batches
	view       columns.View
	row        int
	batchIndex uint32 // index of rec in eventMerge.batches
	day        int32  // of the row
}

// eventMerge merges events without making Go values of them: it puts references
// to rows in order and passes them to the encoder with the batches they refer
// to.
type eventMerge struct {
	out     *mergeOutput
	inputs  mergeHeap[eventInput]
	batches []arrow.Record // retained; rows refer to them
	rows    []parquet.RowRef
}

// mergeEvents merges files of events row by row: the least row of all files is
// always the next. It holds a batch of each file, and those before it whose
// rows are not yet written.
func mergeEvents(ctx context.Context, l *Lake, out *mergeOutput, files []DataFile) error {
	m := &eventMerge{out: out, rows: make([]parquet.RowRef, 0, mergeBatchRows)}
	m.inputs.less = func(a, b *eventInput) bool { return a.compare(b) < 0 }
	defer m.release(0)
	for _, f := range files {
		next, stop := iter.Pull2(l.fileBatches(ctx, out, f, len(files)))
		defer stop()
		r := &eventInput{next: next}
		more, err := m.advance(r)
		if err != nil {
			return err
		}
		if more {
			m.inputs.add(r)
		}
	}
	for len(m.inputs.items) > 0 {
		if err := m.step(ctx); err != nil {
			return err
		}
	}
	return m.flush(ctx)
}

// compare is the sort order of events.
func (r *eventInput) compare(o *eventInput) int {
	a, b := &r.view, &o.view
	return cmp.Or(
		cmp.Compare(a.Product[r.row], b.Product[o.row]), cmp.Compare(r.day, o.day),
		cmp.Compare(a.Client[r.row], b.Client[o.row]), cmp.Compare(a.Time[r.row], b.Time[o.row]),
		cmp.Compare(a.Offset[r.row], b.Offset[o.row]))
}

// step appends the least row of all inputs.
func (m *eventMerge) step(ctx context.Context) error {
	r := m.inputs.items[0]
	m.rows = append(m.rows, parquet.RowRef{Batch: r.batchIndex, Row: uint32(r.row)})
	r.row++
	more := true
	if r.row < r.view.Rows {
		r.day = dayOfMicros(int64(r.view.Time[r.row]))
	} else {
		var err error
		if more, err = m.advance(r); err != nil {
			return err
		}
	}
	m.inputs.fixFirst(more)
	if len(m.rows) == mergeBatchRows {
		return m.flush(ctx)
	}
	return nil
}

// advance reads the next batch of r. The batch before stays until its rows are
// written.
func (m *eventMerge) advance(r *eventInput) (more bool, err error) {
	rec, err, ok := r.next()
	if err != nil || !ok {
		return false, err
	}
	if r.view, err = columns.Bind(rec); err != nil {
		return false, err
	}
	rec.Retain()
	r.rec, r.row, r.batchIndex = rec, 0, uint32(len(m.batches))
	r.day = dayOfMicros(int64(r.view.Time[0]))
	m.batches = append(m.batches, rec)
	return true, nil
}

// flush writes rows and releases the batches that no input is at any more.
func (m *eventMerge) flush(ctx context.Context) error {
	if err := m.out.write(ctx, m.batches, m.rows); err != nil {
		return err
	}
	m.rows = m.rows[:0]
	used := len(m.batches)
	for _, r := range m.inputs.items {
		r.rec.Retain()
		r.batchIndex = uint32(len(m.batches) - used)
		m.batches = append(m.batches, r.rec)
	}
	m.release(used)
	return nil
}

// release releases the first n batches, or all for 0.
func (m *eventMerge) release(n int) {
	if n == 0 {
		n = len(m.batches)
	}
	for _, rec := range m.batches[:n] {
		rec.Release()
	}
	m.batches = append(m.batches[:0], m.batches[n:]...)
}
