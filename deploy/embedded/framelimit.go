package embedded

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/deploy/conns"
)

const (
	maxFrame    = 16 << 20 // bytes of one request; the broker allocates what the header claims
	minFrame    = 8        // api key, version, correlation id
	frameHeader = 8        // length, api key, version
)

// listen listens for the broker. Each connection logs in before kfake reads from
// it, and then the length and the kind of each request are checked.
func (g *guard) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address) //nolint:noctx // the broker gives no context
	if err != nil {
		return nil, err
	}
	return guardedListener{g.conns.Raw(conns.Broker, l), g}, nil
}

type guardedListener struct {
	net.Listener
	guard *guard
}

// Accept returns a guarded connection. It does not wait for the login.
func (l guardedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		l.guard.fail(fmt.Errorf("embedded broker accepts no more connections: %w", err))
		return nil, err
	}
	guarded := &guardedConn{Conn: c, guard: l.guard}
	l.guard.enter(guarded)
	return guarded, nil
}

// guardedConn logs its client in at the first Read, as tls.Conn does its
// handshake. Then it passes valid requests through unchanged and fails at the
// first invalid one, upon which the broker closes the connection. Only one
// goroutine may read it; nobody writes before the first Read has returned.
type guardedConn struct {
	net.Conn
	guard    *guard
	loggedIn bool
	head     [frameHeader]byte
	ahead    []byte // beginning of the frame that Read has not returned yet
	left     int    // bytes of the frame that have not been read from the network
}

// Close closes the connection.
func (c *guardedConn) Close() error {
	c.guard.leave(c)
	return c.Conn.Close()
}

// Read returns the stream after the login unchanged, at most to the end of a frame.
func (c *guardedConn) Read(p []byte) (int, error) {
	if !c.loggedIn {
		if err := c.guard.login(c.Conn); err != nil {
			return 0, err
		}
		c.guard.leave(c)
		c.loggedIn = true
	}
	if len(c.ahead) == 0 && c.left == 0 {
		if err := c.nextFrame(); err != nil {
			return 0, err
		}
	}
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func (c *guardedConn) nextFrame() error {
	if _, err := io.ReadFull(c.Conn, c.head[:4]); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(c.head[:])
	if length < minFrame || length > maxFrame {
		return c.guard.refuse(reasonFrame, fmt.Errorf("request of %d bytes, want %d to %d", length, minFrame, maxFrame))
	}
	if _, err := io.ReadFull(c.Conn, c.head[4:]); err != nil {
		return err
	}
	key, version := int16(binary.BigEndian.Uint16(c.head[4:])), int16(binary.BigEndian.Uint16(c.head[6:]))
	if err := c.guard.after.check(key, version); err != nil {
		return c.guard.refuse(reasonRequest, err)
	}
	c.ahead, c.left = c.head[:], int(length)-(frameHeader-4)
	if key == int16(kmsg.CreateTopics) {
		return c.readTopics()
	}
	return nil
}

// readTopics reads a request that creates topics whole, to check what it asks for.
func (c *guardedConn) readTopics() error {
	if c.left > maxTopicFrame {
		return c.guard.refuse(reasonFrame, fmt.Errorf("request of %d bytes that creates topics", c.left))
	}
	frame := make([]byte, frameHeader+c.left)
	copy(frame, c.head[:])
	if _, err := io.ReadFull(c.Conn, frame[frameHeader:]); err != nil {
		return err
	}
	if err := checkTopics(frame[4:]); err != nil {
		return c.guard.refuse(reasonRequest, err)
	}
	c.ahead, c.left = frame, 0
	return nil
}
