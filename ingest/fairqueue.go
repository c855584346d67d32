package ingest

import (
	"context"
	"slices"
	"sync"
	"time"
)

// fairQueue lets only so much through at once, and accounts by turns: one account with
// a thousand requests in the queue makes another one wait for one of them. The
// requests of an account go in the order in which they came.
type fairQueue struct {
	capacity int64

	mu     sync.Mutex // guards what follows
	inside int64
	queues []*accountQueue // of the accounts that wait; the first one is next
}

// accountQueue is the requests of one account that wait, first come first.
type accountQueue struct {
	account *share
	waiters []*waiter
}

type waiter struct {
	n    int64
	come chan struct{} // closed when it is inside
}

// acquire lets n through, at most the capacity, or returns an overError when its
// turn has not come within wait. The caller must release the n that it returns.
func (f *fairQueue) acquire(ctx context.Context, account *share, n int64, wait time.Duration) (int64, error) {
	n = min(n, f.capacity)
	f.mu.Lock()
	if len(f.queues) == 0 && f.inside+n <= f.capacity {
		f.inside += n
		f.mu.Unlock()
		return n, nil
	}
	w := f.enqueue(account, n)
	f.mu.Unlock()

	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.come:
		return n, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-w.come: // in this moment
		return n, nil
	default:
	}
	own := f.leaveQueue(account, w)
	f.admit()                                          // the one behind it may need less
	if own || len(f.queues) == 0 || ctx.Err() != nil { // nobody reads the answer to a request that has ended
		return 0, &overError{who: overAccount, what: "turn"}
	}
	return 0, &overError{who: overWhole, what: "turn"}
}

// enqueue appends a request to the queue of its account. The caller holds the lock.
func (f *fairQueue) enqueue(account *share, n int64) *waiter {
	w := &waiter{n: n, come: make(chan struct{})}
	i := slices.IndexFunc(f.queues, func(q *accountQueue) bool { return q.account == account })
	if i < 0 {
		i, f.queues = len(f.queues), append(f.queues, &accountQueue{account: account})
	}
	f.queues[i].waiters = append(f.queues[i].waiters, w)
	return w
}

// leaveQueue takes back a request that has not come in. It reports whether others
// of its account wait. The caller holds the lock.
func (f *fairQueue) leaveQueue(account *share, w *waiter) (others bool) {
	i := slices.IndexFunc(f.queues, func(q *accountQueue) bool { return q.account == account })
	q := f.queues[i]
	q.waiters = slices.DeleteFunc(q.waiters, func(o *waiter) bool { return o == w })
	if len(q.waiters) > 0 {
		return true
	}
	f.queues = slices.Delete(f.queues, i, i+1)
	return false
}

// release gives back what acquire returned.
func (f *fairQueue) release(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inside -= n
	f.admit()
}

// admit lets in who is next, as far as there is room. The caller holds the lock.
// Nobody is passed over for being large: it would never come in.
func (f *fairQueue) admit() {
	for len(f.queues) > 0 {
		q := f.queues[0]
		w := q.waiters[0]
		if f.inside+w.n > f.capacity {
			return
		}
		f.inside += w.n
		close(w.come)
		q.waiters = q.waiters[1:]
		f.queues = append(f.queues[:0], f.queues[1:]...)
		if len(q.waiters) > 0 {
			f.queues = append(f.queues, q)
		}
	}
}

// waiting returns how many requests wait.
func (f *fairQueue) waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, q := range f.queues {
		n += len(q.waiters)
	}
	return n
}
