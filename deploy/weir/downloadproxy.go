package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"time"
)

// downloadProxy forwards presigned links to the object store, so that clients need
// one address only. It keeps the Host header, which is part of the signature.
// It refuses other methods, other buckets and requests without a signature, and
// removes our own credentials from what it forwards.
type downloadProxy struct {
	prefix    string // "/bucket/"
	proxy     *httputil.ReverseProxy
	transport *http.Transport
}

// newDownloadProxy returns a proxy for one bucket of the store at endpoint.
func newDownloadProxy(bucket, endpoint string, log *slog.Logger) (*downloadProxy, error) {
	store, err := url.Parse(endpoint)
	if err != nil || store.Host == "" {
		return nil, fmt.Errorf("s3.endpoint %q is not a URL", endpoint)
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	return &downloadProxy{prefix: "/" + bucket + "/", transport: transport, proxy: &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = store.Scheme, store.Host
			r.Out.Host = r.In.Host
			for _, name := range []string{"Authorization", "Cookie", "Forwarded", "X-Forwarded-For"} {
				r.Out.Header.Del(name)
			}
		},
		ModifyResponse: func(r *http.Response) error {
			r.Header.Del("Server")
			return nil
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}, nil
}

// close closes idle connections.
func (l *downloadProxy) close() { l.transport.CloseIdleConnections() }

// ServeHTTP forwards one download.
func (l *downloadProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
	bare := *r // the store has no use for a body, nor time for one that stops
	bare.Body, bare.ContentLength, bare.TransferEncoding = http.NoBody, 0, nil
	l.proxy.ServeHTTP(w, &bare)
}
