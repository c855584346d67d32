package view

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// gatherBytes bounds the rollup rows that are gathered from events at once.
// More rows are gathered in pieces, one while another is read.
const gatherBytes = 32 << 20

// PlanRollups plans for the rollups of one product. Scans must not want more
// than wants. The caller closes the view.
func (r *Reader) PlanRollups(ctx context.Context, product int64, want Watermark, wants rollup.Wants, tables ...lake.Table) (*View, error) {
	return r.Plan(ctx, Request{
		Columns: rollup.Columns(wants), Filter: columns.Filter{Products: []int64{product}}, Watermark: want, Rollups: tables,
	})
}

// DayBatches yields the client days of f, of one product, as of the watermark:
// those of the table, and those gathered from the events that the table does not
// have yet. One key may come several times; the caller merges. A batch is valid
// until the next one. Older days mostly come first, because reports add values
// to a client's history fastest in that order.
func (v *View) DayBatches(ctx context.Context, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.DayBatch, error] {
	t := v.rollups[lake.ClientDays]
	files := slices.SortedFunc(slices.Values(lake.Prune(t.files, f)), func(a, b lake.DataFile) int { return cmp.Compare(a.Min.Time, b.Min.Time) })
	return tableThenGathered(v.lake.DayBatches(ctx, files, f, wants), v.gather(ctx, t, f),
		func(s *rollup.Set) iter.Seq[*rollup.DayBatch] { return s.DayBatches(wants) })
}

// EventBatches yields event days as DayBatches yields client days.
func (v *View) EventBatches(ctx context.Context, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.EventBatch, error] {
	t := v.rollups[lake.EventDays]
	return tableThenGathered(v.lake.EventBatches(ctx, lake.Prune(t.files, f), f, wants), v.gather(ctx, t, f), (*rollup.Set).EventBatches)
}

// ClientBatches yields the lifetimes of clients as DayBatches yields client
// days; f has no times.
func (v *View) ClientBatches(ctx context.Context, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.ClientBatch, error] {
	t := v.rollups[lake.Clients]
	return tableThenGathered(v.lake.ClientBatches(ctx, lake.Prune(t.files, f), f, wants), v.gather(ctx, t, f),
		func(s *rollup.Set) iter.Seq[*rollup.ClientBatch] { return s.ClientBatches(wants) })
}

// StoredDays yields the client days of f, of one product, that the table of v
// has. What it lacks, EventsBeyond has: callers that look at a table many times
// read those events once.
func StoredDays(ctx context.Context, v *View, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.DayBatch, error] {
	return v.lake.DayBatches(ctx, lake.Prune(v.rollups[lake.ClientDays].files, f), f, wants)
}

// StoredClients yields clients as StoredDays yields client days; f has no times.
func StoredClients(ctx context.Context, v *View, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.ClientBatch, error] {
	return v.lake.ClientBatches(ctx, lake.Prune(v.rollups[lake.Clients].files, f), f, wants)
}

// EventsBeyond yields the events of f that one of the tables, which are rollups of
// the Request of v, does not have yet; see View.Events.
func EventsBeyond(ctx context.Context, v *View, names []string, f columns.Filter, tables ...lake.Table) iter.Seq2[arrow.Record, error] {
	f.OffsetFrom = map[int32]int64{}
	for shard := range v.watermark {
		f.OffsetFrom[shard] = v.rollups[tables[0]].next[shard]
		for _, t := range tables[1:] {
			f.OffsetFrom[shard] = min(f.OffsetFrom[shard], v.rollups[t].next[shard])
		}
	}
	return v.Events(ctx, names, f)
}

// tableThenGathered yields the batches of a table, then those of the events
// behind it, which are gathered meanwhile.
func tableThenGathered[B any](
	table iter.Seq2[*B, error], sets iter.Seq2[*rollup.Set, error], batches func(*rollup.Set) iter.Seq[*B],
) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		gathered, stop := prefetch(sets)
		defer stop()
		for b, err := range table {
			if !yield(b, err) || err != nil {
				return
			}
		}
		for b, err := range SetBatches(gathered, batches) {
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// prefetch runs seq in a goroutine, from now on and one element ahead. stop ends
// the goroutine and waits for it; it must be called.
func prefetch[V any](seq iter.Seq2[V, error]) (ahead iter.Seq2[V, error], stop func()) {
	type element struct {
		v   V
		err error
	}
	elements, quit := make(chan element), make(chan struct{})
	go func() {
		defer close(elements)
		for v, err := range seq {
			select {
			case elements <- element{v, err}:
			case <-quit:
				return
			}
		}
	}()
	ahead = func(yield func(V, error) bool) {
		for e := range elements {
			if !yield(e.v, e.err) {
				return
			}
		}
	}
	stop = func() {
		close(quit)
		for range elements { // until the goroutine has closed it
		}
	}
	return ahead, stop
}

// SetBatches yields the batches of one set after the other.
func SetBatches[B any](sets iter.Seq2[*rollup.Set, error], batches func(*rollup.Set) iter.Seq[*B]) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		for set, err := range sets {
			if err != nil {
				yield(nil, err)
				return
			}
			for b := range batches(set) {
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// gather rolls up the events from where t ends to the watermark, of the
// products and clients of f and of all times, in pieces of about gatherBytes.
// A single piece is kept, because a question reads several rollups, which mostly
// end at the same offsets.
func (v *View) gather(ctx context.Context, t tableState, f columns.Filter) iter.Seq2[*rollup.Set, error] {
	return func(yield func(*rollup.Set, error) bool) {
		whole := f.Clients == nil && slices.Equal(f.Products, v.filter.Products)
		if v.gathered != nil && whole && maps.Equal(t.next, v.gatheredFrom) {
			yield(v.gathered, nil)
			return
		}
		f := columns.Filter{Products: f.Products, Clients: f.Clients, OffsetFrom: t.next}
		only := RollUp(v.Events(ctx, v.columns, f), rollup.NewSet, (*rollup.Set).AddBatch, yield)
		if only != nil && whole {
			v.gathered, v.gatheredFrom = only, t.next
		}
	}
}

// RollUp rolls batches up and yields the sets, in pieces of about gatherBytes.
// It returns the only set, an empty one when there was none, and nil when there
// were several or when not all were yielded.
func RollUp(
	batches iter.Seq2[arrow.Record, error], empty func() *rollup.Set, add func(*rollup.Set, arrow.Record) error,
	yield func(*rollup.Set, error) bool,
) *rollup.Set {
	pieces, set := 0, empty()
	var only *rollup.Set
	for b, err := range batches {
		if err == nil {
			err = add(set, b)
		}
		if err != nil {
			yield(nil, fmt.Errorf("gather rollups: %w", err))
			return nil
		}
		if set.Bytes() < gatherBytes {
			continue
		}
		if !yield(set, nil) {
			return nil
		}
		pieces, only, set = pieces+1, set, empty()
	}
	if set.Events() > 0 {
		if !yield(set, nil) {
			return nil
		}
		pieces, only = pieces+1, set
	}
	switch pieces {
	case 0:
		return set
	case 1:
		return only
	}
	return nil
}
