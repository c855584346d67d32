package embedded

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	maxFrame    = 16 << 20 // bytes of one request; the broker allocates what the header says
	minFrame    = 8        // api key, version, correlation id
	frameHeader = 6        // length and api key
)

// listenGuarded listens for the broker and looks at each request's length and
// api key before the broker does: it would allocate any length and dies of a
// key that it does not know.
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

// guardedConn passes on requests that the broker can bear and ends the
// connection at the first that it cannot. One goroutine reads it at a time.
type guardedConn struct {
	net.Conn
	head  [frameHeader]byte
	ahead []byte // of head: read from the network, not yet given out
	left  int    // bytes of the frame that are still on the network
}

// Read gives out the stream as it is, frame by frame.
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
