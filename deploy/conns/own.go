package conns

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// dialTimeout is for connections of the process to itself.
const dialTimeout = 10 * time.Second

// Dial connects to a part of this very process, which will not refuse the connection
// however many strangers have connected to it. To another address it just connects.
//
// The listener knows its own by their port. It is taken and written down before the
// connection is made, so nobody else can have it.
func (s *Set) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	var port uint16
	dialer := net.Dialer{Timeout: dialTimeout}
	if to, err := netip.ParseAddrPort(address); err == nil && to.Addr().Is4() && to.Addr().IsLoopback() {
		dialer.ControlContext = func(_ context.Context, _, _ string, c syscall.RawConn) (err error) {
			if e := c.Control(func(fd uintptr) { port, err = bindLoopback(int(fd)) }); e != nil {
				return e
			}
			if err == nil {
				s.addOwn(port)
			}
			return err
		}
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		s.dropOwn(port)
		return nil, err
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn, nil
	}
	return &ownConn{TCPConn: tcp, set: s, port: port}, nil
}

// bindLoopback gives the socket a free port of 127.0.0.1.
func bindLoopback(fd int) (port uint16, err error) {
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	if inet, ok := at.(*syscall.SockaddrInet4); ok {
		port = uint16(inet.Port)
	}
	return port, nil
}

// ownConn is the near end of a connection of the process to itself.
type ownConn struct {
	*net.TCPConn
	set  *Set
	port uint16
	once sync.Once
}

// Close frees the port, once: it may be another connection's afterwards.
func (c *ownConn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() { c.set.dropOwn(c.port) })
	return err
}

func (s *Set) addOwn(port uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own[port] = struct{}{}
}

func (s *Set) dropOwn(port uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.own, port)
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// isOwn reports whether peer is the near end of a connection that Dial made.
func (s *Set) isOwn(peer netip.AddrPort) bool {
	if peer.Addr() != loopback {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, own := s.own[peer.Port()]
	return own
}
