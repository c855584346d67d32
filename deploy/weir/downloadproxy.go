package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	maxRanges     = 16      // of one request; a Range with more is ignored, since each is a request to the store
	maxStoreError = 1 << 20 // bytes of an answer of the store that is no file
)

// downloadProxy answers presigned links with files of the object store, so that
// clients need one address only. It keeps the Host header, which is part of the
// signature. It refuses other methods, other buckets and requests without a
// signature, and sends none of the client's headers to the store: conditions and
// ranges are answered here, by RFC 9110, whatever the store knows of them.
type downloadProxy struct {
	prefix    string // "/bucket/"
	store     *url.URL
	transport *http.Transport
	log       *slog.Logger
}

// newDownloadProxy returns a proxy for one bucket of the store at endpoint.
func newDownloadProxy(bucket, endpoint string, dial dialFunc, log *slog.Logger) (*downloadProxy, error) {
	store, err := url.Parse(endpoint)
	if err != nil || store.Host == "" {
		return nil, fmt.Errorf("s3.endpoint %q is not a URL", endpoint)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: dial, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	return &downloadProxy{prefix: "/" + bucket + "/", store: store, transport: transport, log: log}, nil
}

// close closes idle connections.
func (l *downloadProxy) close() { l.transport.CloseIdleConnections() }

// ServeHTTP answers one download.
func (l *downloadProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Request-Id", rand.Text())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "downloads are only read", http.StatusMethodNotAllowed)
		return
	}
	key, inside := strings.CutPrefix(r.URL.Path, l.prefix)
	if !inside || key == "" || path.Clean(r.URL.Path) != r.URL.Path {
		http.NotFound(w, r)
		return
	}
	if r.URL.Query().Get("X-Amz-Signature") == "" {
		http.Error(w, "this download needs a signed link", http.StatusForbidden)
		return
	}
	if err := l.serve(w, r); err != nil && r.Context().Err() == nil {
		l.log.WarnContext(r.Context(), "download answered 502, the object store does not answer", "err", err)
		http.Error(w, "the object store does not answer", http.StatusBadGateway)
	}
}

// serve answers with the file, or with what the store says instead. A link is
// signed for GET, so HEAD asks for one byte of the file, and so does what may need
// another part of it or none.
func (l *downloadProxy) serve(w http.ResponseWriter, r *http.Request) error {
	ctx, first := r.Context(), "bytes=0-0"
	if r.Method == http.MethodGet && !selects(r.Header) {
		first = ""
	}
	resp, err := l.get(ctx, r, first)
	if err != nil {
		return err
	}
	file := &storedFile{open: func(from int64) (io.ReadCloser, error) { return l.part(ctx, r, from) }}
	defer file.close()
	switch resp.StatusCode {
	case http.StatusOK:
		file.body, file.size = resp.Body, resp.ContentLength
	case http.StatusPartialContent:
		_ = resp.Body.Close() // the byte is not wanted
		_, all, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
		if file.size, err = strconv.ParseInt(all, 10, 64); err != nil {
			return fmt.Errorf("read Content-Range %q: %w", resp.Header.Get("Content-Range"), err)
		}
	default:
		file.body = resp.Body
		passOn(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, io.LimitReader(resp.Body, maxStoreError)) // it fails when the client has gone
		return nil
	}
	passOn(w.Header(), resp.Header)
	modified, _ := http.ParseTime(resp.Header.Get("Last-Modified")) // without one, conditions on it are ignored
	if strings.Count(r.Header.Get("Range"), ",") >= maxRanges {
		r = r.Clone(ctx)
		r.Header.Del("Range")
	}
	http.ServeContent(w, r, "", modified, file)
	return nil
}

// selects reports whether a request asks for a part of a file, or for it under a
// condition.
func selects(h http.Header) bool {
	for _, name := range []string{"Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}

// get asks the store for the file of r, or for a part of it.
func (l *downloadProxy) get(ctx context.Context, r *http.Request, part string) (*http.Response, error) {
	at := *r.URL
	at.Scheme, at.Host = l.store.Scheme, l.store.Host
	out, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil) //nolint:gosec // scheme and host are the store's, whatever the client asks for
	if err != nil {
		return nil, err
	}
	out.Host = r.Host
	out.Header.Set("User-Agent", "weir")
	out.Header.Set("Accept-Encoding", "identity")
	if part != "" {
		out.Header.Set("Range", part)
	}
	return l.transport.RoundTrip(out) // without the body of r, for which the store has no use
}

// part returns the file of r from an offset on.
func (l *downloadProxy) part(ctx context.Context, r *http.Request, from int64) (io.ReadCloser, error) {
	resp, err := l.get(ctx, r, fmt.Sprintf("bytes=%d-", from))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusPartialContent {
		return nil, errors.Join(fmt.Errorf("the store answers %s for the file from %d on", resp.Status, from), resp.Body.Close())
	}
	return resp.Body, nil
}

// passOn copies what describes the file, each header once. What describes the
// connection to the store or the part that it sent is left out.
func passOn(to, from http.Header) {
	for name, values := range from {
		switch name {
		case "Accept-Ranges", "Connection", "Content-Length", "Content-Range", "Date", "Keep-Alive", "Server", "Transfer-Encoding":
		default:
			to.Set(name, values[0])
		}
	}
}

// storedFile is a file of the store as http.ServeContent reads it: from one offset
// on, or from several.
type storedFile struct {
	open   func(from int64) (io.ReadCloser, error)
	size   int64
	at     int64         // where the next Read reads
	body   io.ReadCloser // nil, or open at bodyAt
	bodyAt int64
}

// Seek implements io.Seeker. It asks the store for nothing.
func (f *storedFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the file")
	}
	f.at = offset
	return offset, nil
}

// Read implements io.Reader.
func (f *storedFile) Read(p []byte) (int, error) {
	if f.at >= f.size {
		return 0, io.EOF
	}
	if f.body != nil && f.bodyAt != f.at {
		f.close()
	}
	if f.body == nil {
		body, err := f.open(f.at)
		if err != nil {
			return 0, err
		}
		f.body, f.bodyAt = body, f.at
	}
	n, err := f.body.Read(p)
	f.at += int64(n)
	f.bodyAt = f.at
	if err == io.EOF && f.at < f.size { // a reader returns it unwrapped
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// close ends what is read from the store.
func (f *storedFile) close() {
	if f.body != nil {
		_ = f.body.Close() // only read from
		f.body = nil
	}
}
