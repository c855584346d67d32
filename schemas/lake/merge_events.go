package lake

import (
	"cmp"
	"context"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
)

// eventRun is one data file of events being merged, standing at its next row.
type eventRun struct {
	next  func() (arrow.Record, error, bool)
	rec   arrow.Record // held by the merge
	view  columns.View
	row   int
	batch uint32 // index of rec in the batches that the merge holds
	day   int32  // of the row
}

// eventMerge merges events without making rows of them: it puts references to
// rows in order and hands them on with the batches they point to.
type eventMerge struct {
	out   *mergeOutput
	heap  heap[eventRun]
	held  []arrow.Record // what order points to
	order []rowRef
}

func (l *Lake) mergeEvents(ctx context.Context, out *mergeOutput, files []DataFile) error {
	m := &eventMerge{out: out, order: make([]rowRef, 0, mergeRows)}
	m.heap.less = func(a, b *eventRun) bool { return a.compare(b) < 0 }
	defer m.release(0)
	for _, f := range files {
		next, stop := iter.Pull2(l.batchesOf(ctx, Events, f, len(files)))
		defer stop()
		r := &eventRun{next: next}
		more, err := m.advance(r)
		if err != nil {
			return err
		}
		if more {
			m.heap.push(r)
		}
	}
	for len(m.heap.items) > 0 {
		if err := m.step(ctx); err != nil {
			return err
		}
	}
	return m.flush(ctx)
}

func (r *eventRun) compare(o *eventRun) int {
	a, b := &r.view, &o.view
	return cmp.Or(
		cmp.Compare(a.Product[r.row], b.Product[o.row]), cmp.Compare(r.day, o.day),
		cmp.Compare(a.Client[r.row], b.Client[o.row]), cmp.Compare(a.Time[r.row], b.Time[o.row]),
		cmp.Compare(a.Offset[r.row], b.Offset[o.row]))
}

// step takes the least row.
func (m *eventMerge) step(ctx context.Context) error {
	r := m.heap.items[0]
	m.order = append(m.order, rowRef{batch: r.batch, row: uint32(r.row)})
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
	m.heap.settle(more)
	if len(m.order) == mergeRows {
		return m.flush(ctx)
	}
	return nil
}

// advance brings r to its next batch. The one before stays until it is written.
func (m *eventMerge) advance(r *eventRun) (more bool, err error) {
	rec, err, ok := r.next()
	if err != nil || !ok {
		return false, err
	}
	if r.view, err = columns.Bind(rec); err != nil {
		return false, err
	}
	rec.Retain()
	r.rec, r.row, r.batch = rec, 0, uint32(len(m.held))
	r.day = dayOfMicros(int64(r.view.Time[0]))
	m.held = append(m.held, rec)
	return true, nil
}

// flush writes the rows in order and lets go of batches that have been used
// up.
func (m *eventMerge) flush(ctx context.Context) error {
	if err := m.out.write(ctx, m.held, m.order); err != nil {
		return err
	}
	m.order = m.order[:0]
	used := len(m.held)
	for _, r := range m.heap.items {
		r.rec.Retain()
		r.batch = uint32(len(m.held) - used)
		m.held = append(m.held, r.rec)
	}
	m.release(used)
	return nil
}

// release lets go of the first n batches, or of all for 0.
func (m *eventMerge) release(n int) {
	if n == 0 {
		n = len(m.held)
	}
	for _, rec := range m.held[:n] {
		rec.Release()
	}
	m.held = append(m.held[:0], m.held[n:]...)
}
