package processor

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/schemas/lake"
	"weir/schemas/registry"
)

const year = 365 * 24 * time.Hour

// bootClock counts with the clock of the bubble, less what that clock has jumped.
type bootClock struct {
	since time.Time
	jumps atomic.Int64 // nanoseconds
}

func newBootClock() *bootClock { return &bootClock{since: time.Now()} }

func (b *bootClock) read() time.Duration {
	return time.Since(b.since) - time.Duration(b.jumps.Load())
}

// jump makes the clock of the machine gain d on the clock since boot.
func (b *bootClock) jump(d time.Duration) { b.jumps.Add(int64(d)) }

// TestClockGuard tells the guard of one process a story for each case, and asks whether
// the shards are stopped at its end. Log time is that of the begin of the story.
func TestClockGuard(t *testing.T) {
	type world struct {
		t      *testing.T
		boot   *bootClock
		others []OtherNow
		guard  *clockGuard
		stops  *registry.ClockStops
		start  func() // the process ends and another one with its name starts
	}
	elsewhere := func(w *world, ahead ...time.Duration) {
		w.others = nil
		for i, d := range ahead {
			w.others = append(w.others, OtherNow{Name: fmt.Sprint(i), Now: time.Now().Add(d)})
		}
	}
	cases := map[string]struct {
		story   func(w *world)
		stopped bool
	}{
		"nothing happens":                     {func(*world) {}, false},
		"asleep for a night":                  {func(*world) { time.Sleep(9 * time.Hour) }, false},
		"runs for a year":                     {func(*world) { time.Sleep(year) }, false},
		"a small step":                        {func(w *world) { w.boot.jump(50 * time.Minute) }, false},
		"small steps add up":                  {func(w *world) { w.boot.jump(50 * time.Minute); w.boot.jump(50 * time.Minute) }, true},
		"a year ahead while running":          {func(w *world) { w.boot.jump(year) }, true},
		"put back by a year":                  {func(w *world) { w.boot.jump(-year) }, false},
		"a year ahead, noticed, and put back": {func(w *world) { w.boot.jump(year); _ = w.guard.check(w.t.Context()); w.boot.jump(-year) }, false},
		"a year ahead, and accepted": {func(w *world) {
			w.boot.jump(year)
			_ = w.guard.check(w.t.Context())
			_, _ = w.stops.Accept(w.t.Context())
		}, false},
		"accepted once, and another jump": {func(w *world) {
			w.boot.jump(year)
			_ = w.guard.check(w.t.Context())
			_, _ = w.stops.Accept(w.t.Context())
			_ = w.guard.check(w.t.Context())
			w.boot.jump(2 * time.Hour)
		}, true},
		"a year ahead, and started anew": {func(w *world) {
			w.boot.jump(year)
			_ = w.guard.check(w.t.Context())
			w.start()
		}, true},
		"started anew, and accepted": {func(w *world) {
			w.boot.jump(year)
			_ = w.guard.check(w.t.Context())
			w.start()
			_ = w.guard.check(w.t.Context())
			_, _ = w.stops.Accept(w.t.Context())
		}, false},
		"off for a month, all on one machine": {func(w *world) { time.Sleep(30 * 24 * time.Hour); w.start() }, false},
		"off for a month, others agree": {func(w *world) {
			time.Sleep(30 * 24 * time.Hour)
			elsewhere(w, -year, time.Second)
			w.start()
		}, false},
		"others are a year behind": {func(w *world) {
			time.Sleep(30 * 24 * time.Hour)
			elsewhere(w, -year, -year-time.Hour)
			w.start()
		}, true},
		"others were behind": {func(w *world) {
			time.Sleep(30 * 24 * time.Hour)
			elsewhere(w, -year)
			w.start()
			_ = w.guard.check(w.t.Context())
			_ = w.guard.compare(w.t.Context(), 0)
			elsewhere(w, time.Second)
		}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "r.db")
			synctest.Test(t, func(t *testing.T) {
				r, err := registry.Open(t.Context(), "sqlite:"+path, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				w := &world{t: t, boot: newBootClock(), stops: registry.NewClockStops(r)}
				logTime := time.Now().UnixMilli()
				w.start = func() {
					w.guard = newClockGuard(Config{ID: "p", MaxClockJump: time.Hour}, Clocks{
						Boot: w.boot.read, Others: func(context.Context) []OtherNow { return w.others }, Stops: w.stops,
					}, slog.New(slog.DiscardHandler))
				}
				w.start()
				if err := w.guard.check(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.story(w)
				err = w.guard.check(t.Context())
				if err == nil {
					err = w.guard.compare(t.Context(), logTime)
				}
				_, now := w.guard.now()
				if (err != nil) != c.stopped || (now != nil) != c.stopped {
					t.Errorf("check = %v, now = %v; want that it stops: %t", err, now, c.stopped)
				}
				if err != nil && !strings.Contains(err.Error(), "weir admin accept-clock") {
					t.Errorf("%v: want what to do", err)
				}
			})
		})
	}
}

// TestJumpOfTheClockStopsLogTime lets the clock jump while events come. Log time stays
// until an operator accepts the clock; then the events are stored, each once.
func TestJumpOfTheClockStopsLogTime(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		boot := newBootClock()
		stops := registry.NewClockStops(w.registry)
		w.clocks = Clocks{Boot: boot.read, Stops: stops}
		p := w.start("p", Config{CutAge: cutAge})
		w.post(0, "a")
		time.Sleep(2 * cutAge)
		before := w.shardStates(lake.Events)[0].LogTime
		boot.jump(year)
		w.post(0, "b")
		time.Sleep(5 * time.Minute)
		if got := w.shardStates(lake.Events)[0]; got.LogTime != before || got.Counters.Stored != 1 {
			t.Errorf("after the jump events is at log time %d with %+v, want %d and one row", got.LogTime, got.Counters, before)
		}
		if err := p.service.Ready(); err == nil || !strings.Contains(err.Error(), "weir admin accept-clock") {
			t.Errorf("ready = %v, want what to do", err)
		}
		accepted, err := stops.Accept(t.Context())
		if err != nil || len(accepted) != 1 || accepted[0].Processor != "p" || accepted[0].Ahead < year-time.Hour {
			t.Errorf("accept = %+v, %v; want the stop of p", accepted, err)
		}
		time.Sleep(time.Minute)
		if err := p.service.Ready(); err != nil {
			t.Errorf("ready = %v after the clock was accepted", err)
		}
		p.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 2})
	})
}

// TestOffForAMonth goes on without an operator where all share one machine.
func TestOffForAMonth(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		w.clocks = Clocks{Boot: newBootClock().read, Stops: registry.NewClockStops(w.registry)}
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a") })
		time.Sleep(30 * 24 * time.Hour)
		w.start("p", Config{}).stopAfter(func() { w.post(0, "b") })
		w.wantCounters(0, lake.Counters{Stored: 2, Control: w.counters(0).Control})
	})
}
