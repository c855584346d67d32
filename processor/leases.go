package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/schemas/registry"
)

// errLeaseLost is the cause that stops a worker whose shard another process owns.
var errLeaseLost = errors.New("lease of the shard is lost")

// ownership is one shard that this process has claimed. Only the goroutine of
// manageLeases changes it.
type ownership struct {
	worker   *worker
	epoch    int64
	stop     context.CancelCauseFunc
	done     chan struct{} // closed when the worker has returned
	stopping bool          // stop was called; the worker drains and does not count for the share any more
	lost     bool          // another process has the lease, so it is not released
}

// manageLeases claims a fair share of the shards, renews the leases and releases
// what is more than the share, until ctx ends or processors of a newer version write
// what this one does not understand; then it releases all shards.
//
// Leases share out the work and keep it from being done twice. They do not make
// commits safe: a process that was paused may commit after its lease has run
// out. That is what the offset check of each commit is for (schemas/DESIGN.md "A
// commit"), and it holds without any lease.
func (s *Service) manageLeases(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.LeaseTTL / 4)
	defer tick.Stop()
	for {
		err := s.rebalance(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "lease renewal failed, will retry", "err", err)
		}
		s.setLeaseErr(err)
		if errors.Is(err, registry.ErrNewer) {
			s.releaseAll(context.WithoutCancel(ctx), tick.C)
			return err // what newer processors write from now on must not be merged by this one
		}
		select {
		case <-tick.C:
		case <-s.workerReturned:
		case <-ctx.Done():
			s.releaseAll(context.WithoutCancel(ctx), tick.C)
			return nil
		}
	}
}

// releaseAll stops all workers, waits until they have drained, and releases their
// shards. It renews the leases meanwhile: a shard that another process took over
// before its last cut is committed would have that cut dropped and gathered again.
func (s *Service) releaseAll(ctx context.Context, tick <-chan time.Time) {
	for _, o := range s.owned() {
		o.stopping = true
		o.stop(context.Canceled)
	}
	for len(s.owned()) > 0 {
		if err := s.renewLeases(ctx); err != nil {
			s.log.WarnContext(ctx, "lease renewal failed, will retry", "err", err)
		}
		if len(s.owned()) == 0 {
			break
		}
		select {
		case <-tick:
		case <-s.workerReturned:
		}
	}
	if err := s.deps.Registry.DeregisterProcessor(ctx, s.cfg.ID); err != nil {
		s.log.WarnContext(ctx, "deregister processor failed", "err", err)
	}
}

// rebalance renews, releases and claims once. Nothing in it may take longer than
// the lease lasts.
func (s *Service) rebalance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.LeaseTTL)
	defer cancel()
	heartbeatErr := s.deps.Registry.Heartbeat(ctx, s.cfg.ID, s.cfg.LeaseTTL)
	if err := errors.Join(heartbeatErr, s.renewLeases(ctx)); err != nil {
		return err
	}
	alive, err := s.deps.Registry.Processors(ctx)
	if err != nil {
		return err
	}
	share := fairShare(alive, s.cfg.ID, s.deps.Layout.Shards)
	s.shardsWanted.Store(int64(share))
	working := slices.DeleteFunc(s.owned(), func(o *ownership) bool { return o.stopping })
	if len(working) > share {
		for _, o := range working[share:] {
			o.stopping = true
			o.stop(context.Canceled)
		}
		return nil
	}
	return s.claim(ctx, share-len(working))
}

// fairShare returns how many of the shards belong to process id among those that
// are alive. The shares of all processes add up to the number of shards, and
// differ by at most one.
func fairShare(alive []string, id string, shards int) int {
	if !slices.Contains(alive, id) {
		alive = append(slices.Clone(alive), id)
	}
	slices.Sort(alive)
	share := shards / len(alive)
	if slices.Index(alive, id) < shards%len(alive) {
		share++
	}
	return share
}

// renewLeases renews the leases of running workers and releases the shards of
// those that have returned.
func (s *Service) renewLeases(ctx context.Context) error {
	var errs []error
	for _, o := range s.owned() {
		if o.returned() {
			errs = append(errs, s.releaseShard(ctx, o))
			continue
		}
		err := s.deps.Registry.Renew(ctx, o.worker.shard, o.epoch, s.cfg.LeaseTTL)
		if errors.Is(err, registry.ErrFenced) {
			o.worker.log.WarnContext(ctx, "lease lost, dropping what is gathered", "epoch", o.epoch)
			o.lost, o.stopping = true, true
			o.stop(errLeaseLost)
			continue
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o *ownership) returned() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// releaseShard removes a shard whose worker has returned and gives up its lease.
func (s *Service) releaseShard(ctx context.Context, o *ownership) error {
	s.mu.Lock()
	delete(s.shards, o.worker.shard)
	s.mu.Unlock()
	s.metrics.deleteShard(o.worker.shard)
	if o.lost {
		return nil
	}
	err := s.deps.Registry.Release(ctx, o.worker.shard, o.epoch)
	if errors.Is(err, registry.ErrFenced) {
		return nil
	}
	return err
}

// claim takes up to n shards that have no owner.
func (s *Service) claim(ctx context.Context, n int) error {
	owners, err := s.deps.Registry.Owners(ctx)
	if err != nil {
		return err
	}
	taken := map[int32]bool{}
	for _, o := range owners {
		taken[o.Shard] = o.ID != s.cfg.ID // a lease left from before a restart of this process may be claimed at once
	}
	for _, o := range s.owned() {
		taken[o.worker.shard] = true
	}
	for shard := int32(0); int(shard) < s.deps.Layout.Shards && n > 0; shard++ {
		if taken[shard] {
			continue
		}
		epoch, err := s.deps.Registry.Claim(ctx, shard, registry.Owner{ID: s.cfg.ID, Addr: s.cfg.Address}, s.cfg.LeaseTTL)
		if errors.Is(err, registry.ErrHeld) {
			continue // another process was faster
		}
		if err != nil {
			return fmt.Errorf("claim shard %d: %w", shard, err)
		}
		s.startWorker(ctx, shard, epoch)
		n--
	}
	return nil
}

// startWorker starts the worker of a shard that was just claimed. The worker does
// not end with ctx, since it must drain: ownership.stop ends it.
func (s *Service) startWorker(ctx context.Context, shard int32, epoch int64) {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	o := &ownership{worker: s.newWorker(shard, epoch), epoch: epoch, stop: stop, done: make(chan struct{})}
	s.mu.Lock()
	s.shards[shard] = o
	s.mu.Unlock()
	o.worker.log.InfoContext(ctx, "shard claimed", "epoch", epoch)
	go func() { // releaseAll waits for it
		defer func() {
			close(o.done)
			select {
			case s.workerReturned <- struct{}{}:
			default:
			}
		}()
		o.worker.run(ctx)
	}()
}

// owned returns the shards of this process, in order.
func (s *Service) owned() []*ownership {
	s.mu.Lock()
	defer s.mu.Unlock()
	owned := make([]*ownership, 0, len(s.shards))
	for _, o := range s.shards {
		owned = append(owned, o)
	}
	slices.SortFunc(owned, func(a, b *ownership) int { return int(a.worker.shard - b.worker.shard) })
	return owned
}
