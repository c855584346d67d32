package conns

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/clientaddr"
)

// pipes is a listener whose connections are pipes, which work in a synctest bubble.
type pipes struct {
	ch   chan net.Conn
	once sync.Once
	end  chan struct{}
}

func newPipes() *pipes { return &pipes{ch: make(chan net.Conn), end: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.ch:
		return c, nil
	case <-p.end:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.end) }); return nil }
func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.ch <- far
	return near
}

// serve runs a server on pipes until the test ends.
func serve(t *testing.T, cfg Config, handler http.HandlerFunc) (*pipes, *Set) {
	t.Helper()
	p, set := newPipes(), New(cfg, nil, nil)
	l := set.HTTP(Main, p, false)
	server := &http.Server{Handler: l.Handler(handler), ConnContext: ConnContext, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return p, set
}

// metricValue returns the value of one counter or gauge.
func metricValue(t *testing.T, c prometheus.Collector) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	m := families[0].GetMetric()[0]
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

// late returns how many connections were cut off at the main listener for a reason.
func late(t *testing.T, s *Set, reason string) float64 {
	t.Helper()
	return metricValue(t, s.metrics.timeouts.WithLabelValues(Main, reason))
}

// TestBodiesOfProgress: a body may take any time while it keeps the minimum rate, and
// is late when it does not.
func TestBodiesOfProgress(t *testing.T) {
	for name, c := range map[string]struct {
		chunk int
		every time.Duration
		want  string
		after time.Duration
	}{
		"steady":  {8 << 10, time.Second, "200 ok", 128 * time.Second},
		"bursts":  {160 << 10, 20 * time.Second, "200 ok", 7 * 20 * time.Second},
		"drips":   {1, time.Second, "408 late", 45 * time.Second},
		"stops":   {1, time.Hour, "408 late", 45 * time.Second},
		"is slow": {1 << 10, time.Second, "408 late", 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const length = 1 << 20
				p, set := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						w.WriteHeader(http.StatusRequestTimeout)
						_, _ = io.WriteString(w, "late")
						return
					}
					_, _ = io.WriteString(w, "ok")
				})
				conn := p.dial()
				defer conn.Close()
				start := time.Now()
				var sender sync.WaitGroup
				sender.Go(func() {
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: weir\r\nContent-Length: %d\r\n\r\n", length)
					for left := length; left > 0; left -= c.chunk {
						if _, err := conn.Write(make([]byte, min(left, c.chunk))); err != nil {
							return
						}
						time.Sleep(c.every)
					}
				})
				if got := readAnswer(t, conn); got != c.want {
					t.Errorf("%s after %s, want %s", got, time.Since(start), c.want)
				}
				if took := time.Since(start); took > c.after {
					t.Errorf("answered after %s, want %s at most", took, c.after)
				}
				if n := late(t, set, lateBody); (n == 1) != (c.want == "408 late") {
					t.Errorf("%v late bodies are counted", n)
				}
				conn.Close()
				sender.Wait()
			})
		})
	}
}

// readAnswer returns the status and the body of an answer.
func readAnswer(t *testing.T, conn net.Conn) string {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(answer.StatusCode, " ", string(text))
}

// TestComputingIsNoStall: a handler may take its time, before and after it reads.
func TestComputingIsNoStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Minute)
			body, err := io.ReadAll(r.Body)
			time.Sleep(5 * time.Minute)
			if r.Context().Err() != nil {
				err = r.Context().Err()
			}
			fmt.Fprint(w, string(body), err)
		})
		conn := p.dial()
		defer conn.Close()
		fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: weir\r\nContent-Length: 2\r\n\r\nhi")
		if got := readAnswer(t, conn); got != "200 hi<nil>" {
			t.Error(got)
		}
	})
}

