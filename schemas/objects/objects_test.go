package objects

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// deploy/embedded and `make e2e` test the behaviour against real servers; the tests
// here cover failures that such servers hardly ever produce.

func newTestBucket(t *testing.T, answer http.HandlerFunc) *Bucket {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := Open(t.Context(), Config{Endpoint: server.URL, AccessKey: "a", SecretKey: "b", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	return c.Bucket("lake")
}

func TestGetRetriesBrokenConnection(t *testing.T) {
	var calls atomic.Int32
	b := newTestBucket(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "6")
		if calls.Add(1) == 1 {
			_, _ = io.WriteString(w, "abc") // then the server closes the connection
			return
		}
		_, _ = io.WriteString(w, "abcdef")
	})
	got, err := b.Get(t.Context(), "k")
	if err != nil || string(got) != "abcdef" {
		t.Errorf("get = %q, %v; want abcdef after a second try", got, err)
	}
}

func TestGetRangeRefusesFewerBytes(t *testing.T) {
	b := newTestBucket(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-2/3")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "abc")
	})
	if _, err := b.GetRange(t.Context(), "k", 0, 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("10 bytes of an object of 3: %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestServerErrorIsRetried(t *testing.T) {
	var calls atomic.Int32
	b := newTestBucket(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	if err := b.Put(t.Context(), "k", []byte("x")); err != nil {
		t.Errorf("put with one 503 on the way: %v", err)
	}
}

func TestForbiddenIsNotMissing(t *testing.T) {
	b := newTestBucket(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if _, err := b.Stat(t.Context(), "k"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of a forbidden object: %v, want an error that is not ErrNotExist", err)
	}
}

func TestCloseClosesIdleConnections(t *testing.T) {
	closed := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	server.Start()
	defer server.Close()
	c, err := Open(t.Context(), Config{Endpoint: server.URL, AccessKey: "a", SecretKey: "b", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Bucket("lake").Put(t.Context(), "k", nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-closed // or the test never ends
}

func TestPresignSignsThePublicHost(t *testing.T) {
	b := newTestBucket(t, nil)
	link, err := b.Presign(t.Context(), PresignInput{
		Key: "1001/day.zip", Endpoint: "https://weir.example:8443", FileName: "ä day.zip", TTL: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	if u.Host != "weir.example:8443" || u.Scheme != "https" || u.Path != "/lake/1001/day.zip" {
		t.Errorf("link = %s, want it on https://weir.example:8443/lake/1001/day.zip", link)
	}
	q := u.Query()
	if got := q.Get("X-Amz-SignedHeaders"); got != "host" {
		t.Errorf("signed headers = %q, want host alone: a browser sends no others", got)
	}
	if got := q.Get("X-Amz-Expires"); got != "60" {
		t.Errorf("expires = %q, want 60", got)
	}
}

// TestPresignBesideOtherCalls can fail only under -race.
func TestPresignBesideOtherCalls(t *testing.T) {
	b := newTestBucket(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "abc") })
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			_, err := b.Get(t.Context(), "k")
			return err
		})
		g.Go(func() error {
			_, err := b.Presign(t.Context(), PresignInput{Key: "k", Endpoint: "https://files.example.com"})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
}

// TestUnreachable distinguishes a store that is down, hangs or asks for a retry from
// one that refuses the request.
func TestUnreachable(t *testing.T) {
	answer := http.StatusServiceUnavailable
	b := newTestBucket(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(answer) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := b.Get(ctx, "k"); !Unreachable(err) {
		t.Errorf("503: %v", err)
	}
	for _, answer = range []int{http.StatusNotFound, http.StatusForbidden} {
		if _, err := b.Get(t.Context(), "k"); err == nil || Unreachable(err) {
			t.Errorf("%d: %v", answer, err)
		}
	}
	for err, want := range map[error]bool{
		&net.OpError{Op: "dial", Err: errors.New("refused")}: true, io.ErrUnexpectedEOF: false, context.Canceled: false,
	} {
		if got := Unreachable(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}
