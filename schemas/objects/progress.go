package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultStallTimeout = 30 * time.Second
	defaultMinRate      = 4 << 10
)

// stallError ends a request whose body stands still. It is a net.Error, so that the
// SDK repeats the request and Unreachable counts it as temporary.
type stallError struct {
	timeout time.Duration
	bytes   int64
}

func (e stallError) Error() string {
	return fmt.Sprintf("the object store moved less than %d bytes of a body in %s (s3.stall_timeout, s3.min_rate)", e.bytes, e.timeout)
}
func (stallError) Timeout() bool   { return true }
func (stallError) Temporary() bool { return true }

// progress is a transport that ends a request when a body, in either direction, makes
// no progress: while it waits for the network, at least bytes of it, or its rest, must
// move in each timeout. A large body may so take any time, and none can hang. Waiting
// for the header of the answer has a limit of its own, responseHeaderTimeout.
//
// It is the one place through which every call of the store passes. Without it a store
// that stalls in the middle of a body holds its caller for ever, and one of these is
// the only committer of a processor.
type progress struct {
	next    http.RoundTripper
	timeout time.Duration
	bytes   int64
	stalls  atomic.Int64 // requests that were ended
	date    atomic.Pointer[string]
}

func newProgress(next http.RoundTripper, cfg Config) *progress {
	timeout, rate := cmp.Or(cfg.StallTimeout, defaultStallTimeout), cmp.Or(cfg.MinRate, defaultMinRate)
	return &progress{next: next, timeout: timeout, bytes: max(int64(timeout.Seconds()*float64(rate)), 1)}
}

// CloseIdleConnections lets http.Client close them.
func (p *progress) CloseIdleConnections() {
	if c, ok := p.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (p *progress) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	r = r.WithContext(ctx)
	var sent *sentBody
	if r.Body != nil && r.Body != http.NoBody {
		sent = &sentBody{ReadCloser: r.Body, watch: newWatch(p, cancel)}
		sent.watch.wait()
		r.Body = sent
	}
	answer, err := p.next.RoundTrip(r)
	sent.stop() // an answer before the end of the body is a refusal, and the transport gives up the rest
	if err != nil {
		err = stallOf(ctx, err)
		cancel(nil)
		return nil, err
	}
	if date := answer.Header.Get("Date"); date != "" {
		p.date.Store(&date)
	}
	answer.Body = &receivedBody{ReadCloser: answer.Body, watch: newWatch(p, cancel), ctx: ctx, cancel: cancel}
	return answer, nil
}

// stallOf returns why ctx ended if a stall ended it, else err.
func stallOf(ctx context.Context, err error) error {
	if stalled, ok := errors.AsType[stallError](context.Cause(ctx)); ok {
		return stalled
	}
	return err
}

// watch ends a request whose body stands still for too long while it waits for the
// network. The time in which nobody waits does not count.
type watch struct {
	progress *progress
	timer    *time.Timer

	mu    sync.Mutex // guards what follows; the two goroutines of a request use it
	left  time.Duration
	moved int64 // bytes since left was whole
	since time.Time
	over  bool
}

func newWatch(p *progress, cancel context.CancelCauseFunc) *watch {
	w := &watch{progress: p, left: p.timeout}
	w.timer = time.AfterFunc(p.timeout, func() {
		p.stalls.Add(1)
		cancel(stallError{timeout: p.timeout, bytes: p.bytes})
	})
	w.timer.Stop()
	return w
}

// wait begins to wait for the network.
func (w *watch) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.since = time.Now()
		w.timer.Reset(w.left)
	}
}

// move ends the waiting after which n bytes have moved.
func (w *watch) move(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.left -= time.Since(w.since)
	if w.moved += int64(n); w.moved >= w.progress.bytes {
		w.left, w.moved = w.progress.timeout, 0
	}
}

// last waits for what the transport has still to write, and for the header of the
// answer, whose own limit begins only after that.
func (w *watch) last() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.timer.Reset(w.progress.timeout + responseHeaderTimeout)
	}
}

// stop ends the watch.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

// sentBody is the body of a request. The transport reads a piece and writes it to the
// network before it reads the next one, so it waits between two calls of Read.
type sentBody struct {
	io.ReadCloser
	watch *watch
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.watch.move(n)
	if errors.Is(err, io.EOF) {
		b.watch.last()
	} else {
		b.watch.wait()
	}
	return n, err
}

// stop ends the watch of a body that may not be there.
func (b *sentBody) stop() {
	if b != nil {
		b.watch.stop()
	}
}

// receivedBody is the body of an answer. It waits for the network during Read alone.
type receivedBody struct {
	io.ReadCloser
	watch  *watch
	ctx    context.Context //nolint:containedctx // of the request, which lasts as long as this body
	cancel context.CancelCauseFunc
}

func (b *receivedBody) Read(p []byte) (int, error) {
	b.watch.wait()
	n, err := b.ReadCloser.Read(p)
	b.watch.move(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = stallOf(b.ctx, err)
	}
	return n, err
}

func (b *receivedBody) Close() error {
	err := b.ReadCloser.Close()
	b.watch.stop()
	b.cancel(nil)
	return err
}
