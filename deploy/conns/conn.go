package conns

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxWrite is how much is written between two looks at the clock; bytes.
const maxWrite = 256 << 10

// longAgo is a deadline that has been over for long.
var longAgo = time.Unix(1, 0)

// Conn is a connection of somebody else. Reads have the deadlines that the server
// sets; a body and an answer must keep the minimum rate besides.
type Conn struct {
	net.Conn
	l     *Listener
	addr  netip.Addr // under which it counts
	proxy bool       // its requests are those of many clients
	born  time.Time

	heard atomic.Bool // something has come since the last request

	mu       sync.Mutex
	requests int
	busy     bool  // a request is being answered
	body     bool  // a body is being read: the read deadline is the body's
	out      pace  // of what is written
	written  int64 // bytes
	stall    stall
	writing  bool      // a write waits for the peer
	aborted  bool      // the server's write deadline has passed
	draining bool      // see Listener.Drain
	readBy   time.Time // the read deadline that is set
	closed   bool
}

func newConn(c net.Conn, l *Listener, addr netip.Addr, proxy bool) *Conn {
	return &Conn{Conn: c, l: l, addr: addr, proxy: proxy, born: time.Now(), out: newPace(l.set.cfg.MinRate, l.set.cfg.RateGrace)}
}

// Close gives the place back.
func (c *Conn) Close() error {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	err := c.Conn.Close()
	if first {
		c.l.forget(c)
	}
	return err
}

// CloseWrite tells the peer that nothing follows.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Read reads by the deadline that the server has set. On a connection that is not
// HTTP the layer sets it.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.l.http {
		return c.readRaw(p)
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.countReadTimeout()
	}
	return n, err
}

func (c *Conn) readRaw(p []byte) (int, error) {
	c.mu.Lock()
	by := time.Now().Add(c.l.set.cfg.IdleTimeout)
	ours := c.readBy.IsZero() || by.Before(c.readBy)
	if ours {
		_ = c.Conn.SetReadDeadline(by) // a closed connection: the read fails too
	}
	c.mu.Unlock()
	n, err := c.Conn.Read(p)
	if ours && err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.countTimeout(lateIdle)
	}
	return n, err
}

// beginRequest reports whether the request is the last of the connection.
func (c *Conn) beginRequest() (last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if c.busy = true; c.draining {
		_ = c.setReadDeadline(time.Time{}) // drain may have set one just now; a closed connection needs none
	}
	return c.requests >= c.l.set.cfg.MaxRequests || time.Since(c.born) >= c.l.set.cfg.MaxAge
}

func (c *Conn) endRequest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	c.heard.Store(false)
}

// countReadTimeout counts a header or an idle wait that took too long. Bodies are
// counted where they are read, and a deadline in the past is none: the server
// interrupts its own reads with it.
func (c *Conn) countReadTimeout() {
	c.mu.Lock()
	ours, first := c.body || c.busy || c.draining || c.readBy.Before(c.born), c.requests == 0
	c.mu.Unlock()
	switch {
	case ours:
	case first || c.heard.Load():
		c.countTimeout(lateHeader)
	default:
		c.countTimeout(lateIdle)
	}
}

func (c *Conn) countTimeout(reason string) {
	c.l.set.metrics.timeouts.WithLabelValues(c.l.name, reason).Inc()
}

// Write writes all of p while the peer keeps the minimum rate.
func (c *Conn) Write(p []byte) (n int, err error) {
	for {
		start := time.Now()
		if err := c.beginWrite(start); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:min(len(p), n+maxWrite)])
		n += m
		c.endWrite(time.Since(start), m)
		if err != nil && !c.goesOn(err) {
			return n, err
		}
		if n == len(p) {
			return n, nil
		}
	}
}

// beginWrite sets the deadline of the next write.
func (c *Conn) beginWrite(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.writing = true; c.aborted {
		return nil // the deadline has passed
	}
	if c.draining {
		c.out.limit(drainGrace)
	}
	by, moved := c.out.deadline(now)
	if !moved {
		return nil
	}
	return c.Conn.SetWriteDeadline(by)
}