// TestHandlersSetTheGrace: the read deadline of a handler moves with what arrives.
func TestHandlersSetTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(2 * time.Second))
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		})
		conn := p.dial()
		defer conn.Close()
		start := time.Now()
		go func() {
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: weir\r\nContent-Length: %d\r\n\r\n", 64<<10)
			for range 8 {
				time.Sleep(time.Second)
				_, _ = conn.Write(make([]byte, 8<<10))
			}
		}()
		if got := readAnswer(t, conn); got != "200 65536 <nil>" {
			t.Errorf("%s after %s", got, time.Since(start))
		}
	})
}

// TestReadersOfProgress: an answer may take any time while its reader keeps the
// minimum rate; a reader that takes nothing or drips is cut off.
func TestReadersOfProgress(t *testing.T) {
	const length = 1 << 20
	for name, c := range map[string]struct {
		chunk int
		every time.Duration
		whole bool
	}{
		"steady": {16 << 10, time.Second, true},
		"stops":  {1, time.Hour, false},
		"drips":  {16, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				p, set := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
					_, err := w.Write(make([]byte, length))
					ended <- err
				})
				conn := p.dial()
				defer conn.Close()
				start := time.Now()
				var reader sync.WaitGroup
				reader.Go(func() {
					fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: weir\r\n\r\n")
					for buffer := make([]byte, c.chunk); ; time.Sleep(c.every) {
						if _, err := io.ReadFull(conn, buffer); err != nil {
							return
						}
					}
				})
				if err := <-ended; (err == nil) != c.whole {
					t.Errorf("the answer ends with %v after %s, want whole %v", err, time.Since(start), c.whole)
				}
				if took := time.Since(start); !c.whole && took > 90*time.Second {
					t.Errorf("cut off after %s", took)
				}
				if n := late(t, set, lateAnswer); (n == 0) != c.whole {
					t.Errorf("%v late answers are counted", n)
				}
				conn.Close()
				reader.Wait()
			})
		})
	}
}

// TestConnectionsEnd: a connection ends after so many requests, and after its age.
func TestConnectionsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		wait time.Duration
	}{"requests": {Config{MaxRequests: 3}, 0}, "age": {Config{MaxAge: 2 * time.Minute}, time.Minute}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, _ := serve(t, c.cfg, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
				conn := p.dial()
				defer conn.Close()
				in := bufio.NewReader(conn)
				for i := 1; i <= 3; i++ {
					fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: weir\r\n\r\n")
					answer, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
					if answer.Close != (i == 3) {
						t.Errorf("after %d requests close is %v", i, answer.Close)
					}
					time.Sleep(c.wait)
				}
			})
		})
	}
}

// TestLimitsOfPlaces counts in all, per listener and per address, and gives back.
func TestLimitsOfPlaces(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	set := New(Config{MaxOpen: 64, MaxPerAddress: 5}, nil, prometheus.NewRegistry())
	l := set.HTTP(Main, inner, false)
	server := httptest.NewUnstartedServer(l.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })))
	server.Listener, server.Config.ConnContext = l, ConnContext
	server.Start()
	defer server.Close()
	ask := func(conn net.Conn) string {
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: weir\r\n\r\n")
		return readAnswer(t, conn)
	}
	var open []net.Conn
	for range 5 {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := ask(conn); got != "200 ok" {
			t.Fatal(got)
		}
		open = append(open, conn)
	}
	more, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer more.Close()
	if got := readAnswer(t, more); got != "429 too many connections from this address\n" {
		t.Errorf("the sixth connection: %s", got)
	}
	if n := metricValue(t, set.metrics.refused.WithLabelValues(Main, refusedAddress)); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
	own, err := set.Dial(t.Context(), "tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if got := ask(own); got != "200 ok" {
		t.Errorf("the process itself: %s", got)
	}
	_ = own.Close()
	for _, conn := range open {
		conn.Close()
	}
	for places(set) > 0 { // the server notices
		time.Sleep(time.Millisecond)
	}
	if len(set.addresses)+len(set.own) != 0 || metricValue(t, set.metrics.open.WithLabelValues(Main)) != 0 {
		t.Errorf("left: %v, %v", set.addresses, set.own)
	}
}

