// Package conns is the one layer under every listener of the process: HTTP, the
// operators', the tail's, and those of the embedded broker and store. Whoever
// connects has limited time, bytes and places:
//
//   - Places: connections in all, per listener and per address, within half of the
//     file descriptors; the other half is the process's own. Connections that the
//     process makes to itself (Dial) are never refused.
//   - Progress: a body that is sent and an answer that is read must keep a minimum
//     rate. There is no total time: a slow but steady client is served to the end.
//   - Answers: one that is given before the body has been read is sent at once and
//     whole, and the connection ends. Nobody waits for the rest.
//   - Accepting goes on: at an error it is tried again, ever less often.
//
// A connection that computes, or waits for its answer, is never late: only the time
// that the process itself waits for the peer counts.
package conns

import (
	"cmp"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"weir/schemas/clientaddr"
)

// Config limits the connections of a process. The zero value works.
type Config struct {
	MaxOpen       int           // connections of all listeners; 0 means half of the file descriptors
	MaxPerAddress int           // connections of one address, IPv6 by /64; 0 means an eighth of the file descriptors
	MaxRequests   int           // requests of one connection; 0 means 10,000
	MaxAge        time.Duration // after which a connection ends with its next answer; 0 means 1h
	MinRate       int64         // bytes per second of a body or an answer; 0 means 4 KiB
	RateGrace     time.Duration // how long a peer may be slower than MinRate; 0 means 30s
	IdleTimeout   time.Duration // of connections that are not HTTP, see Listener.Raw; 0 means 2m

	Proxies clientaddr.Proxies // many clients share their connections: these count by request
}

func (c Config) withDefaults() Config {
	files := openFiles()
	c.MaxOpen = cmp.Or(c.MaxOpen, files/2)
	c.MaxPerAddress = cmp.Or(c.MaxPerAddress, files/8)
	c.MaxRequests = cmp.Or(c.MaxRequests, 10_000)
	c.MaxAge = cmp.Or(c.MaxAge, time.Hour)
	c.MinRate = cmp.Or(c.MinRate, 4<<10)
	c.RateGrace = cmp.Or(c.RateGrace, 30*time.Second)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, 2*time.Minute)
	return c
}

// Set is all connections of a process.
type Set struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	lingering *rate.Limiter // of Conn.linger

	mu        sync.Mutex // guards all below, and the counts of the listeners
	open      int
	addresses map[netip.Addr]int  // connections by address
	requests  map[netip.Addr]int  // requests in flight by address, of those that proxies pass on
	own       map[uint16]struct{} // local ports of connections that Dial made
}

// Refusals, a label of metrics.
const (
	refusedAll      = "all"      // MaxOpen is reached
	refusedListener = "listener" // the listener's share of it
	refusedAddress  = "address"  // MaxPerAddress
)

// admit counts a connection of addr to l, or says why not.
func (s *Set) admit(l *Listener, addr netip.Addr, proxy bool) (refused string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.open >= s.cfg.MaxOpen:
		return refusedAll
	case l.open >= l.maxOpen:
		return refusedListener
	case !proxy && s.addresses[addr] >= s.cfg.MaxPerAddress:
		return refusedAddress
	}
	s.open++
	l.open++
	s.addresses[addr]++
	return ""
}

// release undoes admit.
func (s *Set) release(l *Listener, addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	l.open--
	decrease(s.addresses, addr)
}

// enter counts a request of addr that a proxy passed on. It reports false, and counts
// nothing, if addr has as many as it may have connections.
func (s *Set) enter(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.requests[addr] >= s.cfg.MaxPerAddress {
		return false
	}
	s.requests[addr]++
	return true
}

// leave undoes enter.
func (s *Set) leave(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	decrease(s.requests, addr)
}

// decrease drops entries at zero, so that the map is as large as what is open.
func decrease(counts map[netip.Addr]int, addr netip.Addr) {
	if counts[addr]--; counts[addr] <= 0 {
		delete(counts, addr)
	}
}
