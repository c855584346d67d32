package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/schemas/registry"
)

// errLeaseLost says that somebody else owns the shard now.
var errLeaseLost = errors.New("lease of the shard is lost")

// ownership is one shard that this process has claimed.
type ownership struct {
	worker   *worker
	epoch    int64
	stop     context.CancelCauseFunc
	done     chan struct{} // closed when the worker has returned
	stopping bool          // it has been told to stop
	lost     bool          // the lease is somebody else's
}

// manageLeases claims a fair share of the shards, keeps the leases alive, and gives
// up what is more than the share, until ctx ends; then it gives up everything.
// Leases decide who works, so that the work is shared and not done twice. They
// do not decide what is right: that is the commit's (rule 2).
func (s *Service) manageLeases(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.LeaseTTL / 4)
	defer tick.Stop()
	for {
		err := s.rebalance(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "leases could not be looked after", "err", err)
		}
		s.setLeaseErr(err)
		select {
		case <-tick.C:
		case <-s.workerReturned:
		case <-ctx.Done():
			s.releaseAll(context.WithoutCancel(ctx), tick.C)
			return nil
		}
	}
}

// releaseAll gives up every shard: it drains and then goes to whom wants it. Leases
// are kept alive meanwhile.
func (s *Service) releaseAll(ctx context.Context, tick <-chan time.Time) {
	for _, o := range s.owned() {
		o.stopping = true
		o.stop(context.Canceled)
	}
	for len(s.owned()) > 0 {
		if err := s.renewLeases(ctx); err != nil {
			s.log.WarnContext(ctx, "leases could not be looked after", "err", err)
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
		s.log.WarnContext(ctx, "others learn late that this process is gone", "err", err)
	}
}

// rebalance is one look at the leases.
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

// fairShare is how many of the shards belong to process `id` of those alive.
// The shares of all add up to the shards.
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

// renewLeases renews the leases and takes leave of workers that have returned.
func (s *Service) renewLeases(ctx context.Context) error {
	var errs []error
	for _, o := range s.owned() {
		if o.returned() {
			errs = append(errs, s.releaseShard(ctx, o))
			continue
		}
		err := s.deps.Registry.Renew(ctx, o.worker.shard, o.epoch, s.cfg.LeaseTTL)
		if errors.Is(err, registry.ErrFenced) {
			o.worker.log.WarnContext(ctx, "lease lost, what is gathered is dropped", "epoch", o.epoch)
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

// releaseShard takes leave of a shard whose worker has returned.
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

// claim takes up to n shards that nobody owns.
func (s *Service) claim(ctx context.Context, n int) error {
	owners, err := s.deps.Registry.Owners(ctx)
	if err != nil {
		return err
	}
	taken := map[int32]bool{}
	for _, o := range owners {
		taken[o.Shard] = o.ID != s.cfg.ID // what an earlier life of this process had is free
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
			continue // somebody was faster
		}
		if err != nil {
			return fmt.Errorf("claim shard %d: %w", shard, err)
		}
		s.startWorker(ctx, shard, epoch)
		n--
	}
	return nil
}

// startWorker starts the worker of a shard just claimed. It ends when it is told to.
func (s *Service) startWorker(ctx context.Context, shard int32, epoch int64) {
	ctx, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	o := &ownership{worker: s.newWorker(shard, epoch), epoch: epoch, stop: stop, done: make(chan struct{})}
	s.mu.Lock()
	s.shards[shard] = o
	s.mu.Unlock()
	o.worker.log.InfoContext(ctx, "shard claimed", "epoch", epoch)
	go func() { // leave waits for it
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

// owned lists the shards of this process, in order.
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
