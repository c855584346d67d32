package query

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"weir/query/cost"
	"weir/schemas"
	"weir/schemas/objects"
	"weir/schemas/registry"
	"weir/schemas/values"
)

const (
	headerRequestID = "X-Request-Id" // taken from the client if it is a short word, else made here
	maxRequestID    = 64             // bytes
	statusGone      = 499            // in logs and metrics only: the client went away
)

// answerFunc answers a request. It returns an error if it has not, or not
// completely, written the answer.
type answerFunc func(http.ResponseWriter, *http.Request) error

// encodeErrorFunc writes an error as one API publishes it.
type encodeErrorFunc func(http.ResponseWriter, *schemas.RequestError)

// endpoint is one published path with its method.
type endpoint struct {
	name        string // in logs and metrics
	method      string
	answer      answerFunc
	encodeError encodeErrorFunc
}

// router answers requests by endpoints. It gives each request an id, writes
// errors, aborts an answer that fails half-way, and keeps log and metrics.
type router struct {
	limits
	log     *slog.Logger
	metrics *metrics
}

// handle returns the handler of e.
func (rt *router) handle(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := requestID(r)
		w.Header().Set(headerRequestID, id)
		out := &response{ResponseWriter: w}
		rt.withReadDeadline(out, r)
		err := checkMethod(e, r)
		if err == nil {
			err = checkEncoding(r)
		}
		if err == nil {
			err = e.answer(out, r)
		}
		status := out.status
		if err != nil {
			status = rt.fail(out, r, e, err)
		}
		took := time.Since(start)
		rt.metrics.requests.WithLabelValues(e.name, strconv.Itoa(status)).Inc()
		rt.metrics.duration.WithLabelValues(e.name).Observe(took.Seconds())
		rt.log.DebugContext(r.Context(), "request answered", "request_id", id, "endpoint", e.name,
			"status", status, "bytes", out.bytes, "duration_ms", took.Milliseconds())
	})
}

// handleUnknown answers every other path below prefix with a 404 as the API of
// prefix writes it.
func (rt *router) handleUnknown(mux *http.ServeMux, prefix, name string, encodeError encodeErrorFunc) {
	mux.HandleFunc(prefix, func(w http.ResponseWriter, r *http.Request) {
		rt.handle(endpoint{name: name, method: r.Method, answer: unknownPath, encodeError: encodeError}).ServeHTTP(w, r)
	})
}

func unknownPath(_ http.ResponseWriter, r *http.Request) error {
	return notFound("no such path: " + r.URL.Path)
}

// requestID keeps the id of a proxy or client if it is safe in a log line and a
// header as it is, and makes one otherwise.
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

// checkMethod refuses other methods after the id is set and before the body is read.
func checkMethod(e endpoint, r *http.Request) error {
	if r.Method == e.method {
		return nil
	}
	return &schemas.RequestError{Status: http.StatusMethodNotAllowed, Code: "method", Detail: "use " + e.method}
}

// checkEncoding refuses a body that is compressed, which none of these APIs takes.
func checkEncoding(r *http.Request) error {
	encoding := strings.TrimSpace(r.Header.Get("Content-Encoding"))
	if r.Body == nil || r.Body == http.NoBody || encoding == "" || strings.EqualFold(encoding, "identity") {
		return nil
	}
	return &schemas.RequestError{
		Status: http.StatusUnsupportedMediaType, Code: codeEncoding,
		Detail: "Content-Encoding: " + strconv.QuoteToASCII(values.FirstChars(encoding, maxShownEncoding)) + " is not taken here, send the body as it is",
	}
}

const (
	codeEncoding     = "unsupported_encoding"
	maxShownEncoding = 40 // characters
)

// fail answers err, if the client may know it and nothing of the answer is
// written yet, and logs what the client may not know. It returns the status for
// log and metrics.
func (rt *router) fail(w *response, r *http.Request, e endpoint, err error) int {
	if refusal, refused := errors.AsType[*cost.Refusal](err); refused {
		rt.metrics.refused.WithLabelValues(string(refusal.Limit)).Inc()
		err = tooCostly(refusal)
	}
	if b, ok := r.Body.(*deadlineBody); ok && b.late {
		err = errLateBody() // whatever a decoder makes of the part that came
	}
	re, ok := errors.AsType[*schemas.RequestError](err)
	late := ok && re.Status == http.StatusRequestTimeout // net/http then cancels the context, but the client still waits
	if r.Context().Err() != nil && !late {
		w.abort() // else net/http would end the answer with an empty 200
		return statusGone
	}
	if !ok {
		re = rt.internalError(r.Context(), err, "request_id", w.Header().Get(headerRequestID), "endpoint", e.name)
	}
	if w.status != 0 {
		w.abort()
		return re.Status
	}
	for _, name := range []string{headerWatermark, headerAsOf, headerPartial} {
		w.Header().Del(name) // an error includes no events
	}
	if re.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(re.RetryAfter))
	}
	if re.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", e.method)
	}
	e.encodeError(w, re.Shortened())
	return re.Status
}

// tooCostly is the 400 for a question that would cost more than it may.
func tooCostly(r *cost.Refusal) error {
	return &schemas.RequestError{
		Status: http.StatusBadRequest, Code: "too_costly", Detail: r.Error(),
		Items: []schemas.ItemError{{Field: r.Field, Reason: r.Reason()}},
	}
}

// internalError logs an error that the client may not know, and returns what it
// may know: 503 if the registry or a store does not answer, else 500.
func (rt *router) internalError(ctx context.Context, err error, attrs ...any) *schemas.RequestError {
	attrs = append(attrs, "err", err)
	if registry.Unreachable(err) || objects.Unreachable(err) {
		rt.log.WarnContext(ctx, "request answered 503, registry or object store unreachable", attrs...)
		return &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: "unavailable", Detail: "Service temporarily unavailable", RetryAfter: 5,
		}
	}
	rt.log.ErrorContext(ctx, "request failed", attrs...)
	return &schemas.RequestError{Status: http.StatusInternalServerError, Code: "internal", Detail: "Internal server error"}
}

// response records whether an answer has begun.
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

// abort ends the connection without the end of the answer. The status and a
// part of the body may have been sent, so an error cannot be told any more; and
// a body that ended in the usual way would look whole, and its client would take
// half the events for all. With a deadline in the past net/http cannot write the
// last chunk.
func (w *response) abort() {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(-time.Second)) //nolint:errcheck // only a test's writer has no deadlines
}