func (c *Conn) endWrite(took time.Duration, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	c.out.spend(took, n)
	c.written += int64(n)
	c.stall.blocked += took
}

// stall is what the peer took since the last write that met a deadline.
type stall struct {
	acked   int64         // bytes that the peer had acknowledged then
	blocked time.Duration // time spent in writes since
}

// goesOn reports whether a write that failed goes on. A write may meet its deadline
// though the peer reads: the system lets a writer go on only when a third of its
// buffer is free, which at a low rate takes minutes. What the peer has acknowledged
// decides then.
func (c *Conn) goesOn(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, os.ErrDeadlineExceeded) || c.aborted {
		return false
	}
	acked := c.written - unacknowledged(c.Conn)
	enough := c.out.worth(acked-c.stall.acked) >= c.stall.blocked
	c.stall = stall{acked: acked}
	if !enough {
		c.countTimeout(lateAnswer)
		return false
	}
	c.out.refill()
	return true
}

// SetWriteDeadline is the server's: a deadline to come is the grace of what is written
// from now on, as with the bodies of Handler; one that has passed ends the answer.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := time.Until(t)
	c.aborted = !t.IsZero() && left <= 0
	switch {
	case c.aborted:
		return c.Conn.SetWriteDeadline(t)
	case t.IsZero():
		left = c.l.set.cfg.RateGrace
	}
	c.out.limit(left)
	return nil
}

// SetReadDeadline is the server's, between bodies.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setReadDeadline(t)
}

func (c *Conn) setReadDeadline(t time.Time) error {
	c.readBy = t
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline sets both.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// beginBody sets the deadline of a read of a body.
func (c *Conn) beginBody(p *pace, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body = true
	if c.draining {
		p.limit(drainGrace)
	}
	if by, moved := p.deadline(now); moved {
		_ = c.setReadDeadline(by) // a closed connection: the read fails too
	}
}

// endBody is called after each read of a body. At its end the server reads on, to
// notice that the client hangs up, and must have time for that.
func (c *Conn) endBody(whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body = false
	if whole {
		_ = c.setReadDeadline(time.Time{}) // as above
	}
}

// drain ends the waits that nothing depends on, and shortens the others.
func (c *Conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
	soon := time.Now().Add(drainGrace)
	if waits := !c.busy || c.body; waits && (c.readBy.IsZero() || c.readBy.After(soon)) {
		_ = c.setReadDeadline(soon) // as above
	}
	if c.writing && !c.aborted {
		_ = c.Conn.SetWriteDeadline(soon) // as above
	}
}

// linger reads what the peer still sends until it ends, stops, or has had its time.
// A connection that is closed with unread bytes is reset, and a peer that still sends
// would see the reset in place of the answer.
func (c *Conn) linger(most time.Duration) {
	c.mu.Lock()
	c.body = true
	c.mu.Unlock()
	defer c.endBody(false)
	buffer := make([]byte, lingerBuffer)
	start, pause := time.Now(), newPace(c.l.set.cfg.MinRate, lingerPause)
	for left, now := int64(lingerBytes), start; left > 0; {
		if !c.lingers(now.Add(min(pause.credit, most-now.Sub(start)))) {
			return
		}
		n, err := c.Conn.Read(buffer)
		if left -= int64(n); err != nil {
			return
		}
		after := time.Now()
		pause.spend(after.Sub(now), n)
		time.Sleep(c.l.set.lingering.ReserveN(after, n).Delay()) // the process makes the peer wait, so that no time of its own is spent
		now = time.Now()
	}
}

// lingers sets the deadline of the next read, or reports false if the process ends.
func (c *Conn) lingers(by time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.draining && c.setReadDeadline(by) == nil
}

// Bounds of what is read of a request that has its answer already.
const (
	lingerBytes  = 16 << 20
	lingerTime   = 10 * time.Second
	lingerPause  = time.Second // the grace
	lingerBuffer = 32 << 10
	lingerRate   = 64 << 20 // bytes per second, of all connections: who sends what nobody wants must not take a processor
)
