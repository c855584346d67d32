package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// probe reports whether a service can do its work.
type probe struct {
	name  string
	ready func(ctx context.Context) error
	warn  func() string // what to look at although it can; "" if nothing; may be nil
}

// warnings returns what the services warn of.
func warnings(probes []probe) (all []string) {
	for _, p := range probes {
		if p.warn == nil {
			continue
		}
		if w := p.warn(); w != "" {
			all = append(all, p.name+": "+w)
		}
	}
	return all
}

// readyWait is the time limit of one /readyz.
const readyWait = 5 * time.Second

// readiness runs every probe, one after the other within readyWait together. It
// returns the names of the services that are not ready and the reasons, or nil
// when all are ready.
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

// addHealth mounts /healthz and /readyz. They need no authentication, so the
// answers name services and warnings only; the reasons, which may name hosts, are logged.
func addHealth(mux *http.ServeMux, probes []probe, log *slog.Logger) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // fails only when the client has disconnected
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		missing, why := readiness(r.Context(), probes)
		if why == nil {
			var text strings.Builder
			text.WriteString("ready\n")
			for _, warning := range warnings(probes) {
				text.WriteString("warning: " + warning + "\n")
			}
			_, _ = io.WriteString(w, text.String()) // see above
			return
		}
		log.DebugContext(r.Context(), "not ready, /readyz answered 503", "err", why)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+strings.Join(missing, ", ")+"\n") // see above
	})
}
