package query

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// gatherBytes bounds the rollup rows that are gathered from events at once;
// what has more is gathered in pieces.
const gatherBytes = 64 << 20

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
		for shard, state := range snap.Vector() {
			r.next[shard] = state.Next
		}
		out[t] = r
	}
	return out, nil
}

// clientDays yields the rows of f as of the watermark: those of the table, and
// those gathered from the events that it does not have yet. One key may come
// several times: merge. A row is valid until the next one is asked for.
func (v *view) clientDays(ctx context.Context, f lake.Filter) iter.Seq2[*rollup.ClientDay, error] {
	t := v.rollups[lake.ClientDays]
	return bothOf(ctx, v, t, f, v.lake.ScanClientDays(ctx, lake.Prune(t.files, f), f), (*rollup.Set).ClientDays)
}

// eventDays is clientDays of events.
func (v *view) eventDays(ctx context.Context, f lake.Filter) iter.Seq2[*rollup.EventDay, error] {
	t := v.rollups[lake.EventDays]
	return bothOf(ctx, v, t, f, v.lake.ScanEventDays(ctx, lake.Prune(t.files, f), f), (*rollup.Set).EventDays)
}

// clients is clientDays of clients' lives; f has no times.
func (v *view) clients(ctx context.Context, f lake.Filter) iter.Seq2[*rollup.Client, error] {
	t := v.rollups[lake.Clients]
	return bothOf(ctx, v, t, f, v.lake.ScanClients(ctx, lake.Prune(t.files, f), f), (*rollup.Set).Clients)
}

// bothOf yields the rows that the table has, then those of the events behind
// it.
func bothOf[R any](ctx context.Context, v *view, t rollupTable, f lake.Filter,
	rows iter.Seq2[*R, error], gathered func(*rollup.Set) iter.Seq[*R],
) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		for r, err := range rows {
			if !yield(r, err) || err != nil {
				return
			}
		}
		for set, err := range v.gather(ctx, t, f) {
			if err != nil {
				yield(nil, err)
				return
			}
			for r := range gathered(set) {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// gather rolls up the events from where t ends to the watermark, in pieces of
// about gatherBytes.
func (v *view) gather(ctx context.Context, t rollupTable, f lake.Filter) iter.Seq2[*rollup.Set, error] {
	return func(yield func(*rollup.Set, error) bool) {
		f.OffsetFrom = maps.Clone(t.next)
		set := rollup.NewSet()
		for rec, err := range v.events(ctx, rollup.Columns(), f) {
			if err == nil {
				err = set.AddBatch(rec)
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
			set = rollup.NewSet()
		}
		if set.Events() > 0 {
			yield(set, nil)
		}
	}
}