func places(s *Set) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// TestSharesOfListeners: a listener that is full leaves places at the others.
func TestSharesOfListeners(t *testing.T) {
	set := New(Config{MaxOpen: 160, MaxPerAddress: 1000}, nil, nil)
	total := 0
	for name := range sharesOf {
		l := set.HTTP(name, nil, false)
		n := 0
		for set.admit(l, loopback, false) == "" {
			n++
		}
		if total += n; n != 10*sharesOf[name] {
			t.Errorf("%s: %d places", name, n)
		}
	}
	if total != 160 {
		t.Errorf("all shares together are %d places, want 160", total)
	}
}

// TestProxiedRequestsCountByClient: behind a proxy one connection is many clients.
func TestProxiedRequestsCountByClient(t *testing.T) {
	proxies, err := clientaddr.New([]string{"127.0.0.1"}, false)
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}, 10), make(chan struct{})
	set := New(Config{MaxPerAddress: 2, Proxies: proxies}, nil, nil)
	server := httptest.NewUnstartedServer(nil)
	l := set.HTTP(Main, server.Listener, false)
	server.Listener, server.Config.ConnContext = l, ConnContext
	server.Config.Handler = l.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { entered <- struct{}{}; <-release }))
	server.Start()
	defer server.Close()
	ask := func(client string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Error(err)
		}
		r.Header.Set("X-Forwarded-For", client)
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	var waiting sync.WaitGroup
	for _, client := range []string{"203.0.113.7", "203.0.113.7", "203.0.113.8"} {
		waiting.Go(func() { ask(client) })
		<-entered
	}
	if got := ask("203.0.113.7"); got != http.StatusTooManyRequests {
		t.Errorf("a third request of one client: %d, want 429", got)
	}
	close(release)
	waiting.Wait()
	if got := ask("203.0.113.7"); got != http.StatusOK {
		t.Errorf("afterwards: %d", got)
	}
}

// brokenListener fails so often before it accepts.
type brokenListener struct {
	*pipes
	left int
}

func (b *brokenListener) Accept() (net.Conn, error) {
	if b.left--; b.left >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return b.pipes.Accept()
}

// TestAcceptEndsWithItsSocket: a socket that can never accept again is no reason to
// wait, but the end of whoever serves it.
func TestAcceptEndsWithItsSocket(t *testing.T) {
	for _, broken := range []error{net.ErrClosed, syscall.EINVAL, syscall.EBADF, syscall.ENOTSOCK} {
		l := New(Config{}, nil, nil).Raw(Broker, endedListener{newPipes(), &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", broken)}})
		if _, err := l.Accept(); !errors.Is(err, broken) {
			t.Errorf("accept: %v, want %v", err, broken)
		}
	}
}

// endedListener fails at once and for good.
type endedListener struct {
	*pipes
	err error
}

func (e endedListener) Accept() (net.Conn, error) { return nil, e.err }

// TestAcceptGoesOn: no error but that of a closed listener ends accepting.
func TestAcceptGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brokenListener{newPipes(), 20}
		set := New(Config{}, nil, nil)
		l := set.Raw(Broker, b)
		start := time.Now()
		go func() { _ = b.dial().Close() }()
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 10*time.Second || took > 20*time.Second {
			t.Errorf("20 attempts took %s", took)
		}
		if n := metricValue(t, set.metrics.errors.WithLabelValues(Broker)); n != 20 {
			t.Errorf("%v errors are counted", n)
		}
		b.left = 1 << 30
		go func() { time.Sleep(time.Minute); _ = l.Close() }()
		if _, err := l.Accept(); err == nil {
			t.Error("a closed listener accepts")
		}
	})
}

