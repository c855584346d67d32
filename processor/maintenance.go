package processor

import (
	"context"
	"fmt"
	"time"

	"weir/schemas/lake"
)

const (
	evolveEvery      = 10 * time.Second
	maintenanceShard = 0  // the owner of this shard expires snapshots and deletes orphans for all shards
	minSnapshots     = 10 // snapshots of a table that are kept, however old they are
	expireEvery      = time.Minute
	orphanEvery      = 24 * time.Hour

	// orphanAge must be longer than any writer may still commit a file it has put:
	// a cut gives up after maxCutAge.
	orphanAge = 7 * 24 * time.Hour
)

// maintain compacts the data files of the owned shards and, once a day, deletes
// orphan files, every Config.CompactEvery until ctx ends. An error is
// logged, and the step is tried again the next time: tables that are not
// maintained get slower but stay right.
func (s *Service) maintain(ctx context.Context) error {
	if s.cfg.CompactEvery < 0 {
		return nil
	}
	every := time.NewTicker(s.cfg.CompactEvery)
	defer every.Stop()
	var cleaned time.Time
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := s.clock.now(); err != nil {
			continue // by such a clock files that were just put are old enough to be deleted
		}
		s.compact(ctx)
		if !s.owns(maintenanceShard) {
			continue
		}
		if time.Since(cleaned) < orphanEvery {
			continue
		}
		if n, err := s.deps.Lake.DeleteOrphans(ctx, orphanAge); err == nil {
			cleaned = time.Now()
			s.log.InfoContext(ctx, "orphan files deleted", "files", n)
		} else if ctx.Err() == nil {
			s.log.WarnContext(ctx, "delete orphan files failed, will retry", "err", err)
		}
	}
}

// compact merges what is due, table by table, until nothing is or it is time for the
// rest of maintenance.
func (s *Service) compact(ctx context.Context) {
	for began, merged := time.Now(), 1; merged > 0 && ctx.Err() == nil && time.Since(began) < s.cfg.CompactEvery; {
		merged = 0
		waiting := 0
		for _, t := range lake.Tables() {
			did := compactTable(ctx, s, t)
			merged += did.Merged
			waiting = max(waiting, did.Waiting)
		}
		s.commits.waiting.Store(int64(waiting))
	}
}

// compactTable merges what is due of t.
func compactTable(ctx context.Context, s *Service, t lake.Table) CompactResult {
	began := time.Now()
	did, err := Compact(ctx, s.deps.Lake, CompactOptions{Tables: []lake.Table{t}, Owned: s.owns, Due: true, Now: began})
	s.metrics.compacted.WithLabelValues(string(t)).Add(float64(did.Merged))
	s.metrics.waiting.WithLabelValues(string(t)).Set(float64(did.Waiting))
	s.metrics.files.WithLabelValues(string(t)).Set(float64(did.Live))
	if ctx.Err() == nil {
		s.metrics.observeUnreadable(t, did.Unreadable)
	}
	if did.Merged > 0 {
		s.log.InfoContext(ctx, "data files compacted", "table", t, "merged", did.Merged, "made", did.Written,
			"bytes", did.Bytes, "gone", did.Skipped, "took", time.Since(began))
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "compaction failed, will retry", "table", t, "err", err)
	}
	return did
}

// expireSnapshots expires what is older than Config.KeepSnapshots, every minute until
// ctx ends. It waits for no compaction, which may take hours, while each commit
// writes all live snapshots.
func (s *Service) expireSnapshots(ctx context.Context) error {
	if s.cfg.CompactEvery < 0 {
		return nil
	}
	every := time.NewTicker(expireEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		if _, err := s.clock.now(); err == nil && s.owns(maintenanceShard) { // by another clock young snapshots may be old
			expireTables(ctx, s)
		}
	}
}

func expireTables(ctx context.Context, s *Service) {
	keep, err := keepSnapshots(ctx, s)
	if err != nil {
		s.log.WarnContext(ctx, "snapshots are not expired, will retry", "err", err)
		return
	}
	for _, t := range lake.Tables() {
		if err := s.deps.Lake.ExpireSnapshots(ctx, t, keep, minSnapshots); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "expire snapshots failed, will retry", "table", t, "err", err)
		}
	}
}

// keepSnapshots returns how old a snapshot may be: Config.KeepSnapshots, or more while
// an older one is read.
func keepSnapshots(ctx context.Context, s *Service) (time.Duration, error) {
	keep := s.cfg.KeepSnapshots
	if s.deps.OldestRead == nil {
		return keep, nil
	}
	oldest, err := s.deps.OldestRead(ctx)
	if err == nil && !oldest.IsZero() {
		keep = max(keep, time.Since(oldest)+time.Minute) // clocks differ
	}
	return keep, err
}

// evolveLayout makes runs of what is written from now on, as soon as no processor
// lives that does not know them. It reports whether it need not be called again.
func evolveLayout(ctx context.Context, s *Service) bool {
	if s.deps.AdoptRuns == nil {
		return true
	}
	adopted, err := s.deps.AdoptRuns(ctx)
	if adopted && err == nil {
		err = lake.EvolveLayout(ctx, s.deps.Lake)
	}
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "evolve the layout of the lake failed, will retry", "err", err)
	}
	return adopted && err == nil
}

// awaitLayout calls evolveLayout until it has succeeded or ctx ends.
func awaitLayout(ctx context.Context, s *Service) error {
	for !evolveLayout(ctx, s) && ctx.Err() == nil {
		sleep(ctx, evolveEvery)
	}
	return nil
}

// Warning says what should be looked at although s makes progress; "" if nothing.
func Warning(s *Service) string {
	if n := s.commits.waiting.Load(); n > manyRuns {
		return fmt.Sprintf("%d data files of a table wait to be merged, commits pause until they are fewer", n)
	}
	return ""
}
