package query

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/schemas"
	"weir/schemas/objects"
	"weir/schemas/registry"
)

const (
	headerRequestID = "X-Request-Id" // taken from the client if it is a short word, else made here
	maxRequestID    = 64
	statusGone      = 499 // in logs and figures alone: the client went away
)

// endpoint is one published path.
type endpoint struct {
	name   string // in logs and figures
	method string
	answer func(http.ResponseWriter, *http.Request) error
	spell  func(http.ResponseWriter, *schemas.RequestError) // writes an error as its contract has it
}

// route answers e's requests: it gives each an id, spells errors, cuts off an
// answer that failed half-way, and keeps the log and the figures.
func (s *Service) route(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := requestID(r)
		w.Header().Set(headerRequestID, id)
		out := &response{ResponseWriter: w}
		s.hurry(out, r)
		err := methodOf(e, r)
		if err == nil {
			err = e.answer(out, r)
		}
		status := out.status
		if err != nil {
			status = s.fail(out, r, e, err)
		}
		took := time.Since(start)
		s.metrics.requests.WithLabelValues(e.name, strconv.Itoa(status)).Inc()
		s.metrics.seconds.WithLabelValues(e.name).Observe(took.Seconds())
		s.log.DebugContext(r.Context(), "request answered", "request_id", id, "endpoint", e.name,
			"status", status, "bytes", out.bytes, "duration_ms", took.Milliseconds())
	})
}

// unknown answers what is not there below prefix in the shape of its contract.
func (s *Service) unknown(mux *http.ServeMux, prefix, name string, spell func(http.ResponseWriter, *schemas.RequestError)) {
	mux.HandleFunc(prefix, func(w http.ResponseWriter, r *http.Request) {
		s.route(endpoint{name: name, method: r.Method, answer: unknownPath, spell: spell}).ServeHTTP(w, r)
	})
}

func unknownPath(_ http.ResponseWriter, r *http.Request) error {
	return notFound("no such path: " + r.URL.Path)
}

// requestID keeps what a proxy or client calls the request, if it can stand in
// a log line and a header as it is.
func requestID(r *http.Request) string {
	id := r.Header.Get(headerRequestID)
	if id == "" || len(id) > maxRequestID {
		return rand.Text()
	}
	for _, c := range []byte(id) {
		word := c == '-' || c == '_' || c == '.' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
		if !word {
			return rand.Text()
		}
	}
	return id
}

func methodOf(e endpoint, r *http.Request) error {
	if r.Method == e.method {
		return nil
	}
	return &schemas.RequestError{Status: http.StatusMethodNotAllowed, Code: "method", Detail: "use " + e.method}
}

// fail tells the client what err is, if it may know and can still be told, and
// the log what it may not. It returns the status for log and figures.
func (s *Service) fail(w *response, r *http.Request, e endpoint, err error) int {
	re, ok := errors.AsType[*schemas.RequestError](err)
	late := ok && re.Status == http.StatusRequestTimeout // net/http takes its client for gone; it is there to be told
	if r.Context().Err() != nil && !late {
		w.cut() // or net/http would end it with an empty 200
		return statusGone
	}
	if !ok {
		re = s.fault(r.Context(), err, "request_id", w.Header().Get(headerRequestID), "endpoint", e.name)
	}
	if w.status != 0 {
		w.cut()
		return re.Status
	}
	if re.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(re.RetryAfter))
	}
	if re.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", e.method)
	}
	e.spell(w, re)
	return re.Status
}

// fault logs what the client may not know, and returns what it may: to come
// again if the registry or a store does not answer, else that it is our fault.
func (s *Service) fault(ctx context.Context, err error, of ...any) *schemas.RequestError {
	of = append(of, "err", err)
	if registry.Unreachable(err) || objects.Unreachable(err) {
		s.log.WarnContext(ctx, "request refused for now", of...)
		return &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "Service temporarily unavailable", RetryAfter: 5,
		}
	}
	s.log.ErrorContext(ctx, "request failed", of...)
	return &schemas.RequestError{Status: http.StatusInternalServerError, Code: "internal", Detail: "Internal server error"}
}

