package query

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"weir/query/cost"
	"weir/query/view"
	"weir/schemas"
	"weir/schemas/places"
)

// responder reads requests and writes answers. Each endpoint family has one.
type responder struct {
	limits
	views      *view.Reader
	cost       cost.Limits
	manyEvents prometheus.Counter // answers that counted events together as report.OtherEvents
}

// largeBody is the size of a body from which a question needs a place to be read:
// decoded and compiled it holds about ten times its size, and a processor for long.
const largeBody = 8 << 10

// beginQuestion is called before the body of a question is read, and waits for a place
// if it is large, or of unknown size. The caller releases the place, which may be nil,
// when it has answered.
func (rs responder) beginQuestion(r *http.Request, account string) (*places.Place, error) {
	if r.ContentLength >= 0 && r.ContentLength <= largeBody {
		return nil, nil
	}
	return rs.views.AcquireQuestion(r.Context(), account)
}

// strangerBody is the longest body that is read before it is known who sends it.
const strangerBody = 16 << 10

// ofStrangers reads bodies of up to strangerBody alone.
func (rs responder) ofStrangers() responder {
	rs.maxBody = min(rs.maxBody, strangerBody)
	return rs
}

// readBody decodes a JSON body. Unknown members are ignored. An empty body is {}:
// where a member is required, that is what the error says.
func (rs responder) readBody(w http.ResponseWriter, r *http.Request, into any) error {
	body := bufio.NewReader(rs.body(w, r))
	if _, err := body.Peek(1); errors.Is(err, io.EOF) {
		return nil
	}
	err := json.UnmarshalRead(body, into)
	if err == nil {
		return nil
	}
	if late, ok := lateBody(err); ok {
		return late
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &schemas.RequestError{
			Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
			Detail: "body: longer than " + strconv.FormatInt(rs.maxBody, 10) + " bytes",
		}
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		if errors.Is(err, json.ErrUnknownName) {
			return badField(fieldOf(semantic.JSONPointer), "is not known here")
		}
		return badField(fieldOf(semantic.JSONPointer), "is not of the type it must have")
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return badField(fieldOf(syntactic.JSONPointer), "stands there twice")
		}
		return badField(fieldOf(syntactic.JSONPointer), "is not valid JSON")
	}
	return badField("body", "cannot be read")
}

// fieldOf writes a JSON pointer as a.b.0.
func fieldOf(at jsontext.Pointer) string {
	if at == "" {
		return "body"
	}
	return strings.Join(slices.Collect(at.Tokens()), ".")
}

// badField is the 400 of the Reporting API for a field.
func badField(field, reason string) error {
	return &schemas.RequestError{Status: http.StatusBadRequest, Code: "bad_field", Detail: field + ": " + reason}
}

// notFound is a 404 of any of the APIs.
func notFound(reason string) error {
	return &schemas.RequestError{Status: http.StatusNotFound, Code: "not_found", Detail: reason}
}

// badBody is the error for a body of the User Events API or the Events API that
// does not decode: 408 if it was late, 413 if it was too long, otherwise 400
// with the field, if there is one.
func badBody(err error) error {
	if late, ok := lateBody(err); ok {
		return late
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &schemas.RequestError{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Detail: "The body is too large"}
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	switch {
	case !ok:
		reason := strings.TrimPrefix(err.Error(), "jsontext: ")
		return &schemas.RequestError{Status: http.StatusBadRequest, Code: "bad_json", Detail: "The body is not valid JSON: " + reason}
	case semantic.JSONPointer == "":
		return &schemas.RequestError{Status: http.StatusBadRequest, Code: "bad_type", Detail: "The body must be a JSON object"}
	}
	if errors.Is(err, json.ErrUnknownName) {
		return fieldError("bad_value", fieldOf(semantic.JSONPointer), "is no filter")
	}
	return fieldError("bad_type", fieldOf(semantic.JSONPointer), "has the wrong type")
}

// fieldError is the 400 of the Events API for a field.
func fieldError(code, field, reason string) error {
	return &schemas.RequestError{
		Status: http.StatusBadRequest, Code: code, Detail: field + " " + reason,
		Items: []schemas.ItemError{{Field: field, Reason: reason}},
	}
}

// answerFromView waits until the question of the account may scan, and writes what
// answer makes of the view that plan returns. Nothing of either is needed while the
// client reads.
func (rs responder) answerFromView(
	w http.ResponseWriter, r *http.Request,
	account string, plan func(context.Context) (*view.View, error), answer func(context.Context, *view.View) (any, error),
) error {
	ctx := r.Context()
	place, err := rs.views.AcquireScan(ctx, account)
	if err != nil {
		return err
	}
	defer place.Release()
	v, err := plan(ctx)
	if err != nil {
		return err
	}
	defer v.Close()
	body, err := answer(ctx, v)
	if err != nil {
		return err
	}
	setCoverage(w.Header(), v.Coverage())
	v.Close()
	w.Header().Set("Content-Type", "application/json")
	return json.MarshalWrite(&answerWriter{limits: rs.limits, to: w, place: place, ended: ctx.Err}, body, json.Deterministic(true))
}

// writeAnswer sends v as JSON with status 200.
func (rs responder) writeAnswer(ctx context.Context, w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.MarshalWrite(&answerWriter{limits: rs.limits, to: w, ended: ctx.Err}, v, json.Deterministic(true))
}

// writeJSON sends a small body whole.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // it fails when the client has gone, and then nobody reads it
}

// streamBytes is how much of a streamed answer is buffered before it is sent.
const streamBytes = 64 << 10

// streamWriter buffers a streamed answer.
type streamWriter struct {
	to    *answerWriter
	buf   []byte
	items int // of the array being written
}

// separate returns buf, ready for the next item of an array.
func (w *streamWriter) separate() []byte {
	if w.items++; w.items > 1 {
		w.buf = append(w.buf, ',')
	}
	return w.buf
}

// flush sends the buffer if it has at least atLeast bytes.
func (w *streamWriter) flush(atLeast int) error {
	if len(w.buf) < atLeast {
		return nil
	}
	_, err := w.to.Write(w.buf)
	w.buf = w.buf[:0]
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
