package embedded

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	maxFrame    = 16 << 20 // bytes of one request; the broker allocates what the header claims
	minFrame    = 8        // api key, version, correlation id
	frameHeader = 6        // length and api key
)

// listenGuarded listens for the broker and checks the length and the api key of
// each request. kfake, made for tests, allocates any length and crashes on an
// unknown api key, so that any local process could end weir.
func listenGuarded(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address) //nolint:noctx // the broker gives no context
	if err != nil {
		return nil, err
	}
	return guardedListener{l}, nil
}

type guardedListener struct{ net.Listener }

// Accept returns a guarded connection.
func (l guardedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: c}, nil
}

// guardedConn passes valid requests through unchanged and fails at the first
// invalid one, upon which the broker closes the connection. Only one goroutine
// may read it.
type guardedConn struct {
	net.Conn
	head  [frameHeader]byte
	ahead []byte // part of head that Read has not returned yet
	left  int    // bytes of the frame that have not been read from the network
}

// Read returns the stream unchanged, at most to the end of a frame.
func (c *guardedConn) Read(p []byte) (int, error) {
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
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return err
	}
	length := binary.BigEndian.Uint32(c.head[:4])
	if length < minFrame || length > maxFrame {
		return fmt.Errorf("request of %d bytes, want %d to %d", length, minFrame, maxFrame)
	}
	key := int16(binary.BigEndian.Uint16(c.head[4:]))
	if kmsg.RequestForKey(key) == nil {
		return fmt.Errorf("request with unknown api key %d", key)
	}
	c.ahead, c.left = c.head[:], int(length)-2
	return nil
}