// response remembers whether an answer has begun.
type response struct {
	http.ResponseWriter
	status int // 0 until then
	bytes  int64
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// cut ends the connection without the end of the answer: with the deadline
// behind it, the last chunk is never written.
func (w *response) cut() {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second)) //nolint:errcheck // a writer without deadlines is a test's
}

// patient gives the client another Config.WriteStall to take what is written
// next.
func (s *Service) patient(w http.ResponseWriter) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.cfg.WriteStall)) //nolint:errcheck // a writer without deadlines is a test's
}

// writeBytes is how much of a streamed answer is gathered before it is sent.
const writeBytes = 64 << 10

// writer gathers a streamed answer.
type writer struct {
	service *Service
	to      http.ResponseWriter
	buf     []byte
	items   int // of the array being written
}

// separate returns buf, ready for the next item of an array.
func (w *writer) separate() []byte {
	if w.items++; w.items > 1 {
		w.buf = append(w.buf, ',')
	}
	return w.buf
}

// flush sends what is gathered if it is at least atLeast bytes.
func (w *writer) flush(atLeast int) error {
	if len(w.buf) < atLeast {
		return nil
	}
	w.service.patient(w.to)
	_, err := w.to.Write(w.buf)
	w.buf = w.buf[:0]
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// writeJSON writes a small answer whole.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // the client has gone; nobody is left to tell
}

// badBody is what a body that does not decode is answered: 408 if it was late,
// 413 if it was too long, otherwise 400 with the field, if one is to blame.
func badBody(err error) error {
	if late, ok := isLate(err); ok {
		return late
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &schemas.RequestError{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Detail: "The body is too large"}
	}
	wrong, ok := errors.AsType[*json.SemanticError](err)
	switch {
	case !ok:
		reason := strings.TrimPrefix(err.Error(), "jsontext: ")
		return &schemas.RequestError{Status: http.StatusBadRequest, Code: "bad_json", Detail: "The body is not valid JSON: " + reason}
	case wrong.JSONPointer == "":
		return &schemas.RequestError{Status: http.StatusBadRequest, Code: "bad_type", Detail: "The body must be a JSON object"}
	}
	return wrongField("bad_type", dotted(wrong.JSONPointer), "has the wrong type")
}

// wrongField names the field that is to blame.
func wrongField(code, field, reason string) error {
	return &schemas.RequestError{
		Status: http.StatusBadRequest, Code: code, Detail: field + " " + reason,
		Items: []schemas.ItemError{{Field: field, Reason: reason}},
	}
}

// dotted spells the place of a value as a.b.0.
func dotted(at jsontext.Pointer) string {
	return strings.Join(slices.Collect(at.Tokens()), ".")
}

// hurry gives the client Config.WriteStall to send its question. Once it is
// there the deadline goes: net/http goes on reading, to see a client hang up,
// and would take a late answer for that.
func (s *Service) hurry(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(s.cfg.WriteStall)) // a writer without deadlines is a test's
	r.Body = &hurriedBody{r.Body, control}
}

type hurriedBody struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *hurriedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF: //nolint:errorlint // a reader's end is bare
		_ = b.control.SetReadDeadline(time.Time{}) // a writer without deadlines is a test's
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &lateBody{err}
	}
	return n, err
}

// lateBody says that a question did not arrive in time.
type lateBody struct{ error }

func (e *lateBody) Unwrap() error { return e.error }

// isLate is the answer to a body that did not arrive in time, if err says so.
func isLate(err error) (*schemas.RequestError, bool) {
	_, late := errors.AsType[*lateBody](err)
	return &schemas.RequestError{Status: http.StatusRequestTimeout, Code: "body_timeout", Detail: "The body did not arrive in time"}, late
}

// turn waits until the question may scan. The caller calls done when it has
// scanned.
func (s *Service) turn(ctx context.Context) (done func(), err error) {
	wait := time.NewTimer(s.cfg.ScanWait)
	defer wait.Stop()
	select {
	case s.turns <- struct{}{}:
		s.metrics.scanning.Inc()
		return func() { <-s.turns; s.metrics.scanning.Dec() }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a scan: %w", ctx.Err())
	case <-wait.C:
		s.metrics.turned.Inc()
		return nil, &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: "busy", Detail: "Too many questions at once", RetryAfter: 5,
		}
	}
}
