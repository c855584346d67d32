package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/http/pprof"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// httpServer is one HTTP server: where it listens and what it serves.
type httpServer struct {
	name     string
	listener net.Listener
	handler  http.Handler
	cert     string // file; empty speaks plain HTTP
	key      string
	cfg      httpConfig
	log      *slog.Logger
}

// listen takes the address, so that a port that is in use is told before
// anything runs.
func listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return l, nil
}

// run serves until ctx ends; then it takes no more requests and gives those in
// flight cfg.DrainTimeout to end.
func (s httpServer) run(ctx context.Context) error {
	var h1 http.Protocols
	h1.SetHTTP1(true)
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    int(s.cfg.MaxHeaderBytes),
		Protocols:         &h1,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// No write timeout: downloads last. Bodies and answers have timeouts of
		// their own, in the handlers that know how long they may take.
	}
	ended := make(chan error, 1)
	go func() {
		if s.cert != "" {
			ended <- server.ServeTLS(s.listener, s.cert, s.key)
			return
		}
		ended <- server.Serve(s.listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.WarnContext(ctx, "requests cut off", "site", s.name, "after", s.cfg.DrainTimeout)
		err = server.Close()
	}
	<-ended //nolint:errcheck // that it was closed, which we did
	return err
}

// probe tells whether a part can do its work.
type probe struct {
	name  string
	ready func(ctx context.Context) error
}

// readyWait bounds one answer of /readyz.
const readyWait = 5 * time.Second

// readiness asks every probe and returns the names of those that are not
// ready, and why; nil when all are.
func readiness(ctx context.Context, probes []probe) (missing []string, why error) {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for _, p := range probes {
		if err := p.ready(ctx); err != nil {
			missing = append(missing, p.name)
			why = errors.Join(why, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return missing, why
}

// addHealth mounts /healthz and /readyz. Their answers name parts and no
// details, since anybody may ask; the details are logged.
func addHealth(mux *http.ServeMux, probes []probe, log *slog.Logger) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // the client has gone; nobody is left to tell
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		missing, why := readiness(r.Context(), probes)
		if why == nil {
			_, _ = io.WriteString(w, "ready\n") // see above
			return
		}
		log.DebugContext(r.Context(), "not ready", "err", why)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+strings.Join(missing, ", ")+"\n") // see above
	})
}

// adminMux serves operators: metrics, profiles, and what else the caller adds.
func adminMux(metrics *prometheus.Registry, probes []probe, log *slog.Logger) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	addHealth(mux, probes, log)
	return mux
}

// downloadProxy passes signed links on to the object store, so that one address serves
// everything. The Host stays as it came: it is part of the signature. Nothing
// else passes: no other method, no other bucket, no request without a
// signature, and no credentials of ours.
type downloadProxy struct {
	prefix    string // "/bucket/"
	proxy     *httputil.ReverseProxy
	transport *http.Transport
}

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

// close lets go of idle connections.
func (l *downloadProxy) close() { l.transport.CloseIdleConnections() }

// ServeHTTP passes one download on.
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
	l.proxy.ServeHTTP(w, r)
}
