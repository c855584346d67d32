package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/deploy/conns"
)

// httpServer is one HTTP server with its listener and handler.
type httpServer struct {
	name     string
	listener net.Listener
	handler  http.Handler
	cert     string // path of the certificate; empty serves plain HTTP
	key      string
	cfg      httpConfig
	conns    *conns.Set // nil: a set of its own
	log      *slog.Logger
}

// listen opens the address before any service runs, so that a port in use fails
// the start at once.
func listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return l, nil
}

// run serves until ctx ends. Then it accepts no more requests and waits up to
// cfg.DrainTimeout for those in flight.
func (s httpServer) run(ctx context.Context) error {
	if s.conns == nil {
		s.conns = conns.New(conns.Config{}, s.log, nil)
	}
	listener := s.conns.HTTP(s.name, s.listener, s.cert != "")
	var h1 http.Protocols
	h1.SetHTTP1(true)
	server := &http.Server{
		Handler:           listener.Handler(s.handler),
		ConnContext:       conns.ConnContext,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    int(s.cfg.MaxHeaderBytes),
		Protocols:         &h1,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		// No timeouts of whole bodies and answers: uploads and downloads take as long
		// as they take, while they go on.
	}
	ended := make(chan error, 1)
	go func() {
		if s.cert != "" {
			ended <- server.ServeTLS(listener, s.cert, s.key)
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.DrainTimeout)
	defer cancel()
	listener.Drain()
	err := server.Shutdown(drain)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.WarnContext(ctx, "requests still in flight after the drain timeout, closing their connections", "server", s.name, "timeout", s.cfg.DrainTimeout)
		err = server.Close()
	}
	<-ended //nolint:errcheck // always http.ErrServerClosed
	return err
}

// adminMux returns the handler for operators: metrics, profiles and health. The
// caller may add more.
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