// TestSteadyReaders: on a real connection, whose buffers are large, a reader at twice the
// minimum rate is served though no write returns for longer than the grace.
func TestSteadyReaders(t *testing.T) {
	const rate, length = 2 << 20, 8 << 20
	set := New(Config{MinRate: rate, RateGrace: 250 * time.Millisecond}, nil, nil)
	server := httptest.NewUnstartedServer(nil)
	l := set.HTTP(Main, server.Listener, false)
	server.Listener, server.Config.ConnContext = l, ConnContext
	server.Config.Handler = l.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, length))
	}))
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n")
	var got int64
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for buffer := make([]byte, 2*rate/20); ; <-tick.C {
		n, err := io.ReadFull(conn, buffer)
		got += int64(n)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	if got < length {
		t.Errorf("%d of %d bytes", got, length)
	}
}

// TestEarlyAnswers: whatever a handler does without reading the body, its answer is
// whole and at once, and the next request works if the connection goes on.
func TestEarlyAnswers(t *testing.T) {
	handlers := map[string]http.HandlerFunc{
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"a status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) },
		"with length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			fmt.Fprint(w, "ok")
		},
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "ok")
			_ = http.NewResponseController(w).Flush()
		},
		"much":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 300<<10)) },
		"in parts": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "o"); fmt.Fprint(w, "k") },
		"a part": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadFull(r.Body, make([]byte, 1))
			fmt.Fprint(w, "ok")
		},
	}
	for name, handler := range handlers {
		for body, text := range map[string]string{
			"stalled": "Content-Length: 100\r\n\r\nx", "stalled chunks": "Transfer-Encoding: chunked\r\n\r\n5\r\nx", "asking": "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
			"large": "Content-Length: 1000000\r\n\r\nx", "whole": "Content-Length: 1\r\n\r\nx", "whole chunks": "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		} {
			if name == "a part" && body == "asking" {
				continue // the handler asks for a body that never comes
			}
			t.Run(name+" of "+body, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p, _ := serve(t, Config{}, handler)
					conn := p.dial()
					defer conn.Close()
					start := time.Now()
					go fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: weir\r\n"+text)
					in := bufio.NewReader(conn)
					answer, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, answer.Body); err != nil {
						t.Fatal(err)
					}
					_ = answer.Body.Close()
					if took := time.Since(start); took > 2*settleTime {
						t.Errorf("answered after %s", took)
					}
					if whole := strings.HasPrefix(body, "whole"); whole == answer.Close {
						t.Errorf("Connection: close is %v", answer.Close)
					}
					if !answer.Close {
						go fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: weir\r\n\r\n")
						next, err := http.ReadResponse(in, nil)
						if err != nil {
							t.Fatalf("the next request: %v", err)
						}
						_ = next.Body.Close()
						return
					}
					if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
						t.Errorf("after the answer: %v", err)
					}
					if took := time.Since(start); took > 2*lingerPause {
						t.Errorf("closed after %s", took)
					}
				})
			})
		}
	}
}

// TestDrainEndsStalls: connections that wait for their peers do not delay a shutdown.
func TestDrainEndsStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, set := newPipes(), New(Config{}, nil, nil)
		l := set.HTTP(Main, p, false)
		server := &http.Server{Handler: l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(make([]byte, 1<<20))
		})), ConnContext: ConnContext, ReadHeaderTimeout: time.Minute, IdleTimeout: time.Hour}
		go func() { _ = server.Serve(l) }()
		for _, text := range []string{
			"", "GET / HT", "POST / HTTP/1.1\r\nHost: weir\r\nContent-Length: 100\r\n\r\nx", "GET / HTTP/1.1\r\nHost: weir\r\n\r\n",
		} {
			conn := p.dial()
			defer conn.Close()
			go fmt.Fprint(conn, text)
		}
		time.Sleep(time.Second)
		start := time.Now()
		l.Drain()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("the shutdown took %s", took)
		}
	})
}
