package processor

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/registry"
)

// Clocks are what the clock of this machine is judged by. The zero value judges
// nothing.
type Clocks struct {
	Boot   func() time.Duration             // since the machine started, with the time that it slept; nil where no such clock is known
	Others func(context.Context) []OtherNow // of other machines, asked at a start; nil means none
	Stops  *registry.ClockStops             // where a stop is recorded and accepted; required unless all is nil
}

// OtherNow is the time of another machine.
type OtherNow struct {
	Name string
	Now  time.Time
}

// clockGuard stops the shards of the process when the clock of the machine cannot be
// right. Log time follows that clock and never goes back: one jump of a year would
// drop a year of random ids that are used again as duplicates and close every day of
// it, for good and without a trace (schemas/DESIGN.md "Log time").
//
// Within the life of the process a jump is what the clock has gained over the clock
// since boot, which no one sets. Neither counts as a jump: time in which the machine
// sleeps, and time in which the process is not running. A clock that is put back does
// no harm, since log time then waits for it.
type clockGuard struct {
	id     string // of the process
	limit  time.Duration
	clocks Clocks
	log    *slog.Logger

	mu       sync.Mutex // guards what follows
	wall     time.Time  // when boot was booted, without a monotonic reading
	booted   time.Duration
	loaded   bool                // what an earlier life of the process recorded has been read
	compared bool                // the clock was compared at this start
	stop     *registry.ClockStop // why the shards are stopped; nil: they are not
	reason   stopReason          // of stop
}

// stopReason is why the clock cannot be right, which says when it is right again.
type stopReason int

const (
	jumped   stopReason = iota // it has gained on the clock since boot
	earlier                    // an earlier life of the process stopped at an earlier time
	disputed                   // no other machine has such a time
)

// clockError stops a shard.
type clockError struct{ ahead time.Duration }

func (e clockError) Error() string {
	return fmt.Sprintf("the clock of this machine is %s ahead of where it should be, more than processor.max_clock_jump: log time would follow it for good. "+
		"Set the clock right, or if it is right: weir admin accept-clock", e.ahead.Round(time.Second))
}

func newClockGuard(cfg Config, clocks Clocks, log *slog.Logger) *clockGuard {
	c := &clockGuard{id: cfg.ID, limit: cfg.MaxClockJump, clocks: clocks, log: log, loaded: clocks.Stops == nil}
	c.anchor()
	return c
}

// anchor takes the clock as right from now on. The caller holds the lock, or is alone.
func (c *clockGuard) anchor() {
	c.wall = time.Now().Round(0)
	if c.clocks.Boot != nil {
		c.booted = c.clocks.Boot()
	}
}

// ahead returns what the clock has gained on the clock since boot. The caller holds the
// lock.
func (c *clockGuard) ahead(now time.Time) time.Duration {
	if c.clocks.Boot == nil {
		return 0
	}
	return now.Round(0).Sub(c.wall) - (c.clocks.Boot() - c.booted)
}

// now returns the time, or an error if it cannot be right.
func (c *clockGuard) now() (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.stop != nil {
		return now, clockError{c.stop.Ahead}
	}
	if ahead := c.ahead(now); ahead > c.limit {
		return now, clockError{ahead}
	}
	return now, nil
}

// check returns nil when the clock may be followed. It is called before a shard is
// taken over: it records a stop where the operator finds it, and goes on once the clock
// is right again or the operator has accepted it.
func (c *clockGuard) check(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if err := c.load(ctx, now); err != nil {
		return err
	}
	if ahead := c.ahead(now); c.stop == nil && ahead > c.limit {
		if err := c.hold(ctx, now, ahead, jumped); err != nil {
			return err
		}
	}
	if c.stop == nil {
		return nil
	}
	return c.resume(ctx, now)
}

// resume ends the stop if the clock is right again or the operator has accepted it,
// and returns the stop's error if neither. The caller holds the lock.
func (c *clockGuard) resume(ctx context.Context, now time.Time) error {
	recorded, known, err := c.clocks.Stops.Get(ctx, c.id)
	if err != nil {
		return err
	}
	right, accepted := c.rightAgain(ctx, now), known && recorded.Accepted
	if !right && !accepted {
		return clockError{c.stop.Ahead}
	}
	if err := c.clocks.Stops.Delete(ctx, c.id); err != nil {
		return err
	}
	c.log.WarnContext(ctx, "clock taken as right, shards go on", "accepted", accepted, "was_ahead", c.stop.Ahead)
	if !right {
		c.anchor()
		c.compared = true
	}
	c.stop = nil
	return nil
}

