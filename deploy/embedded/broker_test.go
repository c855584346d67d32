package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// openBroker starts a broker of the test's own on dir.
func openBroker(t *testing.T, dir string) *broker {
	t.Helper()
	b, err := startBroker(dir, Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func client(t *testing.T, addr string) (*kgo.Client, *kadm.Client) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, kadm.NewClient(c)
}

func produce(t *testing.T, c *kgo.Client, topic string, values ...[]byte) {
	t.Helper()
	for _, v := range values {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: v}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBrokerFindsItsLogAgain(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, dir)
	c, admin := client(t, b.addr)
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "kept", []byte("one"), []byte("two"))
	before, err := admin.ListTopics(t.Context(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	b.close()

	b = openBroker(t, dir)
	defer b.close()
	_, admin = client(t, b.addr)
	after, err := admin.ListTopics(t.Context(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	ends, err := admin.ListEndOffsets(t.Context(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := ends.Lookup("kept", 0); end.Offset != 2 || before["kept"].ID != after["kept"].ID {
		t.Errorf("after a restart: end %d, topic %v; want 2, %v", end.Offset, after["kept"].ID, before["kept"].ID)
	}
}

func TestBrokerMakesNoTopicByItself(t *testing.T) {
	c, _ := client(t, parts.Kafka)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "never-made", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a record for a topic that nobody made was taken")
	}
}

func TestBrokerOutlivesBadFrames(t *testing.T) {
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
		t.Errorf("the broker is gone: %v", err)
	}
}

// FuzzGuard feeds any bytes, in pieces of any size: what comes out is a prefix
// of what went in, and never more of a frame than its header allows.
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

func TestAddressMustBeLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{
		"": true, "127.0.0.1:0": true, "localhost:9092": true,
		"0.0.0.0:9092": false, ":9092": false, "10.0.0.1:1": false, "nonsense": false, "127.0.0.1:99999": false,
	} {
		if _, err := loopbackPort(addr); (err == nil) != ok {
			t.Errorf("%q: %v, want accepted = %v", addr, err, ok)
		}
	}
}

func TestFolderIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock: %v, want ErrLocked", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = Lock(dir); err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	_ = unlock()
}

func TestJanitorKeepsWhatIsNotCommitted(t *testing.T) {
	dir := t.TempDir()
	b := openBroker(t, dir)
	defer func() { b.close() }()
	c, admin := client(t, b.addr)
	if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, "log"); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		produce(t, c, "log", fmt.Appendf(nil, "%d", i))
	}
	committed := map[int32]int64{}
	j := NewJanitor(JanitorConfig{Topic: "log"}, JanitorDeps{
		Dir: dir, Admin: admin, Log: slog.New(slog.DiscardHandler),
		Committed: func(context.Context) (map[int32]int64, error) { return committed, nil },
	})
	check := func(want int64) {
		t.Helper()
		if err := j.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		starts, err := admin.ListStartOffsets(t.Context(), "log")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := starts.Lookup("log", 0); got.Offset != want {
			t.Errorf("committed %v: log starts at %d, want %d", committed, got.Offset, want)
		}
	}
	check(0) // no table has anything
	committed[0] = 4
	check(3) // the last committed record stays
	committed[0] = 2
	check(3) // a table that was read late moves nothing back
	committed[0] = 10
	check(9)
	committed[0] = 99 // a lake that is ahead of the log: rule 9's business, not ours
	check(9)

	c.Close()
	b.close()
	b = openBroker(t, dir)
	_, admin = client(t, b.addr)
	ends, err := admin.ListEndOffsets(t.Context(), "log")
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := ends.Lookup("log", 0); end.Offset != 10 {
		t.Errorf("after a restart the log ends at %d, want 10", end.Offset)
	}
}

func TestJanitorSaysWhenThereIsNoRoom(t *testing.T) {
	b := openBroker(t, t.TempDir())
	defer b.close()
	c, admin := client(t, b.addr)
	if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, "log"); err != nil {
		t.Fatal(err)
	}
	committed := map[int32]int64{}
	check := func(cfg JanitorConfig, want error) {
		t.Helper()
		cfg.Topic = "log"
		j := NewJanitor(cfg, JanitorDeps{
			Dir: b.dir, Admin: admin, Log: slog.New(slog.DiscardHandler),
			Committed: func(context.Context) (map[int32]int64, error) { return committed, nil },
		})
		if err := j.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := j.Full(); !errors.Is(err, want) {
			t.Errorf("%+v, committed %v: full = %v, want %v", cfg, committed, err, want)
		}
	}
	small := JanitorConfig{LogCap: 500 << 10}
	check(small, nil)
	big := make([]byte, 100<<10)
	if _, err := io.ReadFull(randomBytes(int64(len(big))), big); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "log", slices.Repeat([][]byte{big}, 6)...)
	check(small, ErrLogFull)
	check(JanitorConfig{LogCap: 10 << 20}, nil)
	committed[0] = 2 // 400 KiB wait, although the file keeps its size
	check(small, nil)
	committed[0] = 0
	check(small, ErrLogFull)
	check(JanitorConfig{MinFree: 1 << 62}, ErrDiskFull)
}
