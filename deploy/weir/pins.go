package main

import (
	"context"
	"time"

	"github.com/google/uuid"

	"weir/schemas/lake"
	"weir/schemas/registry"
)

const (
	pinEvery = 5 * time.Second // shorter reads state nothing: the newest snapshots are kept anyway
	pinFor   = 30 * time.Second
)

// statePins tells all processes, until ctx ends, which snapshots of the lake this one
// reads, so that nobody expires them. What a dead process has stated lapses.
func (a *app) statePins(ctx context.Context) error {
	process, stated := uuid.NewString(), false
	state := func(ctx context.Context, oldest time.Time) {
		if oldest.IsZero() && !stated {
			return
		}
		if err := registry.StateRead(ctx, a.registry, process, oldest, pinFor); err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "cannot state which snapshots are read, will retry", "err", err)
			return
		}
		stated = !oldest.IsZero()
	}
	every := time.NewTicker(pinEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
			state(ctx, lake.OldestPinned(a.lake, pinEvery))
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), pinEvery)
			defer cancel()
			state(last, time.Time{})
			return nil
		}
	}
}
