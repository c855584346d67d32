package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"weir/schemas"
)

// Handler serves the Ingestion API. It answers unknown paths and methods with
// the API's own envelope too, so that clients parse one format.
func (s *Service) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := s.now()
		id := r.Header.Get("X-Request-Id")
		if !validRequestID(id) {
			id = uuid.NewString()
		}
		w.Header().Set("X-Request-Id", id)
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		ctx := context.WithValue(r.Context(), requestIDKey{}, id)
		r = r.WithContext(ctx)

		s.metrics.inFlight.Inc()
		if err := s.route(sw, r); err != nil {
			s.writeError(sw, r, s.countOver(ctx, err))
		}
		s.metrics.inFlight.Dec()
		s.observe(r, sw.status, s.now().Sub(start))
	})
}

func (s *Service) route(w http.ResponseWriter, r *http.Request) error {
	if s.crossOrigin(w, r) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	e, found := findEndpoint(pathOf(r))
	if !found {
		return &schemas.RequestError{
			Status: http.StatusNotFound, Code: codeNotFound,
			Detail: "no such address: see /openapi/; events go to POST " + pathReport,
		}
	}
	if r.Method != http.MethodPost {
		return &schemas.RequestError{Status: http.StatusMethodNotAllowed, Code: codeMethod, Detail: "only POST is served here"}
	}
	return s.serve(w, r, e)
}

// pathOf returns the path of a request; "" where it has an encoded slash, which
// separates nothing: /v1/event%2Freport is another path than /v1/event/report.
func pathOf(r *http.Request) string {
	if strings.Contains(strings.ToUpper(r.URL.RawPath), "%2F") {
		return ""
	}
	return r.URL.Path
}

// crossOrigin sets the CORS headers for a configured origin. It reports whether
// the request is a preflight, which needs no other answer than these headers.
func (s *Service) crossOrigin(w http.ResponseWriter, r *http.Request) (preflight bool) {
	origin := r.Header.Get("Origin")
	if origin == "" || len(s.cfg.AllowedOrigins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	if !slices.Contains(s.cfg.AllowedOrigins, "*") && !slices.Contains(s.cfg.AllowedOrigins, origin) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", http.MethodPost)
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Encoding, X-Request-Id")
	header.Set("Access-Control-Max-Age", "600")
	return true
}

func (s *Service) observe(r *http.Request, status int, took time.Duration) {
	e, _ := findEndpoint(pathOf(r))
	s.metrics.requests.WithLabelValues(e.name, strconv.Itoa(status)).Inc()
	s.metrics.duration.WithLabelValues(e.name).Observe(took.Seconds())
	if ctx := r.Context(); s.deps.Log.Enabled(ctx, slog.LevelDebug) {
		s.deps.Log.DebugContext(ctx, "request answered", "request_id", requestID(ctx), "endpoint", e.name, "status", status,
			"took_ms", took.Milliseconds())
	}
}

// statusWriter records the status for log and metrics.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection's deadlines.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type requestIDKey struct{}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// validRequestID reports whether a request id of a client may be written to the
// log and echoed: control characters could forge log lines or headers.
func validRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
