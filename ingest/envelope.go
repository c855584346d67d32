package ingest

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"weir/schemas"
	"weir/schemas/registry"
)

// Every answer is {"code":int,"message":string}; code is 0 if and only if the
// HTTP status is 200. The published document of the API defines 0, 40050, 40007
// and 55102. Our own codes are 90000 plus the HTTP status, so that they cannot
// be mistaken for later codes of the publisher. A client may branch on the
// status alone: 408, 429 and 5xx ask for the same request again, every other
// 4xx never succeeds unchanged.
//
//	code   status  why
//	0      200     every event is durable, or data has the EUIDs
//	40007  400     the first bad field is an euid that is missing, null or ""; see errors for the others
//	40050  401     key and secret are missing, wrong or revoked
//	55102  400     the first bad field is a property, on /v1/user/property
//	90400  400     the body is broken, or an item is bad: see errors
//	90404  404     unknown path
//	90405  405     not POST
//	90408  408     the body did not arrive in time
//	90409  409     on /weir/v1/identities, a name belongs to another client: see conflicts
//	90413  413     too large; send smaller requests
//	90415  415     not application/json, or an encoding other than gzip and zstd
//	90429  429     too many requests in flight, too fast, or too much memory held; see Retry-After
//	90500  500     an unexpected fault of the server; the log has it
//	90503  503     Kafka, the registry or space is missing; see Retry-After
//
// A 400 for bad items has one more field, errors: up to maxItemErrors of
// {"index":int,"field":string,"reason":string}.
const (
	codeEmptyEUID     = "empty_euid"
	codeBadAttributes = "bad_attributes"
	codeUnauthorized  = "unauthorized"
	codeBadRequest    = "bad_request"
	codeBadItems      = "bad_items"
	codeNotFound      = "not_found"
	codeMethod        = "method_not_allowed"
	codeConflict      = "conflict"
	codeTimeout       = "body_timeout"
	codeTooLarge      = "too_large"
	codeMediaType     = "unsupported_media_type"
	codeTooMany       = "too_many_requests"
	codeInternal      = "internal"
	codeUnavailable   = "unavailable"
)

// maxItemErrors limits the bad fields that one answer names.
const maxItemErrors = 100

const success = `{"code":0,"message":"success"}`

// envelope is any answer but the plain success.
type envelope struct {
	Code    int                 `json:"code"`
	Message string              `json:"message"`
	Data    []identity          `json:"data,omitempty"`
	Errors  []schemas.ItemError `json:"errors,omitempty"`

	Conflicts []registry.NameConflict `json:"conflicts,omitempty"` // on /weir/v1/identities alone
}

// envelopeCode returns the number that the client sees in code.
func envelopeCode(e *schemas.RequestError) int {
	switch e.Code {
	case codeUnauthorized:
		return 40050
	case codeEmptyEUID:
		return 40007
	case codeBadAttributes:
		return 55102
	default:
		return 90000 + e.Status
	}
}

// writeSuccess answers 200. Without an answer the body is byte for byte the one of
// the published document.
func writeSuccess(w http.ResponseWriter, answer any) error {
	body := []byte(success)
	if answer != nil {
		var err error
		if body, err = json.Marshal(answer, json.Deterministic(true)); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// writeError answers with err. An error that is no RequestError becomes a plain 500,
// and its text goes to the log alone.
func (s *Service) writeError(w http.ResponseWriter, r *http.Request, err error) {
	re, ok := errors.AsType[*schemas.RequestError](err)
	if !ok {
		s.deps.Log.ErrorContext(r.Context(), "request failed, answered 500", "request_id", requestID(r.Context()), "path", r.URL.Path, "err", err)
		re = &schemas.RequestError{Status: http.StatusInternalServerError, Code: codeInternal, Detail: "internal error"}
	}
	re = re.Shortened()
	header := w.Header()
	if re.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(re.RetryAfter))
	}
	switch re.Status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Basic realm="weir", charset="UTF-8"`)
	case http.StatusUnsupportedMediaType:
		header.Set("Accept-Encoding", acceptEncoding)
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodPost)
	}
	s.metrics.badItems.Add(float64(len(re.Items)))
	answer := envelope{Code: envelopeCode(re), Message: re.Detail, Errors: re.Items}
	if conflict, ok := errors.AsType[*conflictError](err); ok {
		answer.Conflicts = conflict.names
	}
	body, err := json.Marshal(answer)
	if err != nil {
		body = []byte(`{"code":90500,"message":"internal error"}`)
	}
	writeJSON(w, re.Status, body)
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only when the client has disconnected
}
