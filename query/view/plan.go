package view

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
	planAttempts = 4                     // then the shard is read without its owner
	replanPause  = 10 * time.Millisecond // after an owner that lost its shard, doubled each time
	reachPause   = 25 * time.Millisecond // between plans for a watermark that is not reached yet
)

// Request says what a plan must hold.
type Request struct {
	Columns   []string       // of the tail's rows; those of the lake are chosen at each scan
	Filter    columns.Filter // of the tail's rows; a scan may narrow it further, and must not widen it
	Watermark Watermark      // wanted; nil is the newest there is
	Exact     bool           // exactly Watermark, for the shards it names; otherwise at least
	LakeOnly  bool           // no owner is asked: what is committed is enough
	Rollups   []lake.Table   // that scans will read; Columns must be those of a rollup then, and Exact false
	Changes   bool           // View.Changes will be read
	OptOuts   bool           // OptOuts will be read; Rollups must have those that it needs
}

// Plan fixes what an answer includes. It loads the rollups first and `events`
// after them, so that `events` is never behind a rollup, and then asks the owner
// of each shard once for the tail from where `events` ends: one position for
// each shard is what makes the answer consistent, as two requests could see a
// commit between them (schemas/DESIGN.md "One view per answer"). The caller
// closes the view.
//
// Plan waits Config.ReachWait for a watermark that is not reached yet; then the
// view is older than wanted, and its Coverage says so.
func (r *Reader) Plan(ctx context.Context, req Request) (*View, error) {
	reachBy := time.Now().Add(r.cfg.ReachWait)
	for {
		v, err := r.planWithRetry(ctx, req)
		if err != nil {
			return nil, err
		}
		if len(v.laggingShards(req.Watermark)) == 0 || time.Now().After(reachBy) {
			v.fix(req)
			return v, nil
		}
		v.Close()
		if err := sleep(ctx, reachPause); err != nil {
			return nil, err
		}
	}
}

// planWithRetry plans again while an owner has dropped what was requested,
// because a commit came between, or has just changed. After planAttempts it
// returns a view without such owners: the answer is older, and right.
func (r *Reader) planWithRetry(ctx context.Context, req Request) (*View, error) {
	pause := replanPause
	for attempt := 1; ; attempt++ {
		v, err := r.planOnce(ctx, req)
		if err != nil || v.moved == nil || attempt == planAttempts {
			return v, err
		}
		r.metrics.replans.Inc()
		v.Close()
		if errors.Is(v.moved, tail.ErrGone) {
			continue // the lake has it now
		}
		r.owners.Invalidate()
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

// planOnce loads the rollups, then `events`, and asks the owners, once.
func (r *Reader) planOnce(ctx context.Context, req Request) (_ *View, err error) {
	rollups, err := r.loadTables(ctx, req.Rollups)
	if err != nil {
		return nil, err
	}
	snap, err := r.lake.Load(ctx, lake.Events)
	if err != nil {
		return nil, err
	}
	files, err := snap.Files(ctx)
	if err != nil {
		return nil, err
	}
	shards, err := r.owners.ShardCount(ctx)
	if err != nil {
		return nil, err
	}
	v := r.newView(snap, files, shards)
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	v.pin(snap)
	for _, t := range rollups {
		v.pin(t.snap)
	}
	v.filter, v.rollups, v.columns = req.Filter, rollups, req.Columns
	if req.Changes {
		if err := r.loadChanges(ctx, v); err != nil {
			return nil, err
		}
	}
	if req.LakeOnly {
		return v, nil
	}
	owners, err := r.owners.List(ctx)
	if err != nil {
		return nil, err
	}
	r.askOwners(ctx, v, owners, req)
	return v, nil
}

// loadTables loads one snapshot of each table.
func (r *Reader) loadTables(ctx context.Context, tables []lake.Table) (map[lake.Table]tableState, error) {
	out := map[lake.Table]tableState{}
	for _, t := range tables {
		snap, err := r.lake.Load(ctx, t)
		if err != nil {
			return nil, err
		}
		files, err := snap.Files(ctx)
		if err != nil {
			return nil, err
		}
		state := tableState{snap: snap, files: files, next: map[int32]int64{}}
		for shard, s := range snap.ShardStates() {
			state.next[shard] = s.Next
		}
		out[t] = state
	}
	return out, nil
}

// loadChanges loads client_changes for v. Unlike a rollup it is loaded after
// `events`: a cut commits it before `events`, so the later load has every change
// below where `events` ends. What it has beyond the watermark is left out; what
// it lacks below it, the owners have.
func (r *Reader) loadChanges(ctx context.Context, v *View) error {
	tables, err := r.loadTables(ctx, []lake.Table{lake.Changes})
	if err != nil {
		return err
	}
	v.changes = tables[lake.Changes]
	v.pin(v.changes.snap)
	return nil
}

// askOwners asks all owners at once, each once for all of its shards, and adds
// their tails to v. The shards of an owner that does not answer are read from
// the lake alone.
func (r *Reader) askOwners(ctx context.Context, v *View, owners []registry.OwnerRow, req Request) {
	byAddr := map[string][]registry.OwnerRow{}
	for _, o := range owners {
		if req.needsTail(v, o.Shard) {
			byAddr[o.Addr] = append(byAddr[o.Addr], o)
		}
	}
	var g errgroup.Group
	for addr, rows := range byAddr {
		g.Go(func() error {
			parts, err := r.tail.Fetch(ctx, addr, req.ofTail(v, rows))
			if err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "owner did not answer, its shards are answered from the lake", "addr", addr, "err", err)
			}
			v.addOwner(addr, rows, parts, err)
			return nil
		})
	}
	_ = g.Wait() // its functions return nil: what failed is marked in v
}

// needsTail reports whether the tail of shard can add to the answer. It cannot
// if exactly a watermark is wanted that the lake has reached.
func (req *Request) needsTail(v *View, shard int32) bool {
	want, named := req.Watermark[shard]
	return !req.Exact || !named || want > v.next[shard]
}

// ofTail is the request to the owner of rows. The offset comes along, because
// scans narrow the tail to the watermark.
func (req *Request) ofTail(v *View, rows []registry.OwnerRow) tail.Request {
	out := tail.Request{From: map[int32]int64{}, Filter: req.Filter, Columns: req.Columns, Changes: req.Changes}
	if len(req.Columns) > 0 && !slices.Contains(req.Columns, columns.Offset) {
		out.Columns = append(slices.Clone(req.Columns), columns.Offset)
	}
	if req.OptOuts && !slices.Contains(out.Columns, columns.Client) {
		out.Columns = append(slices.Clone(out.Columns), columns.Client)
	}
	for _, o := range rows {
		out.From[o.Shard] = v.next[o.Shard]
	}
	return out
}

// sleep waits for d or until ctx ends.
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
