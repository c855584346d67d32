package export

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
)

// heldRows are the events of some products that arrived in a period, in memory: they
// are read once, and all files of these products are written of them. They belong to
// one goroutine at a time; release frees them.
type heldRows struct {
	period  Period
	batches []heldBatch
	runs    map[int64][]heldRun // by product, in the order of the scan
	bytes   int64
	buffers map[*memory.Buffer]struct{} // counted in bytes: batches share dictionaries
}

// heldBatch is a batch of a scan.
type heldBatch struct {
	rec    arrow.Record
	view   columns.View
	byCode map[*clientObjects][]*propertySet // what its dictionary of $client says, as far as it was read
}

// heldRun is neighbouring rows of one product; to is not included.
type heldRun struct{ batch, from, to int }

func newHeldRows(period Period) *heldRows {
	return &heldRows{period: period, runs: map[int64][]heldRun{}, buffers: map[*memory.Buffer]struct{}{}}
}

// size is the memory that is held, in bytes.
func (h *heldRows) size() int64 {
	if h == nil {
		return 0
	}
	return h.bytes
}

func (h *heldRows) release() {
	for _, b := range h.batches {
		b.rec.Release()
	}
}

// read holds the batches of a scan, until they need more than maxBytes.
func (h *heldRows) read(events iter.Seq2[arrow.Record, error], maxBytes int64) error {
	for rec, err := range events {
		if err == nil {
			err = h.add(rec)
		}
		if err != nil {
			return err
		}
		if h.bytes > maxBytes {
			return errFull
		}
	}
	return nil
}

func (h *heldRows) add(rec arrow.Record) error {
	view, err := columns.Bind(rec)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	rec.Retain()
	h.batches = append(h.batches, heldBatch{rec, view, map[*clientObjects][]*propertySet{}})
	for _, c := range rec.Columns() {
		h.count(c.Data())
	}
	h.bytes += 16 * int64(view.ClientProps.DictionaryLen()) // byCode of two clientObjects
	for i := 0; i < view.Rows; {
		product, end := view.Product[i], i+1
		for end < view.Rows && view.Product[end] == product {
			end++
		}
		h.runs[product] = append(h.runs[product], heldRun{len(h.batches) - 1, i, end})
		i = end
	}
	return nil
}

// count adds the buffers of data to bytes.
func (h *heldRows) count(data arrow.ArrayData) {
	for _, b := range data.Buffers() {
		if _, counted := h.buffers[b]; b != nil && !counted {
			h.buffers[b] = struct{}{}
			h.bytes += int64(b.Cap())
		}
	}
	if data.DataType().ID() == arrow.DICTIONARY {
		h.count(data.Dictionary())
	}
}

// each calls do for the runs of a product, with rows of which v is used for the
// properties of clients.
func (h *heldRows) each(product int64, v *clientValues, do func(rows *Rows, from, to int) error) error {
	var rows *Rows
	last := -1
	for _, run := range h.runs[product] {
		if run.batch != last {
			rows, last = h.use(run.batch, v), run.batch
		}
		if err := do(rows, run.from, run.to); err != nil {
			return err
		}
	}
	return nil
}

// use makes a batch the one that v reads.
func (h *heldRows) use(batch int, v *clientValues) *Rows {
	b := &h.batches[batch]
	known := b.byCode[v.objects]
	if known == nil {
		known = make([]*propertySet, b.view.ClientProps.DictionaryLen())
		b.byCode[v.objects] = known
	}
	v.objects.byCode = known
	return &Rows{View: b.view, values: v}
}

// find adds the rows of a file to v.
func (h *heldRows) find(k Kind, product int64, v *clientValues) error {
	return h.each(product, v, func(rows *Rows, from, to int) error {
		for i := from; i < to; i++ {
			if k.Wants(rows, i) {
				v.addRow(rows.Client[i], stamp{rows.TimeMS(i), rows.Offset[i]}, v.objects.ownProperties(&rows.ClientProps, i))
			}
		}
		return nil
	})
}

// write writes a file, and returns the number of its records.
func (h *heldRows) write(ctx context.Context, k Kind, product int64, v *clientValues, w io.Writer) (int64, error) {
	out := newCSVFile(k, w)
	err := h.each(product, v, func(rows *Rows, from, to int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return out.addRows(rows, from, to)
	})
	if err != nil {
		return out.records, err
	}
	return out.records, out.flush()
}

// observeHeld observes the events that are held.
func (g *clientGroup) observeHeld() error {
	if g.held == nil {
		return nil
	}
	for at, product := range g.products {
		for _, v := range g.values[at] {
			err := g.held.each(product, v, func(rows *Rows, from, to int) error {
				for i := from; i < to; i++ {
					if c := v.find(rows.Client[i]); c != nil {
						observeReported(v, c, stamp{rows.TimeMS(i), rows.Offset[i]}, v.objects.ownProperties(&rows.ClientProps, i))
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return g.checkMemory()
}

// withoutHeld returns filters that select what f selects, except for what is held.
func (g *clientGroup) withoutHeld(f columns.Filter) []columns.Filter {
	if g.held == nil {
		return []columns.Filter{f}
	}
	before, after := f, f
	before.ArrivalTo, after.ArrivalFrom = g.held.period.First.UnixMilli(), g.held.period.End().UnixMilli()
	return []columns.Filter{before, after}
}
