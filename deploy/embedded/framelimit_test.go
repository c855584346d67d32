package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"
)

func TestBadFramesCloseTheConnection(t *testing.T) {
	frame := func(length uint32, key int16) []byte {
		b := binary.BigEndian.AppendUint32(nil, length)
		return append(binary.BigEndian.AppendUint16(b, uint16(key)), make([]byte, 32)...)
	}
	for name, bytes := range map[string][]byte{
		"unknown api key": frame(36, 12345),
		"negative key":    frame(36, -1),
		"2 GiB":           frame(2<<30, 3),
		"too short":       frame(3, 3),
		"http":            []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", parts.Kafka)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(bytes); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("read after a bad frame: %v, want the connection closed", err)
			}
		})
	}
	_, admin := client(t, parts.Kafka)
	if _, err := admin.ListBrokers(t.Context()); err != nil {
		t.Errorf("the broker does not answer any more: %v", err)
	}
}

// FuzzGuard reads arbitrary bytes in pieces of any size. The output must be a
// prefix of the input, without a frame that is longer than maxFrame.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 18, 0, 0, 0, 0, 0, 2}, uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 3}, uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write(in)
			_ = theirs.Close()
		}()
		g := &guardedConn{Conn: ours}
		defer ours.Close()
		var out []byte
		buf := make([]byte, int(piece)+1)
		for {
			n, err := g.Read(buf)
			out = append(out, buf[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatalf("%x in, %x out", in, out)
		}
		for rest := out; len(rest) > 0; {
			if len(rest) < 4 {
				break
			}
			length := binary.BigEndian.Uint32(rest)
			if length > maxFrame {
				t.Fatalf("let a frame of %d bytes through", length)
			}
			rest = rest[min(len(rest), 4+int(length)):]
		}
	})
}
