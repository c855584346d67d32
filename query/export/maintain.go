package export

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/schemas/registry"
)

const (
	lockName       = "exports"
	lockTTL        = 2 * time.Minute
	lockRenewal    = 30 * time.Second
	deletesPerCall = 100 // objects deleted by one request to the store
)

// Run builds the files of days as they close, and deletes objects that nobody
// can download any more, until ctx ends. It tries again whatever fails: each
// step is recorded, and repeating one changes nothing.
func (f *Files) Run(ctx context.Context) error {
	if f.bucket == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(f.cfg.CloseEvery)
	defer tick.Stop()
	for {
		if err := f.Maintain(ctx); err != nil && ctx.Err() == nil {
			f.log.ErrorContext(ctx, "export maintenance failed, will retry", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Maintain builds the files of all days that have closed, and deletes expired
// objects, unless another process is at it.
func (f *Files) Maintain(ctx context.Context) error {
	due, err := f.maintenanceDue(ctx)
	if err != nil || !due {
		return err
	}
	err = f.registry.Lock(ctx, lockName, f.lockOwner, lockTTL)
	if errors.Is(err, registry.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	err = f.withLock(ctx, func(ctx context.Context) error {
		return errors.Join(f.closeDays(ctx), f.deleteExpired(ctx))
	})
	// The lock is released even if ctx has ended, so that another process need
	// not wait until it expires.
	unlock, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockRenewal)
	defer cancel()
	return errors.Join(err, f.registry.Unlock(unlock, lockName, f.lockOwner))
}

// maintenanceDue reports whether a day has closed or an object can be deleted.
// It takes no lock, because that writes, and most calls find nothing to do.
func (f *Files) maintenanceDue(ctx context.Context) (bool, error) {
	state, err := f.closeState(ctx)
	if err != nil || state.due() {
		return err == nil, err
	}
	keys, err := f.registry.PendingDeletes(ctx, 1)
	return len(keys) > 0, err
}

// withLock runs fn and renews the lock meanwhile; it cancels fn when the lock is
// lost. The lock only saves work: of a file that two processes build, the
// registry records one.
func (f *Files) withLock(ctx context.Context, fn func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	g.Go(func() error {
		defer cancel()
		return fn(ctx)
	})
	g.Go(func() error {
		tick := time.NewTicker(lockRenewal)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
			if err := f.registry.Lock(ctx, lockName, f.lockOwner, lockTTL); err != nil && ctx.Err() == nil {
				return err
			}
		}
	})
	return g.Wait()
}

// deleteExpired deletes objects that nobody can want any more: those of builds
// that died, and those of open days whose links have all expired.
//
// A deletion cannot be undone, so it goes by the registry's list alone: an
// object is on it from before its upload until its file is recorded for good,
// and with a time that lies behind every link to it. The object goes first and
// its entry second; a crash in between repeats a deletion, where the other order
// would leave an object that no list has.
func (f *Files) deleteExpired(ctx context.Context) error {
	for {
		keys, err := f.registry.PendingDeletes(ctx, deletesPerCall)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := f.bucket.Delete(ctx, keys...); err != nil {
			return err
		}
		if err := f.registry.ForgetExports(ctx, keys...); err != nil {
			return err
		}
		f.log.InfoContext(ctx, "expired export objects deleted", "objects", len(keys))
	}
}
