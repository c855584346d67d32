package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/deploy/conns"
	"weir/schemas/topic"
)

// dial connects to the broker, closes the connection at the end of the test, and
// gives no answer longer than 10 s.
func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// frameOf writes a request as a client does, with header and length.
func frameOf(req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 7)
}

// refuses sends bytes and wants the connection closed without an answer.
func refuses(t *testing.T, conn net.Conn, bytes []byte) {
	t.Helper()
	_, _ = conn.Write(bytes) // the broker may close before the end
	n, err := conn.Read(make([]byte, 1))
	if n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after %.40q: %d bytes, %v; want the connection closed", bytes, n, err)
	}
}

// TestStrangersReachNothing: before the login only the three requests of a login
// are read, and of those 4 KiB at most; whatever comes, the broker goes on.
func TestStrangersReachNothing(t *testing.T) {
	raw := func(length uint32, key, version int16) []byte {
		b := binary.BigEndian.AppendUint32(nil, length)
		b = binary.BigEndian.AppendUint16(b, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		return append(b, make([]byte, 32)...)
	}
	tags := append(raw(36, 18, 3), 0xff, 0xff, 0xff, 0xff, 0x0f)[:4+36]
	copy(tags[14:], []byte{0xff, 0xff, 0xff, 0xff, 0x0f}) // 2^32 tags
	authenticate := kmsg.NewPtrSASLAuthenticateRequest()
	authenticate.SASLAuthBytes = []byte("n,,n=weir,r=x")
	create := kmsg.NewPtrCreateTopicsRequest()
	create.Topics = []kmsg.CreateTopicsRequestTopic{{Topic: topic.Name, NumPartitions: 5_000_000, ReplicationFactor: 1}}
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TopicNames = []string{topic.Name}
	for name, bytes := range map[string][]byte{
		"unknown api key":           raw(36, 12345, 0),
		"negative key":              raw(36, -1, 0),
		"negative version":          raw(36, 18, -1),
		"version of the future":     raw(36, 18, 32767),
		"2 GiB":                     raw(2<<30, 3, 0),
		"longer than a login":       raw(maxLoginFrame+1, 18, 0),
		"too short":                 raw(3, 3, 0),
		"http":                      []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"2^32 tags":                 tags,
		"list topics":               frameOf(kmsg.NewPtrMetadataRequest()),
		"fetch":                     frameOf(kmsg.NewPtrFetchRequest()),
		"produce":                   frameOf(kmsg.NewPtrProduceRequest()),
		"create topics":             frameOf(create),
		"delete topics":             frameOf(remove),
		"password before handshake": frameOf(authenticate),
	} {
		t.Run(name, func(t *testing.T) { refuses(t, dial(t, parts.Kafka), bytes) })
	}
	_, admin := client(t, parts.Kafka, parts.Login)
	if _, err := admin.ListBrokers(t.Context()); err != nil {
		t.Errorf("the broker does not answer any more: %v", err)
	}
}

// loggedIn returns a connection that has logged in.
func loggedIn(t *testing.T) net.Conn {
	t.Helper()
	conn := dial(t, parts.Kafka)
	if err := logInByHand(conn, parts.Login); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestOnlyServedRequestsPass: also a client that has logged in is refused what
// Weir does not send.
func TestOnlyServedRequestsPass(t *testing.T) {
	topics := func(names []string, partitions int32) []byte {
		req := kmsg.NewPtrCreateTopicsRequest()
		for _, name := range names {
			req.Topics = append(req.Topics, kmsg.CreateTopicsRequestTopic{Topic: name, NumPartitions: partitions, ReplicationFactor: 1})
		}
		return frameOf(req)
	}
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TopicNames = []string{topic.Name}
	more := kmsg.NewPtrCreatePartitionsRequest()
	more.Topics = []kmsg.CreatePartitionsRequestTopic{{Topic: topic.Name, Count: 5_000_000}}
	long := binary.BigEndian.AppendUint32(nil, maxFrame+1)
	for name, bytes := range map[string][]byte{
		"delete topics":       frameOf(remove),
		"add partitions":      frameOf(more),
		"too many partitions": topics([]string{topic.Name}, MaxShards+1),
		"another topic":       topics([]string{"other"}, 1),
		"two topics":          topics([]string{topic.Name, topic.Name}, 1),
		"users":               frameOf(kmsg.NewPtrAlterUserSCRAMCredentialsRequest()),
		"a second login":      frameOf(kmsg.NewPtrSASLHandshakeRequest()),
		"longer than a frame": long,
	} {
		t.Run(name, func(t *testing.T) { refuses(t, loggedIn(t), bytes) })
	}
}

// FuzzGuard logs in and then sends arbitrary bytes, which are read in pieces of any
// size. The output must be a prefix of the input, and of served frames alone.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 18, 0, 0, 0, 0, 0, 2}, uint8(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 3}, uint8(1))
	f.Add(frameOf(kmsg.NewPtrCreateTopicsRequest()), uint8(9))
	g, err := newGuard(Config{Conns: conns.New(conns.Config{}, nil, nil), Log: slog.New(slog.DiscardHandler)}, Login{"u", "p"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write(in)
			_ = theirs.Close()
		}()
		conn := &guardedConn{Conn: ours, guard: g, loggedIn: true}
		defer ours.Close()
		var out []byte
		buf := make([]byte, int(piece)+1)
		for {
			n, err := conn.Read(buf)
			out = append(out, buf[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.HasPrefix(in, out) {
			t.Fatalf("%x in, %x out", in, out)
		}
		for rest := out; len(rest) >= 8; {
			length := binary.BigEndian.Uint32(rest)
			key, version := int16(binary.BigEndian.Uint16(rest[4:])), int16(binary.BigEndian.Uint16(rest[6:]))
			if err := g.after.check(key, version); err != nil || length > maxFrame {
				t.Fatalf("let a frame of %d bytes through: %v", length, err)
			}
			rest = rest[min(len(rest), 4+int(length)):]
		}
	})
}

// FuzzLogin is a stranger who sends arbitrary bytes. Nothing of them may be passed
// on, and the connection must end.
func FuzzLogin(f *testing.F) {
	f.Add(frameOf(kmsg.NewPtrApiVersionsRequest()))
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Version, hello.Mechanism = 1, scramMechanism
	first := kmsg.NewPtrSASLAuthenticateRequest()
	first.Version, first.SASLAuthBytes = 1, []byte("n,,n=u,r=nonce")
	f.Add(append(frameOf(hello), frameOf(first)...))
	g, err := newGuard(Config{Conns: conns.New(conns.Config{}, nil, nil), Log: slog.New(slog.DiscardHandler)}, Login{"u", "p"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() {
			_, _ = theirs.Write(in)
			_ = theirs.Close()
		}()
		conn := &guardedConn{Conn: ours, guard: g}
		defer conn.Close()
		if n, err := conn.Read(make([]byte, 64)); n > 0 || err == nil {
			t.Fatalf("%d bytes passed without a login, %v", n, err)
		}
	})
}