// rightAgain reports whether what stopped the shards is over. The caller holds the lock.
func (c *clockGuard) rightAgain(ctx context.Context, now time.Time) bool {
	if c.reason == jumped {
		return c.ahead(now) <= c.limit
	}
	return c.reason == earlier && now.Before(c.stop.At) || c.confirmed(ctx, now)
}

// load reads once what an earlier life of the process has recorded: a restart alone
// must not pass for the word of an operator. The caller holds the lock.
func (c *clockGuard) load(ctx context.Context, now time.Time) error {
	if c.loaded {
		return nil
	}
	recorded, known, err := c.clocks.Stops.Get(ctx, c.id)
	if err != nil {
		return err
	}
	if known && !recorded.Accepted && !now.Before(recorded.At) {
		c.stop, c.reason = &recorded, earlier
	} else if known {
		if err := c.clocks.Stops.Delete(ctx, c.id); err != nil {
			return err
		}
		c.compared = recorded.Accepted
	}
	c.loaded = true
	return nil
}

// hold stops all shards of the process. The caller holds the lock.
func (c *clockGuard) hold(ctx context.Context, now time.Time, ahead time.Duration, reason stopReason) error {
	stop := registry.ClockStop{Processor: c.id, At: now.Round(0), Ahead: ahead}
	if err := c.clocks.Stops.Put(ctx, stop); err != nil {
		return err
	}
	c.stop, c.reason = &stop, reason
	c.log.ErrorContext(ctx, "clock cannot be right, shards are stopped", "err", clockError{ahead})
	return nil
}

// compare is called before a shard goes on at logTime. Where log time would move by
// more than a jump may, this start needs the word of another machine: it cannot know
// how long the process was not running. Where no other machine is known the clock is
// taken with a warning, and once a start is enough.
func (c *clockGuard) compare(ctx context.Context, logTime int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	gap := now.Sub(time.UnixMilli(logTime))
	if gap < -c.limit {
		c.log.WarnContext(ctx, "log time is ahead of the clock: until the clock has passed it, days do not close and random ids do not expire", "ahead", -gap)
	}
	if c.compared || gap <= c.limit {
		return nil
	}
	others := c.others(ctx)
	if len(others) == 0 {
		c.compared = true
		if logTime > 0 {
			c.log.WarnContext(ctx, "clock taken as right, since all parts share one machine: log time moves by more than processor.max_clock_jump", "by", gap)
		}
		return nil
	}
	if ahead := aheadOfAll(now, others); ahead > c.limit {
		if err := c.hold(ctx, now, ahead, disputed); err != nil {
			return err
		}
		return clockError{ahead}
	}
	c.compared = true
	return nil
}

func (c *clockGuard) others(ctx context.Context) []OtherNow {
	if c.clocks.Others == nil {
		return nil
	}
	return c.clocks.Others(ctx)
}

// confirmed reports whether another machine has about the same time by now.
func (c *clockGuard) confirmed(ctx context.Context, now time.Time) bool {
	others := c.others(ctx)
	return len(others) > 0 && aheadOfAll(now, others) <= c.limit
}

// aheadOfAll returns how far now is ahead of the latest of the others: one that is
// behind may be wrong itself, but hardly all of them.
func aheadOfAll(now time.Time, others []OtherNow) time.Duration {
	ahead := now.Sub(others[0].Now)
	for _, o := range others[1:] {
		ahead = min(ahead, now.Sub(o.Now))
	}
	return ahead
}

// exportClock registers the metric of a clock that cannot be right.
func exportClock(c *clockGuard, reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_processor_clock_stopped",
		Help: "1 while the shards of this process are stopped because the clock of the machine cannot be right, else 0.",
	}, func() float64 {
		if _, err := c.now(); err != nil {
			return 1
		}
		return 0
	}))
}
