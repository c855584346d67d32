package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// stallingStore stands between a processor and the object store. While it stalls, it
// reads the beginning of each large object and then nothing more.
type stallingStore struct {
	*httptest.Server
	stalls  atomic.Bool
	goesOn  chan struct{} // closed when the requests that were left are to end
	stalled atomic.Int32  // requests that have been left in the middle of their body
}

// largeObject is more than the sockets between client and store take.
const largeObject = 4 << 20

func newStallingStore(t *testing.T, endpoint string) *stallingStore {
	t.Helper()
	store, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	s := &stallingStore{goesOn: make(chan struct{})}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(store)
		r.Out.Host = r.In.Host // it is signed
	}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.ContentLength < largeObject || !s.stalls.Load() {
			proxy.ServeHTTP(w, r)
			return
		}
		if _, err := io.CopyN(io.Discard, r.Body, 64<<10); err != nil {
			return
		}
		s.stalled.Add(1)
		<-s.goesOn
		panic(http.ErrAbortHandler)
	}))
	s.Listener = smallBuffers{s.Listener}
	s.Start()
	t.Cleanup(s.Close)
	s.stalls.Store(true)
	t.Cleanup(s.goOn) // before Close, which waits for requests
	return s
}

func (s *stallingStore) goOn() {
	if s.stalls.Swap(false) {
		close(s.goesOn)
	}
}

// smallBuffers accepts connections that take little ahead of their reader.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetReadBuffer(64<<10))
	}
	return c, err
}

// TestStalledStoreHoldsNoCut: a store that stops in the middle of a body does not hold
// the processor. The request is ended and repeated, /readyz names the processor while
// the cut waits, and the cut is committed when the store goes on.
func TestStalledStoreHoldsNoCut(t *testing.T) {
	c := newCluster(t)
	store := newStallingStore(t, c.parts.S3.Endpoint)
	c.flags[slices.Index(c.flags, c.parts.S3.Endpoint)] = store.URL
	c.flags = append(c.flags, "--s3.stall-timeout", "500ms", "--processor.max-cut-wait", "2s")
	ingest, owner := c.start("ingest"), c.start("processor")
	c.waitReady(ingest, owner)
	traffic := c.newTraffic()

	for range 4 {
		traffic.sendLarge(ingest, 400)
	}
	c.eventually("repeated", func() error {
		if n := store.stalled.Load(); n < 2 {
			return fmt.Errorf("%d requests have stalled", n)
		}
		return nil
	})
	c.eventually("named by /readyz", func() error {
		resp, err := http.Get(owner.url + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusServiceUnavailable || string(body) != "not ready: processor\n" {
			return fmt.Errorf("%d %s", resp.StatusCode, body)
		}
		return nil
	})
	if resp, err := http.Get(owner.url + "/healthz"); err != nil || resp.Body.Close() != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %v, %v; want 200: a restart would not help", resp, err)
	}

	store.goOn()
	c.closes(int64(traffic.sent))
	c.waitReady(owner)
}

// sendLarge sends n events, each with 5 KiB that cannot be compressed.
func (t *traffic) sendLarge(ingest clusterProcess, n int) {
	t.t.Helper()
	var items []string
	for range n {
		text := make([]byte, 5<<10)
		rand.Read(text) // never fails (crypto/rand)
		items = append(items, fmt.Sprintf(`{"euid":1,"event_name":"e","itime":%d,"random_id":"%d","properties":{"text":%q}}`,
			time.Now().UnixMilli(), t.sent, base64.StdEncoding.EncodeToString(text)))
		t.sent++
	}
	(&testServer{t: t.t, addr: strings.TrimPrefix(ingest.url, "http://")}).postEvents(t.key, t.secret, `{"data":[`+strings.Join(items, ",")+`]}`)
}
