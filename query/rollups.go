package query

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// gatherBytes bounds the rollup rows that are gathered from events at once;
// what has more is gathered in pieces, one while another is read.
const gatherBytes = 32 << 20

// rollupTable is one snapshot of a rollup.
type rollupTable struct {
	files []lake.DataFile
	next  map[int32]int64 // per shard, the first offset that is not in it
}

func (s *Service) loadRollups(ctx context.Context, tables []lake.Table) (map[lake.Table]rollupTable, error) {
	out := map[lake.Table]rollupTable{}
	for _, t := range tables {
		snap, err := s.deps.Lake.Load(ctx, t)
		if err != nil {
			return nil, err
		}
		files, err := snap.Files(ctx)
		if err != nil {
			return nil, err
		}
		r := rollupTable{files: files, next: map[int32]int64{}}
		for shard, state := range snap.ShardStates() {
			r.next[shard] = state.Next
		}
		out[t] = r
	}
	return out, nil
}

// planRollups plans for the rollups of one product, of which scans will want no
// more than wants. The caller closes the view.
func (s *Service) planRollups(ctx context.Context, product int64, want watermark, wants rollup.Wants, tables ...lake.Table) (*view, error) {
	return s.plan(ctx, question{
		columns: rollup.Columns(wants), filter: columns.Filter{Products: []int64{product}}, watermark: want, rollups: tables,
	})
}

// dayBatches yields the client days of f, of one product, as of the watermark:
// those of the table, and those gathered from the events that it does not have
// yet. One key may come several times: merge. A batch is valid until the next.
// Older days mostly come first, which is what the past of properties is
// gathered fastest from.
func (v *view) dayBatches(ctx context.Context, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.DayBatch, error] {
	t := v.rollups[lake.ClientDays]
	files := slices.SortedFunc(slices.Values(lake.Prune(t.files, f)), func(a, b lake.DataFile) int { return cmp.Compare(a.Min.Time, b.Min.Time) })
	return bothOf(v.lake.DayBatches(ctx, files, f, wants), v.gather(ctx, t, f),
		func(s *rollup.Set) iter.Seq[*rollup.DayBatch] { return s.DayBatches(wants) })
}

// eventBatches is dayBatches of event days.
func (v *view) eventBatches(ctx context.Context, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.EventBatch, error] {
	t := v.rollups[lake.EventDays]
	return bothOf(v.lake.EventBatches(ctx, lake.Prune(t.files, f), f, wants), v.gather(ctx, t, f), (*rollup.Set).EventBatches)
}

// clientBatches is dayBatches of clients' lives; f has no times.
func (v *view) clientBatches(ctx context.Context, f columns.Filter, wants rollup.Wants) iter.Seq2[*rollup.ClientBatch, error] {
	t := v.rollups[lake.Clients]
	return bothOf(v.lake.ClientBatches(ctx, lake.Prune(t.files, f), f, wants), v.gather(ctx, t, f),
		func(s *rollup.Set) iter.Seq[*rollup.ClientBatch] { return s.ClientBatches(wants) })
}

// bothOf yields the batches that a table has, then those of the events behind
// it, which are gathered meanwhile.
func bothOf[B any](
	table iter.Seq2[*B, error], sets iter.Seq2[*rollup.Set, error], batches func(*rollup.Set) iter.Seq[*B],
) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		gathered, stop := beside(sets)
		defer stop()
		for b, err := range table {
			if !yield(b, err) || err != nil {
				return
			}
		}
		for b, err := range ofSets(gathered, batches) {
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// beside runs seq in a goroutine, from now on and one element ahead. stop ends
// it and waits until it has; it must be called.
func beside[V any](seq iter.Seq2[V, error]) (ahead iter.Seq2[V, error], stop func()) {
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
		for range elements { // until it is closed
		}
	}
	return ahead, stop
}

func ofSets[B any](sets iter.Seq2[*rollup.Set, error], batches func(*rollup.Set) iter.Seq[*B]) iter.Seq2[*B, error] {
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
// What is one piece is kept: a question reads several rollups, which mostly end
// at one place.
func (v *view) gather(ctx context.Context, t rollupTable, f columns.Filter) iter.Seq2[*rollup.Set, error] {
	return func(yield func(*rollup.Set, error) bool) {
		if v.rolled != nil && f.Clients == nil && slices.Equal(f.Products, v.filter.Products) && maps.Equal(t.next, v.rolledFrom) {
			yield(v.rolled, nil)
			return
		}
		f := columns.Filter{Products: f.Products, Clients: f.Clients, OffsetFrom: t.next}
		sets := rolledUp(v.events(ctx, v.columns, f), rollup.NewSet, (*rollup.Set).AddBatch)
		only := passOn(sets, rollup.NewSet, yield)
		if only != nil && f.Clients == nil && slices.Equal(f.Products, v.filter.Products) {
			v.rolled, v.rolledFrom = only, t.next
		}
	}
}

// passOn yields sets, and returns the only one of them, or an empty one when
// there is none; nil when there are several, or when not all were yielded.
func passOn(sets iter.Seq2[*rollup.Set, error], empty func() *rollup.Set, yield func(*rollup.Set, error) bool) *rollup.Set {
	var only *rollup.Set
	pieces := 0
	for set, err := range sets {
		if !yield(set, err) || err != nil {
			return nil
		}
		pieces, only = pieces+1, set
	}
	switch pieces {
	case 0:
		return empty()
	case 1:
		return only
	}
	return nil
}

// rolledUp rolls batches up, in pieces.
func rolledUp[B any](batches iter.Seq2[B, error], empty func() *rollup.Set, add func(*rollup.Set, B) error) iter.Seq2[*rollup.Set, error] {
	return func(yield func(*rollup.Set, error) bool) {
		set := empty()
		for b, err := range batches {
			if err == nil {
				err = add(set, b)
			}
			if err != nil {
				yield(nil, fmt.Errorf("gather rollups: %w", err))
				return
			}
			if set.Bytes() < gatherBytes {
				continue
			}
			if !yield(set, nil) {
				return
			}
			set = empty()
		}
		if set.Events() > 0 {
			yield(set, nil)
		}
	}
}
