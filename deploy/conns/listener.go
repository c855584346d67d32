package conns

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/clientaddr"
)

// Listeners of a process. Each has a share of Config.MaxOpen, in sixteenths, so that
// a flood of one leaves places at the others.
const (
	Main   = "main"
	Tail   = "tail"
	Admin  = "admin"
	Broker = "broker"
	Store  = "store"
)

const shares = 16

var sharesOf = map[string]int{Main: 8, Tail: 4, Admin: 2, Broker: 1, Store: 1}

// Waits between attempts to accept after an error: there may be no descriptor now.
const (
	minAcceptWait = 5 * time.Millisecond
	maxAcceptWait = time.Second
)

// Listener accepts connections within the limits of its set. Accept fails only after
// Close, or when the listener below it has been closed or is broken for good.
type Listener struct {
	net.Listener
	set     *Set
	name    string
	maxOpen int
	open    int // guarded by Set.mu
	http    bool
	secure  bool
	gauge   prometheus.Gauge
	closed  chan struct{}
	once    sync.Once

	mu    sync.Mutex // guards conns
	conns map[*Conn]struct{}
}

// HTTP returns a listener for a server whose handler is Handler and whose
// ConnContext is ConnContext. With secure, the server speaks TLS.
func (s *Set) HTTP(name string, l net.Listener, secure bool) *Listener {
	listener := s.listen(name, l, true)
	listener.secure = secure
	return listener
}

// Raw returns a listener for another protocol. A peer that sends nothing for
// Config.IdleTimeout is cut off, unless it is the process itself.
func (s *Set) Raw(name string, l net.Listener) *Listener { return s.listen(name, l, false) }

func (s *Set) listen(name string, l net.Listener, isHTTP bool) *Listener {
	share, known := sharesOf[name]
	if !known {
		share = shares
	}
	return &Listener{
		Listener: l, set: s, name: name, http: isHTTP, maxOpen: max(1, s.cfg.MaxOpen*share/shares),
		gauge: s.metrics.open.WithLabelValues(name), closed: make(chan struct{}), conns: map[*Conn]struct{}{},
	}
}

// Close stops accepting.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// Accept returns the next connection that may stay.
func (l *Listener) Accept() (net.Conn, error) {
	for wait := time.Duration(0); ; {
		c, err := l.Listener.Accept()
		if err == nil {
			wait = 0
			if admitted := l.admit(c); admitted != nil {
				return admitted, nil
			}
			continue
		}
		if l.over(err) {
			return nil, err
		}
		if wait = min(max(2*wait, minAcceptWait), maxAcceptWait); wait == minAcceptWait {
			l.set.log.Warn("cannot accept a connection, will retry", "listener", l.name, "err", err)
		}
		l.set.metrics.errors.WithLabelValues(l.name).Inc()
		select {
		case <-time.After(wait):
		case <-l.closed:
		}
	}
}

// over reports whether err is that of a listener that has been closed, or whose socket
// takes no connections any more, whatever is done.
func (l *Listener) over(err error) bool {
	select {
	case <-l.closed:
		return true
	default:
	}
	for _, last := range []error{net.ErrClosed, io.EOF, syscall.EINVAL, syscall.EBADF, syscall.ENOTSOCK} {
		if errors.Is(err, last) {
			return true
		}
	}
	return false
}

// admit returns the connection to serve, or nil if it was refused.
func (l *Listener) admit(c net.Conn) net.Conn {
	peer := peerOf(c)
	if l.set.isOwn(peer) {
		return c // as it is: the standard library sends files faster to a connection that it knows
	}
	addr := peer.Addr()
	proxy := l.http && l.set.cfg.Proxies.TrustsPeer(addr)
	addr = clientaddr.Group(addr)
	if refused := l.set.admit(l, addr, proxy); refused != "" {
		l.refuse(c, refused)
		return nil
	}
	l.gauge.Inc()
	admitted := newConn(c, l, addr, proxy)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[admitted] = struct{}{}
	return admitted
}

// peerOf returns the other end, which is zero if it is not one of TCP.
func peerOf(c net.Conn) netip.AddrPort {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	peer := tcp.AddrPort()
	return netip.AddrPortFrom(peer.Addr().Unmap().WithZone(""), peer.Port())
}

// Answers to a connection that is one too many. It is written without reading the
// request, which would take a place; with TLS, where that cannot be, it is only closed.
const (
	tooManyAnswer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
	tooManyOfOneAnswer = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nConnection: close\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 39\r\n\r\ntoo many connections from this address\n"
)

func (l *Listener) refuse(c net.Conn, reason string) {
	l.set.metrics.refused.WithLabelValues(l.name, reason).Inc()
	if l.http && !l.secure {
		answer := tooManyAnswer
		if reason == refusedAddress {
			answer = tooManyOfOneAnswer
		}
		_, _ = io.WriteString(c, answer) // does not block: nothing has been sent yet
	}
	_ = c.Close()
}

// forget is the end of a connection.
func (l *Listener) forget(c *Conn) {
	l.gauge.Dec()
	l.set.release(l, c.addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Drain is called when no more requests are accepted, before those in flight are
// waited for. From now on a peer that makes no progress is cut off after drainGrace,
// so that it cannot delay the end of the process.
func (l *Listener) Drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.drain()
	}
}

// drainGrace replaces the grace of bodies and answers while the process ends.
const drainGrace = 2 * time.Second

// tooManyRequests answers a request of an address that has too many in flight.
func (l *Listener) tooManyRequests(w http.ResponseWriter, _ *http.Request) {
	l.set.metrics.refused.WithLabelValues(l.name, refusedAddress).Inc()
	w.Header().Set("Retry-After", "2")
	http.Error(w, "too many requests at once from this address", http.StatusTooManyRequests)
}
