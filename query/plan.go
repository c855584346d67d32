package query

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

const (
	planAttempts = 4                     // then a shard's owner is done without
	replanPause  = 10 * time.Millisecond // after an owner that says it is none, doubled each time
	reachPause   = 25 * time.Millisecond // between looks at a watermark that is not reached yet
)

// question is what a plan must hold.
type question struct {
	columns   []string       // of the tail's rows; those of the lake are chosen at each scan
	filter    columns.Filter // of the tail's rows; scans may narrow it further, and never widen it
	watermark watermark      // wanted; nil is the newest there is
	exact     bool           // exactly watermark, for the shards it names; otherwise at least
	lakeOnly  bool           // no owner is asked: what is committed is enough
	rollups   []lake.Table   // that scans will read; columns must be those of a rollup then, and exact false
	changes   bool           // view.changes will be read
}

// plan fixes what an answer includes (design §6, rule 7): the rollups that are
// needed, then `events`, so that it is never behind them, then the tail of each shard from where
// `events` ends, asked once, so that there is one position for each shard. The
// caller closes the view.
//
// A watermark that is not reached is waited for, for Config.ReachWait; then
// the view is of an older one and says so.
func (s *Service) plan(ctx context.Context, q question) (*view, error) {
	reachBy := time.Now().Add(s.cfg.ReachWait)
	for {
		v, err := s.settle(ctx, q)
		if err != nil {
			return nil, err
		}
		if len(v.short(q.watermark)) == 0 || time.Now().After(reachBy) {
			v.mark(q)
			return v, nil
		}
		v.close()
		if err := sleep(ctx, reachPause); err != nil {
			return nil, err
		}
	}
}

// settle looks again while an owner has dropped what was asked for, because a
// commit came between, or has just changed. After planAttempts it makes do
// without such owners: the answer is older, and right.
func (s *Service) settle(ctx context.Context, q question) (*view, error) {
	pause := replanPause
	for attempt := 1; ; attempt++ {
		v, err := s.look(ctx, q)
		if err != nil || v.moved == nil || attempt == planAttempts {
			return v, err
		}
		s.metrics.replans.Inc()
		v.close()
		if errors.Is(v.moved, tail.ErrGone) {
			continue // the lake has it now
		}
		s.owners.forget()
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

// look loads the rollups, then `events`, and asks the owners, once.
func (s *Service) look(ctx context.Context, q question) (*view, error) {
	rollups, err := s.loadRollups(ctx, q.rollups)
	if err != nil {
		return nil, err
	}
	snap, err := s.deps.Lake.Load(ctx, lake.Events)
	if err != nil {
		return nil, err
	}
	files, err := snap.Files(ctx)
	if err != nil {
		return nil, err
	}
	shards, err := s.owners.count(ctx)
	if err != nil {
		return nil, err
	}
	v := newView(s, snap, files, shards)
	v.filter, v.rollups, v.columns = q.filter, rollups, q.columns
	if q.changes {
		if err := s.loadChanges(ctx, v); err != nil {
			return nil, err
		}
	}
	if q.lakeOnly {
		return v, nil
	}
	owners, err := s.owners.list(ctx)
	if err != nil {
		return nil, err
	}
	s.ask(ctx, v, owners, q)
	return v, nil
}

// ask asks each owner once for all of its shards, all owners at once, and adds
// to v what they say. An owner that does not answer is done without. One that
// is behind its log answers a moment later, or says that it still is.
func (s *Service) ask(ctx context.Context, v *view, owners []registry.OwnerRow, q question) {
	byAddr := map[string][]registry.OwnerRow{}
	for _, o := range owners {
		if q.needs(v, o.Shard) {
			byAddr[o.Addr] = append(byAddr[o.Addr], o)
		}
	}
	var g errgroup.Group
	for addr, rows := range byAddr {
		g.Go(func() error {
			parts, err := s.deps.Tail.Fetch(ctx, addr, q.request(v, rows))
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "owner did not answer, its shards are answered from the lake", "addr", addr, "err", err)
			}
			v.add(addr, rows, parts, err)
			return nil
		})
	}
	_ = g.Wait() // its functions return nil: what failed is marked in v
}

// needs says whether the tail of shard can add to the answer: not if exactly
// what the lake has is wanted.
func (q *question) needs(v *view, shard int32) bool {
	want, named := q.watermark[shard]
	return !q.exact || !named || want > v.lakeNext(shard)
}

// request is what the owner of rows is asked. The columns that scans filter by
// go along.
func (q *question) request(v *view, rows []registry.OwnerRow) tail.Request {
	req := tail.Request{From: map[int32]int64{}, Filter: q.filter, Columns: q.columns, Changes: q.changes}
	if len(q.columns) > 0 && !slices.Contains(q.columns, columns.Offset) {
		req.Columns = append(slices.Clone(q.columns), columns.Offset)
	}
	for _, o := range rows {
		req.From[o.Shard] = v.lakeNext(o.Shard)
	}
	return req
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("plan: %w", ctx.Err())
	}
}
