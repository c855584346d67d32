package places

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// take acquires a place that must be free.
func take(t *testing.T, p *Places, name string) *Place {
	t.Helper()
	done := make(chan *Place, 1)
	go func() {
		if pl, err := p.Acquire(t.Context(), name); err == nil {
			done <- pl
		}
	}()
	synctest.Wait()
	select {
	case pl := <-done:
		return pl
	default:
		t.Fatalf("no place for %s, with %+v", name, p.Usage())
		return nil
	}
}

// TestNoAccountKeepsAnotherWaiting: one account asks for all places; the next finds
// one at once, and gets those that come free until both have a quarter.
func TestNoAccountKeepsAnotherWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Places: 16, Wait: 10 * time.Second})
		var greedy []*Place
		for range 12 {
			greedy = append(greedy, take(t, p, "greedy"))
		}
		got := make(chan error, 100)
		for range 20 {
			go func() {
				_, err := p.Acquire(t.Context(), "greedy")
				got <- err
			}()
		}
		synctest.Wait()
		if used := p.Usage(); used != (Usage{12, 12, 20}) {
			t.Fatalf("one account uses %+v, want 12 places at most", used)
		}
		for range 4 {
			take(t, p, "neighbour")
		}
		for range 3 { // the reserve comes first
			greedy[0].Release()
			greedy = greedy[1:]
		}
		synctest.Wait()
		if used := p.Usage(); used != (Usage{13, 13, 20}) {
			t.Errorf("with a quarter free again: %+v", used)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(got) != 20 || p.Usage().Waiting != 0 {
			t.Fatalf("after Config.Wait %d have an answer, %+v", len(got), p.Usage())
		}
		for range 20 {
			if err := <-got; !errors.Is(err, ErrBusy) {
				t.Errorf("%v, want ErrBusy", err)
			}
		}
	})
}

// TestAloneIsBounded: one account alone takes Config.Alone places.
func TestAloneIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for alone, want := range map[int]int{0: 12, 2: 2, 6: 6, 100: 12} {
			p := New(Config{Places: 16, Alone: alone, Wait: time.Millisecond})
			for range 16 {
				go p.Acquire(t.Context(), "greedy") // those that wait fail
			}
			synctest.Wait()
			if used := p.Usage(); used.Taken != want {
				t.Errorf("Alone %d: one account takes %d places, want %d", alone, used.Taken, want)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestLentPlaceIsFree: while an answer waits for its client, others have its place;
// it takes it back before those who begin, and a quick client keeps it.
func TestLentPlaceIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Places: 1, Open: 4, Wait: time.Minute})
		slow := take(t, p, "slow")
		if err := slow.Lend(func() error { time.Sleep(lendAfter - 1); return nil }); err != nil || p.Usage().Taken != 1 {
			t.Fatalf("%v, %+v", err, p.Usage())
		}
		ended := make(chan struct{})
		go func() {
			slow.Lend(func() error { time.Sleep(10 * time.Second); return nil })
			close(ended)
		}()
		time.Sleep(lendAfter)
		other := take(t, p, "other")
		if used := p.Usage(); used != (Usage{1, 2, 0}) {
			t.Errorf("usage = %+v", used)
		}
		later := make(chan *Place, 1)
		go func() {
			time.Sleep(time.Second)
			pl, _ := p.Acquire(t.Context(), "slow")
			later <- pl
		}()
		time.Sleep(10 * time.Second)
		select {
		case <-ended:
			t.Error("two have one place")
		default:
		}
		other.Release()
		synctest.Wait()
		<-ended
		if len(later) != 0 {
			t.Error("who began later came first")
		}
		slow.Leave()
		(<-later).Release()
		if err := slow.Lend(func() error { time.Sleep(time.Hour); return errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		slow.Release()
		slow.Release()
		if used := p.Usage(); used != (Usage{}) || len(p.accounts) != 0 {
			t.Errorf("at the end %+v, accounts %v", used, p.accounts)
		}
	})
}

// TestOpenPlacesAreBounded: places that are lent count, by account as well; what
// waits too long or is too much is ErrBusy, and who goes away leaves nothing.
func TestOpenPlacesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Places: 4, Open: 8, Wait: time.Second, Waiting: 2})
		for range 6 {
			take(t, p, "slow").Leave()
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := p.Acquire(ctx, "slow")
				got <- err
			}()
		}
		synctest.Wait()
		if _, err := p.Acquire(t.Context(), "slow"); !errors.Is(err, ErrBusy) {
			t.Errorf("third that waits: %v", err)
		}
		take(t, p, "neighbour").Leave()
		cancel()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("gone: %v", err)
		}
		<-got
		begun := time.Now()
		if _, err := p.Acquire(t.Context(), "slow"); !errors.Is(err, ErrBusy) || time.Since(begun) != time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		if used := p.Usage(); used != (Usage{0, 7, 0}) {
			t.Errorf("usage = %+v", used)
		}
	})
}

