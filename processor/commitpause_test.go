package processor

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// liveSnapshots returns how many snapshots of events the store of b has, and how
// old the oldest is.
func liveSnapshots(t *testing.T, b *laketest.Backend) (n int, oldest time.Duration) {
	t.Helper()
	for o, err := range b.Store.List(t.Context(), "events/metadata/snap-") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		oldest = max(oldest, time.Since(o.Modified))
	}
	return n, oldest
}

// TestCommitsPauseInsteadOfExpiringYoungSnapshots commits three cuts a second,
// more than a backfill does. All snapshots of the time that is promised must be there, and
// they must be few all the same.
func TestCommitsPauseInsteadOfExpiringYoungSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := laketest.New()
		l, err := b.Open(t.Context(), lake.Config{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMetrics(nil)
		if err != nil {
			t.Fatal(err)
		}
		const keep = 150 * time.Second
		cfg := Config{KeepSnapshots: keep}.withDefaults()
		log := slog.New(slog.DiscardHandler)
		s := &Service{cfg: cfg, deps: Deps{Lake: l}, log: log, metrics: m, commits: newCommitter(cfg, l, m, log)}
		s.clock = newClockGuard(cfg, Clocks{}, log)
		s.shards = map[int32]*ownership{maintenanceShard: {}}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = s.commits.run(ctx, ctx.Done()) }()
		go func() { _ = s.expireSnapshots(ctx) }()

		begun := time.Now()
		for next := int64(0); time.Since(begun) < keep+2*expireEvery; next++ {
			time.Sleep(300 * time.Millisecond)
			c := &sealedCut{id: fmt.Sprint("cut-", next), from: next, to: lake.ShardState{Next: next + 1}, sealedAt: time.Now()}
			if err := s.commits.commit(ctx, c, nil, false); err != nil {
				t.Fatal(err)
			}
		}
		n, oldest := liveSnapshots(t, b)
		if n <= manySnapshots || n > manySnapshots+200 { // 500 without pauses
			t.Errorf("%d live snapshots, want %d and some", n, manySnapshots)
		}
		if oldest < keep-maxCommitPause || oldest > keep+2*expireEvery {
			t.Errorf("the oldest snapshot is %s old, want about %s", oldest, keep)
		}
	})
}

// TestPauseBetweenCommits checks that the pause begins at 100 snapshots or 256 runs that
// wait, and is bounded.
func TestPauseBetweenCommits(t *testing.T) {
	for at, want := range map[[2]int]time.Duration{
		{0, 0}: 0, {100, 256}: 0, {101, 0}: 5 * time.Millisecond, {300, 0}: time.Second, {10_000, 0}: maxCommitPause,
		{0, 257}: 50 * time.Millisecond, {101, 257}: 55 * time.Millisecond, {0, 1000}: maxCommitPause,
	} {
		if got := pauseAt(at[0], at[1], maxCommitPause); got != want {
			t.Errorf("%d snapshots, %d runs: pause of %s, want %s", at[0], at[1], got, want)
		}
	}
}

// TestReadyCutsShareACommit submits the cuts of three shards one after the other. Those
// that are ready within a second share a commit, and none waits longer for another.
func TestReadyCutsShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := laketest.New()
		l, err := b.Open(t.Context(), lake.Config{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMetrics(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := newCommitter(Config{}.withDefaults(), l, m, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = c.run(ctx, ctx.Done()) }()
		begun := time.Now()
		took := make(chan time.Duration)
		for shard, ready := range []time.Duration{0, 900 * time.Millisecond, 1500 * time.Millisecond} {
			c.expect()
			go func() {
				time.Sleep(ready)
				cut := &sealedCut{id: fmt.Sprint(shard), shard: int32(shard), to: lake.ShardState{Next: 1}, sealedAt: time.Now()}
				if err := c.commit(ctx, cut, nil, true); err != nil {
					t.Error(err)
				}
				took <- time.Since(begun)
			}()
		}
		for shard, want := range []time.Duration{time.Second, time.Second, 1500 * time.Millisecond} {
			if got := <-took; got != want {
				t.Errorf("commit %d ended after %s, want %s", shard, got, want)
			}
		}
		if n, _ := liveSnapshots(t, b); n != 2 {
			t.Errorf("%d snapshots, want 2", n)
		}
		if n := c.expected.Load(); n != 0 {
			t.Errorf("%d cuts are still expected", n)
		}
	})
}
