package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestTooLargeIsReadBySlowClients: a client that sends its whole request before it
// reads gets the answer of a 413, whether the server refused it by its length or after
// a part of it, and so does one that reads at once and sends no more.
func TestTooLargeIsReadBySlowClients(t *testing.T) {
	const limit, sent = 1 << 20, 8 << 20
	refuse := func(w http.ResponseWriter) {
		w.Header().Set("X-Own", "kept")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, `{"error":`)
		io.WriteString(w, `"too large"}`)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/by-length", func(w http.ResponseWriter, _ *http.Request) { refuse(w) })
	mux.HandleFunc("/by-reading", func(w http.ResponseWriter, r *http.Request) {
		r.Body = struct{ io.ReadCloser }{r.Body} // as query does
		if _, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit)); err != nil {
			refuse(w)
		}
	})
	addr := serveHTTP(t, mux)
	for _, path := range []string{"/by-length", "/by-reading"} {
		for _, readsAtOnce := range []bool{false, true} {
			t.Run(fmt.Sprint(path[1:], " reads at once ", readsAtOnce), func(t *testing.T) {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: weir\r\nContent-Length: %d\r\n\r\n", path, sent)
				body := bytes.Repeat([]byte("x"), sent)
				if readsAtOnce {
					body = body[:limit+1] // as much as it takes to be refused
				}
				if _, err := conn.Write(body); err != nil {
					t.Fatalf("the server does not take the request: %v", err)
				}
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				text, err := io.ReadAll(answer.Body)
				if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge || string(text) != `{"error":"too large"}` ||
					answer.Header.Get("X-Own") != "kept" || !answer.Close {
					t.Errorf("%s, close %v, %s, %v", answer.Status, answer.Close, text, err)
				}
			})
		}
	}
}

// serveHTTP runs an httpServer on a free port until the test ends.
func serveHTTP(t *testing.T, handler http.Handler) (addr string) {
	t.Helper()
	l, err := listen(t.Context(), "listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s := httpServer{name: "test", listener: l, handler: handler, log: slog.New(slog.DiscardHandler)}
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !strings.Contains(err.Error(), "deadline") {
			t.Error(err)
		}
	})
	return l.Addr().String()
}
