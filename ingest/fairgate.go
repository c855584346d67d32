package ingest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// gate lets only so much through at once, and accounts by turns: one account with
// a thousand requests in the queue makes another one wait for one of them. The
// requests of an account go in the order in which they came.
type gate struct {
	capacity int64

	mu     sync.Mutex // guards what follows
	inside int64
	queues []*gateQueue // of the accounts that wait; the first one is next
}

// gateQueue is the requests of one account that wait, first come first.
type gateQueue struct {
	account *share
	waiters []*gateWaiter
}

type gateWaiter struct {
	n    int64
	come chan struct{} // closed when it is inside
}

// acquire lets n through, at most the capacity, or returns an overError when its
// turn has not come within wait. The caller must release the n that it returns.
func (g *gate) acquire(ctx context.Context, account *share, n int64, wait time.Duration) (int64, error) {
	n = min(n, g.capacity)
	g.mu.Lock()
	if len(g.queues) == 0 && g.inside+n <= g.capacity {
		g.inside += n
		g.mu.Unlock()
		return n, nil
	}
	w := g.enqueue(account, n)
	g.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.come:
		return n, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.come: // in this moment
		return n, nil
	default:
	}
	own := g.leaveQueue(account, w)
	g.admit()                                          // the one behind it may need less
	if own || len(g.queues) == 0 || ctx.Err() != nil { // nobody reads the answer to a request that has ended
		return 0, &overError{who: overAccount, what: "turn"}
	}
	return 0, &overError{who: overWhole, what: "turn"}
}

// enqueue appends a request to the queue of its account. The caller holds the lock.
func (g *gate) enqueue(account *share, n int64) *gateWaiter {
	w := &gateWaiter{n: n, come: make(chan struct{})}
	i := slices.IndexFunc(g.queues, func(q *gateQueue) bool { return q.account == account })
	if i < 0 {
		i, g.queues = len(g.queues), append(g.queues, &gateQueue{account: account})
	}
	g.queues[i].waiters = append(g.queues[i].waiters, w)
	return w
}

// leaveQueue takes back a request that has not come in. It reports whether others
// of its account wait. The caller holds the lock.
func (g *gate) leaveQueue(account *share, w *gateWaiter) (others bool) {
	i := slices.IndexFunc(g.queues, func(q *gateQueue) bool { return q.account == account })
	q := g.queues[i]
	q.waiters = slices.DeleteFunc(q.waiters, func(o *gateWaiter) bool { return o == w })
	if len(q.waiters) > 0 {
		return true
	}
	g.queues = slices.Delete(g.queues, i, i+1)
	return false
}

// release gives back what acquire returned.
func (g *gate) release(n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= n
	g.admit()
}

// admit lets in who is next, as far as there is room. The caller holds the lock.
// Nobody is passed over for being large: it would never come in.
func (g *gate) admit() {
	for len(g.queues) > 0 {
		q := g.queues[0]
		w := q.waiters[0]
		if g.inside+w.n > g.capacity {
			return
		}
		g.inside += w.n
		close(w.come)
		q.waiters = q.waiters[1:]
		g.queues = append(g.queues[:0], g.queues[1:]...)
		if len(q.waiters) > 0 {
			g.queues = append(g.queues, q)
		}
	}
}

// waiting returns how many requests wait.
func (g *gate) waiting() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range g.queues {
		n += len(q.waiters)
	}
	return n
}
