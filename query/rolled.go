package query

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// setBytes is how much of what is not rolled up yet is rolled up at once.
const setBytes = 32 << 20

// rolled is a rollup of one product at one watermark: its rows as they are
// committed and, rolled up by the same code, the events from there on. Rows of
// both are deltas, to be merged by who reads them.
type rolled struct {
	*view
	files  []lake.DataFile // of the rollup
	filter lake.Filter
	rest   lake.Filter // events that the rollup does not have
	names  []string    // columns of them
}

// roll loads the rollup before it plans the events, so that these are never
// behind it (design §6, rule 7). names are the columns that the question needs
// of events beyond where they lie. The caller closes the view.
func (s *Service) roll(ctx context.Context, t lake.Table, product int64, want watermark, names ...string) (*rolled, error) {
	snap, err := s.deps.Lake.Load(ctx, t)
	if err != nil {
		return nil, err
	}
	files, err := snap.Files(ctx)
	if err != nil {
		return nil, err
	}
	r := &rolled{files: files, filter: lake.Filter{Products: []int64{product}}}
	r.names = slices.Concat([]string{columns.ProductID, columns.ClientID, columns.Time, columns.Offset}, names)
	r.rest = r.filter
	r.rest.OffsetFrom = map[int32]int64{}
	for shard, state := range snap.Vector() {
		r.rest.OffsetFrom[shard] = state.Next
	}
	r.view, err = s.plan(ctx, question{columns: r.names, filter: r.filter, watermark: want})
	return r, err
}

func (r *rolled) eventDays(ctx context.Context) iter.Seq2[*rollup.EventDay, error] {
	return both(r.lake.ScanEventDays(ctx, lake.Prune(r.files, r.filter), r.filter), r.sets(ctx), (*rollup.Set).EventDays)
}

func (r *rolled) clients(ctx context.Context) iter.Seq2[*rollup.Client, error] {
	return both(r.lake.ScanClients(ctx, lake.Prune(r.files, r.filter), r.filter), r.sets(ctx), (*rollup.Set).Clients)
}

// sets yields what the rollup does not have, a bounded piece at a time.
func (r *rolled) sets(ctx context.Context) iter.Seq2[*rollup.Set, error] {
	return func(yield func(*rollup.Set, error) bool) {
		set := rollup.NewSet()
		for rec, err := range r.events(ctx, r.names, r.rest) {
			if err == nil {
				err = set.AddBatch(rec)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if set.Bytes() < setBytes {
				continue
			}
			if !yield(set, nil) {
				return
			}
			set = rollup.NewSet()
		}
		yield(set, nil)
	}
}

// both yields the rows that are committed and then those of sets. A row is
// valid until the next.
func both[R any](
	committed iter.Seq2[*R, error], sets iter.Seq2[*rollup.Set, error], rows func(*rollup.Set) iter.Seq[*R],
) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		for row, err := range committed {
			if err != nil {
				yield(nil, fmt.Errorf("scan rollup: %w", err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		for set, err := range sets {
			if err != nil {
				yield(nil, err)
				return
			}
			for row := range rows(set) {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}
