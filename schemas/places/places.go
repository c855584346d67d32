// Package places shares a number of places among accounts, so that the work of
// one never keeps that of another waiting.
//
// It promises:
//
//   - At most Config.Places places are taken at once, and at most Config.Open
//     are begun and not ended: those that are taken, and those that are lent.
//   - An account takes more than a quarter of either only while nobody of another
//     account waits and another quarter stays free, and of the places never more
//     than Config.Alone, or Config.Shared where another account was here lately. So
//     an account that comes later finds a place at once, and what runs already leaves
//     it a share of the processors.
//   - Of those that wait, the account with the fewest places comes first, and the
//     one that has waited longest among equals. Within an account it is first
//     come, first served; who takes back a place that was lent comes before those
//     who begin.
//   - Nobody waits longer than Config.Wait to begin. Then, or at once where
//     Config.Waiting of the account wait already, Acquire fails with ErrBusy.
//   - Whoever waits for the network lends its place: see Place.Lend.
//
// It starts no goroutine and knows nothing but names of accounts.
package places

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBusy reports that no place came free in time.
var ErrBusy = errors.New("no place came free in time")

const (
	share     = 4                     // an account takes 1/share of the places while others wait
	lendAfter = 20 * time.Millisecond // of waiting; a client that reads as fast as we write keeps its place
	lately    = 10 * time.Second      // who began within it may come again at any time
)

// Config says how many places there are. Places and Wait are required.
type Config struct {
	Places  int           // taken at once
	Alone   int           // taken by one account; 0 means Places
	Shared  int           // taken by one account when another one began within the last 10 s; 0 means Alone
	Open    int           // taken or lent at once; 0 means Places
	Wait    time.Duration // how long Acquire waits
	Waiting int           // of one account; 0 means 16 for each place
}

// Places is a number of places. It is safe for concurrent use.
type Places struct {
	cfg Config

	mu       sync.Mutex
	taken    int // places
	open     int // taken or lent
	waiting  int // of all accounts
	arrivals int64
	visits   [2]visit            // the latest of each of the two accounts that came last
	accounts map[string]*account // that have or want a place
}

// visit says when an account wanted to begin.
type visit struct {
	account string
	at      time.Time
}

// account is what one account has and wants.
type account struct {
	name        string
	taken, open int
	back        []*waiter // who lent a place and wants it back
	fresh       []*waiter // who want to begin
}

// waiter is one that waits. ready is closed, under the lock, when it has its
// place.
type waiter struct {
	ready   chan struct{}
	arrived int64
}

// Usage is what is taken, taken or lent, and waited for.
type Usage struct{ Taken, Open, Waiting int }

// New returns places that are all free.
func New(cfg Config) *Places {
	cfg.Alone = cmp.Or(cfg.Alone, cfg.Places)
	cfg.Shared = cmp.Or(cfg.Shared, cfg.Alone)
	cfg.Open = max(cfg.Open, cfg.Places)
	cfg.Waiting = cmp.Or(cfg.Waiting, 16*cfg.Places)
	return &Places{cfg: cfg, accounts: map[string]*account{}}
}

// Usage says how the places are used now.
func (p *Places) Usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Usage{p.taken, p.open, p.waiting}
}

// Acquire waits for a place of the account. The caller releases it.
func (p *Places) Acquire(ctx context.Context, name string) (*Place, error) {
	pl := &Place{places: p, account: name, gone: ctx.Done()}
	p.mu.Lock()
	p.visit(name)
	a := p.of(name)
	if len(a.fresh) >= p.cfg.Waiting {
		p.forget(a)
		p.mu.Unlock()
		return nil, ErrBusy
	}
	w := p.enqueue(&a.fresh)
	p.mu.Unlock()
	if isReady(w) { // of a free place nobody waits, and no timer is made
		return pl, nil
	}
	wait := time.NewTimer(p.cfg.Wait)
	defer wait.Stop()
	select {
	case <-w.ready:
		return pl, nil
	case <-ctx.Done():
		p.abandon(pl, w)
		return nil, fmt.Errorf("wait for a place: %w", ctx.Err())
	case <-wait.C:
		p.abandon(pl, w)
		return nil, ErrBusy
	}
}

// of returns the account, which is forgotten again when it has and wants nothing.
func (p *Places) of(name string) *account {
	a, ok := p.accounts[name]
	if !ok {
		a = &account{name: name}
		p.accounts[name] = a
	}
	return a
}

func (p *Places) forget(a *account) {
	if a.open == 0 && len(a.back)+len(a.fresh) == 0 {
		delete(p.accounts, a.name)
	}
}

// enqueue adds a waiter, and gives out what is free.
func (p *Places) enqueue(queue *[]*waiter) *waiter {
	p.arrivals++
	w := &waiter{ready: make(chan struct{}), arrived: p.arrivals}
	*queue = append(*queue, w)
	p.waiting++
	p.give()
	return w
}

func isReady(w *waiter) bool {
	select {
	case <-w.ready:
		return true
	default:
		return false
	}
}

