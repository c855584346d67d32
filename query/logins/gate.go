package logins

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// errBusy means that too many others wait, or that the wait took too long.
var errBusy = errors.New("too many logins at once")

// gate lets few hashes run at once, and decides who is next: first those who
// logged in from there before, then those who have the least of their own before
// them. So a hundred guesses of one client stand behind the one login of
// another, however long they have waited.
type gate struct {
	wait    time.Duration // how long one waits
	waiting int           // how many wait, strangers and known each
	perAddr int           // how many of them from one address

	mu    sync.Mutex // protects the fields below
	free  int        // hashes that may begin
	queue []*place   // who waits, in order of arrival
	inUse []*place   // who computes
}

// place is one login at the gate.
type place struct {
	name  hash // of name and address
	addr  netip.Addr
	known bool

	ahead     [2]int        // of the same name and address, and of the same address, when it came
	ready     chan struct{} // closed when it may begin
	inherited bool          // it was given its turn; protected by gate.mu
}

// acquire waits for p's turn. After nil the caller must call release.
func (g *gate) acquire(ctx context.Context, p *place) error {
	if done, err := g.join(p); done {
		return err
	}
	timeout := time.NewTimer(g.wait)
	defer timeout.Stop()
	var err error
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = errBusy
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.inherited {
		return nil // its turn came at the same moment
	}
	g.queue = slices.DeleteFunc(g.queue, func(q *place) bool { return q == p })
	return err
}

// join begins at once where a hash is free, or takes a place in the queue.
func (g *gate) join(p *place) (done bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free > 0 {
		g.free--
		g.inUse = append(g.inUse, p)
		return true, nil
	}
	kin := 0
	for _, q := range slices.Concat(g.queue, g.inUse) {
		if q.known == p.known {
			kin++
		}
		if q.name == p.name {
			p.ahead[0]++
		}
		if q.addr == p.addr {
			p.ahead[1]++
		}
	}
	if kin >= g.waiting || p.ahead[1] >= g.perAddr && !p.known || p.ahead[0] >= g.perAddr {
		return true, errBusy
	}
	p.ready = make(chan struct{})
	g.queue = append(g.queue, p)
	return false, nil
}

// release gives p's hash to who is next.
func (g *gate) release(p *place) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inUse = slices.DeleteFunc(g.inUse, func(q *place) bool { return q == p })
	if len(g.queue) == 0 {
		g.free++
		return
	}
	next := slices.MinFunc(g.queue, before) // of equals, the first to come
	g.queue = slices.DeleteFunc(g.queue, func(q *place) bool { return q == next })
	g.inUse = append(g.inUse, next)
	next.inherited = true
	close(next.ready)
}

// before orders the queue.
func before(a, b *place) int {
	if a.known != b.known {
		if a.known {
			return -1
		}
		return 1
	}
	return slices.Compare(a.ahead[:], b.ahead[:])
}

// length returns how many wait.
func (g *gate) length() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queue)
}
