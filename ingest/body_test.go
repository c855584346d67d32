package ingest

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"weir/schemas"
)

func TestCompressedBodies(t *testing.T) {
	body := []byte(`{"data":[` + goodItem + `]}`)
	// Decompression bombs: 64 MiB of white space, and valid JSON one byte over the limit.
	bomb := bytes.Repeat([]byte(" "), 64<<20)
	over := append(bytes.Repeat([]byte(" "), schemas.MaxBodyBytes+1-len(body)), body...)
	exact := over[1:]
	cases := []struct {
		name, encoding string
		body           []byte
		status         int
	}{
		{"gzip", "gzip", gzipCompress(t, body), 200},
		{"x-gzip", "X-GZIP", gzipCompress(t, body), 200},
		{"zstd", "zstd", zstdCompress(t, body), 200},
		{"identity", "identity", body, 200},
		{"gzip in two members", "gzip", append(gzipCompress(t, body[:10]), gzipCompress(t, body[10:])...), 200},
		{"gzip of just the limit", "gzip", gzipCompress(t, exact), 200},
		{"zstd of just the limit", "zstd", zstdCompress(t, exact), 200},
		{"gzip one byte over", "gzip", gzipCompress(t, over), 413},
		{"zstd one byte over", "zstd", zstdCompress(t, over), 413},
		{"gzip bomb", "gzip", gzipCompress(t, bomb), 413},
		{"zstd bomb", "zstd", zstdCompress(t, bomb), 413},
		{"gzip cut short", "gzip", gzipCompress(t, body)[:20], 400},
		{"zstd cut short", "zstd", zstdCompress(t, body)[:20], 400},
		{"gzip with trailing garbage", "gzip", append(gzipCompress(t, body), "garbage"...), 400},
		{"gzip damaged", "gzip", corrupt(gzipCompress(t, body)), 400},
		{"zstd damaged", "zstd", corrupt(zstdCompress(t, body)), 400},
		{"zstd said to be gzip", "gzip", zstdCompress(t, body), 400},
		{"gzip said to be zstd", "zstd", gzipCompress(t, body), 400},
		{"gzip not said", "", gzipCompress(t, body), 400},
		{"gzip empty", "gzip", nil, 400},
		{"twice", "gzip, gzip", gzipCompress(t, gzipCompress(t, body)), 415},
		{"deflate", "deflate", body, 415},
	}
	e := newTestEdge(t, Config{})
	for _, c := range cases {
		w := e.report(string(c.body), "Content-Encoding", c.encoding)
		if w.Code != c.status {
			t.Errorf("%s: %d %.200s, want %d", c.name, w.Code, w.Body, c.status)
		}
		if got := decodeEnvelope(t, w.Body.Bytes()); (got.Code == 0) != (c.status == 200) {
			t.Errorf("%s: code %d with status %d", c.name, got.Code, w.Code)
		}
	}
	if held := e.memory.held.Load(); held != 0 {
		t.Errorf("%d bytes are still charged", held)
	}
}

func gzipCompress(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdCompress(t *testing.T, body []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(body, nil)
}

func corrupt(b []byte) []byte {
	b[len(b)/2] ^= 0xff
	return b
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{MaxHeldBytes: 1 << 20, MaxSourceBytes: 1 << 20, MaxAccountBytes: 1 << 20})
		pad := strings.Repeat(" ", 2<<20)
		if w := e.report(`{"data":[` + pad + goodItem + `]}`); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Errorf("a small one: %d %s", w.Code, w.Body)
		}
		if held := e.memory.held.Load(); held != 0 {
			t.Errorf("%d bytes are still charged", held)
		}
	})
}

// TestSlowBody uses a real connection, since read deadlines belong to it.
func TestSlowBody(t *testing.T) {
	e := newTestEdge(t, Config{ReadTimeout: 50 * time.Millisecond})
	server := httptest.NewServer(e.Handler())
	defer server.Close()
	body, stop := newStalledReader()
	defer stop()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+pathReport, body)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("key1", "key1-secret")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d, want 408", answer.StatusCode)
	}
}

// newStalledReader returns a reader that yields one byte and then blocks until
// stop.
func newStalledReader() (*stalledReader, func()) {
	s := &stalledReader{until: make(chan struct{})}
	return s, func() { close(s.until) }
}

type stalledReader struct {
	begun bool
	until chan struct{}
}

func (s *stalledReader) Read(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		p[0] = '{'
		return 1, nil
	}
	<-s.until
	return 0, errors.New("stopped")
}