// give gives free places to those that may have one, until there is none of
// either.
func (p *Places) give() {
	for p.taken < p.cfg.Places {
		var next *account
		for _, a := range p.accounts {
			if p.mayTake(a) && (next == nil || a.before(next)) {
				next = a
			}
		}
		if next == nil {
			return
		}
		p.waiting--
		p.taken++
		next.taken++
		queue := &next.back
		if len(*queue) == 0 {
			queue = &next.fresh
			p.open++
			next.open++
		}
		close((*queue)[0].ready)
		*queue = (*queue)[1:]
	}
}

// mayTake reports whether the first that waits of a may have a place that is free.
func (p *Places) mayTake(a *account) bool {
	others := p.waiting > len(a.back)+len(a.fresh)
	switch {
	case len(a.back) > 0:
		return p.mayTakeMore(a, others)
	case len(a.fresh) > 0:
		return p.mayTakeMore(a, others) && within(a.open, p.open, p.cfg.Open, others)
	}
	return false
}

func (p *Places) mayTakeMore(a *account, others bool) bool {
	most := p.cfg.Alone
	if p.shared(a) {
		most = p.cfg.Shared
	}
	return a.taken < most && within(a.taken, p.taken, p.cfg.Places, others)
}

// visit notes that an account wants to begin.
func (p *Places) visit(name string) {
	if p.visits[0].account != name {
		p.visits[1] = p.visits[0]
	}
	p.visits[0] = visit{account: name, at: time.Now()}
}

// shared reports whether another account than a was here lately.
func (p *Places) shared(a *account) bool {
	other := p.visits[0]
	if other.account == a.name {
		other = p.visits[1]
	}
	return !other.at.IsZero() && time.Since(other.at) < lately
}

// within reports whether an account that has some of all places, of which taken
// are not free, may have another one.
func within(has, taken, all int, others bool) bool {
	quarter := max(1, all/share)
	return taken < all && (has < quarter || !others && all-taken > quarter)
}

// before reports whether a comes before b.
func (a *account) before(b *account) bool {
	return cmp.Or(cmp.Compare(a.taken, b.taken), cmp.Compare(a.first().arrived, b.first().arrived)) < 0
}

// first returns the one of a that is served next.
func (a *account) first() *waiter {
	if len(a.back) > 0 {
		return a.back[0]
	}
	return a.fresh[0]
}

// abandon takes a waiter off its queue, or releases the place that it got
// meanwhile.
func (p *Places) abandon(pl *Place, w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.of(pl.account)
	if isReady(w) {
		p.taken--
		a.taken--
		p.open--
		a.open--
	} else {
		a.fresh = remove(a.fresh, w)
		p.waiting--
	}
	p.forget(a)
	p.give()
}

func remove(queue []*waiter, w *waiter) []*waiter {
	for i := range queue {
		if queue[i] == w {
			return append(queue[:i:i], queue[i+1:]...)
		}
	}
	return queue
}

// Place is one place that an account has. It belongs to one goroutine. The nil
// Place is one of which nobody keeps count.
type Place struct {
	places  *Places
	account string
	gone    <-chan struct{} // closed when the one who asked has gone
	left    bool            // by Leave

	blocked bool // guarded by places.mu: Lend waits for its function
	lent    bool // guarded by places.mu: the place is not taken just now
	ended   bool // guarded by places.mu
}

// Lend runs fn, which may wait for the network. If it does for long, others have
// the place meanwhile, and Lend waits until it has one again. It returns the error
// of fn alone.
func (pl *Place) Lend(fn func() error) error {
	if pl == nil || pl.left {
		return fn()
	}
	p := pl.places
	p.mu.Lock()
	pl.blocked = true
	p.mu.Unlock()
	late := time.AfterFunc(lendAfter, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if pl.blocked {
			pl.giveBack()
		}
	})
	err := fn()
	late.Stop()
	p.mu.Lock()
	pl.blocked = false
	lent := pl.lent
	p.mu.Unlock()
	if lent && err == nil {
		pl.takeBack()
	}
	return err
}

// takeBack waits until a place that was lent is taken again, or the one who asked
// has gone: what follows then notices that nobody reads any more.
func (pl *Place) takeBack() {
	p := pl.places
	p.mu.Lock()
	a := p.of(pl.account)
	w := p.enqueue(&a.back)
	p.mu.Unlock()
	select {
	case <-w.ready:
	case <-pl.gone:
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if isReady(w) {
		pl.lent = false
		return
	}
	a.back = remove(a.back, w)
	p.waiting--
	p.give()
}

// Leave gives the place back for good before Release: what is left is to send what
// was made, which still counts as open.
func (pl *Place) Leave() {
	if pl == nil {
		return
	}
	pl.left = true
	pl.places.mu.Lock()
	defer pl.places.mu.Unlock()
	pl.giveBack()
}

// giveBack makes the place free for others. The caller holds the lock.
func (pl *Place) giveBack() {
	if pl.lent || pl.ended {
		return
	}
	pl.lent = true
	pl.places.taken--
	pl.places.of(pl.account).taken--
	pl.places.give()
}

// Release ends the use of the place. A second call does nothing.
func (pl *Place) Release() {
	if pl == nil {
		return
	}
	p := pl.places
	p.mu.Lock()
	defer p.mu.Unlock()
	if pl.ended {
		return
	}
	pl.ended = true
	a := p.of(pl.account)
	if !pl.lent {
		p.taken--
		a.taken--
	}
	p.open--
	a.open--
	p.forget(a)
	p.give()
}