// TestRandomArrivals: accounts come, wait, lend, go away and end at random. After
// each step no place is free that somebody is entitled to, and nobody has grown
// beyond a quarter while another waited.
func TestRandomArrivals(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			cfg := Config{Places: 1 + r.IntN(20), Wait: time.Duration(1+r.IntN(5)) * time.Second}
			cfg.Open = cfg.Places * (1 + r.IntN(3))
			w := world{t: t, p: New(cfg), r: r}
			for range 300 {
				before := w.state()
				step := r.IntN(8)
				switch step {
				case 0, 1, 2:
					w.arrive()
				case 3, 4:
					w.with(func(pl *Place) { pl.Release() })
				case 5:
					blocked := time.Duration(r.IntN(100)) * time.Millisecond
					w.with(func(pl *Place) { pl.Lend(func() error { time.Sleep(blocked); return nil }); w.held <- pl })
				case 6:
					w.with(func(pl *Place) { pl.Leave(); w.held <- pl })
				case 7:
					time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
				}
				synctest.Wait()
				w.check(before, step == 7)
			}
			time.Sleep(cfg.Wait)
			for synctest.Wait(); len(w.held) > 0; synctest.Wait() {
				(<-w.held).Release()
				time.Sleep(cfg.Wait)
			}
			if used := w.p.Usage(); used != (Usage{}) || len(w.p.accounts) != 0 {
				t.Errorf("seed %d: at the end %+v, accounts %v", seed, used, w.p.accounts)
			}
		})
	}
}

type world struct {
	t    *testing.T
	p    *Places
	r    *rand.Rand
	held chan *Place
}

func (w *world) arrive() {
	if w.held == nil {
		w.held = make(chan *Place, 1000)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.r.IntN(8000))*time.Millisecond)
	name := strconv.Itoa(w.r.IntN(6))
	go func() {
		if pl, err := w.p.Acquire(ctx, name); err == nil {
			w.held <- pl
			return
		}
		cancel()
	}()
}

// with does something with a place that is held.
func (w *world) with(do func(*Place)) {
	select {
	case pl := <-w.held:
		go do(pl)
	default:
	}
}

// state returns what each account has and how many of it wait.
func (w *world) state() map[string][2]int {
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	all := map[string][2]int{}
	for name, a := range w.p.accounts {
		all[name] = [2]int{a.taken, len(a.back) + len(a.fresh)}
	}
	return all
}

func (w *world) check(before map[string][2]int, timePassed bool) {
	w.t.Helper()
	used, quarter, open := w.p.Usage(), max(1, w.p.cfg.Places/4), max(1, w.p.cfg.Open/4)
	if used.Taken > w.p.cfg.Places || used.Open > w.p.cfg.Open || used.Taken < 0 || used.Open < used.Taken {
		w.t.Fatalf("%+v of %+v", used, w.p.cfg)
	}
	after := w.state()
	othersWait := func(name string) bool {
		for other := range after {
			if other != name && before[other][1] > 0 && after[other][1] > 0 {
				return true
			}
		}
		return false
	}
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	for name, has := range after {
		a := w.p.accounts[name]
		entitled := len(a.back) > 0 || len(a.fresh) > 0 && a.open < open && used.Open < w.p.cfg.Open
		if entitled && has[0] < quarter && used.Taken < w.p.cfg.Places {
			w.t.Fatalf("%s has %d and waits, while %+v of %+v", name, has[0], used, w.p.cfg)
		}
		if !timePassed && has[0] > max(quarter, before[name][0]) && othersWait(name) {
			w.t.Fatalf("%s has %d after %d, while others wait: %v, %v", name, has[0], before[name][0], before, after)
		}
	}
}

// TestSharedIsBounded: while another account was here within 10 s, an account takes
// Config.Shared places, though nobody waits; also where others of its own came since.
func TestSharedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Places: 16, Alone: 6, Shared: 2, Wait: time.Millisecond})
		takes := func(want int) {
			t.Helper()
			var mine []*Place
			for range 8 {
				if pl, err := p.Acquire(t.Context(), "mine"); err == nil {
					mine = append(mine, pl)
				}
			}
			if len(mine) != want {
				t.Errorf("the account takes %d places, want %d", len(mine), want)
			}
			for _, pl := range mine {
				pl.Release()
			}
		}
		takes(6)
		take(t, p, "neighbour").Release()
		takes(2)
		time.Sleep(9 * time.Second)
		takes(2)
		time.Sleep(time.Second)
		takes(6)
	})
}
