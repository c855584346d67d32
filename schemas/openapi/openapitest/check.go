package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// checkerOnce parses the documents once for all tests of a package.
var checkerOnce = sync.OnceValues(New)

// Wrap is Checker.Wrap with a checker of all documents.
func Wrap(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	c, err := checkerOnce()
	if err != nil {
		t.Fatal(err)
	}
	return c.Wrap(t, h)
}

// Wrap returns h, and fails t for each exchange that is not documented. It ignores
// an exchange that the client cancelled.
func (c *Checker) Wrap(t testing.TB, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Helper()
		sent := &bytes.Buffer{}
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = struct {
				io.Reader
				io.Closer
			}{io.TeeReader(r.Body, sent), r.Body}
		}
		seen := &responseRecorder{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(seen, r)
		if r.Context().Err() != nil {
			return
		}
		got := Exchange{r, sent.Bytes(), seen.status, w.Header(), seen.body.Bytes()}
		if err := c.Check(got); err != nil {
			t.Errorf("%s %s answered %d: not as documented: %v\nrequest: %.500s\nresponse: %.500s",
				r.Method, r.URL.Path, got.Status, err, got.Sent, got.Body)
		}
	})
}

// responseRecorder passes a response on and records its status and body.
type responseRecorder struct {
	http.ResponseWriter
	status int
	begun  bool
	body   bytes.Buffer
}

func (w *responseRecorder) WriteHeader(status int) {
	if !w.begun {
		w.status, w.begun = status, true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseRecorder) Write(b []byte) (int, error) {
	w.begun = true
	w.body.Write(b)
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *responseRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Exchange is a request and its response.
type Exchange struct {
	Request *http.Request
	Sent    []byte // body of the request as far as the handler read it
	Status  int
	Header  http.Header
	Body    []byte
}

// Check returns an error if an exchange is not documented.
func (c *Checker) Check(x Exchange) error {
	op, allowed := c.find(x.Request)
	status := strconv.Itoa(x.Status)
	switch {
	case op != nil:
		documented, ok := op.responses[status]
		if !ok {
			return fmt.Errorf("documented are %v", op.statuses())
		}
		if x.Status < 300 {
			if err := op.checkRequest(x); err != nil {
				return fmt.Errorf("the request: %w", err)
			}
		}
		return documented.check(x)
	case allowed != nil:
		documented, ok := allowed.responses[status]
		if !ok || x.Status != http.StatusMethodNotAllowed {
			return errors.New("the method is not documented")
		}
		return documented.check(x)
	}
	for _, other := range c.others {
		if strings.HasPrefix(x.Request.URL.Path, other.under) && x.Status == http.StatusNotFound {
			return other.response.check(x)
		}
	}
	return errors.New("the path is not documented")
}

// checkRequest checks the request of a successful exchange. Other requests may be
// anything: the server refused them.
func (op *operation) checkRequest(x Exchange) error {
	if !op.hasCredentials(x.Request) {
		return errors.New("has none of the credentials")
	}
	for _, p := range op.params {
		value, ok := p.valueIn(op, x.Request)
		if !ok && p.required {
			return fmt.Errorf("%s %s is missing", p.in, p.name)
		}
		if ok {
			if err := validateText(p.schema, value); err != nil {
				return fmt.Errorf("%s %s: %w", p.in, p.name, err)
			}
		}
	}
	if len(x.Sent) == 0 && !op.needsBody {
		return nil
	}
	if op.body == nil {
		return errors.New("has a body")
	}
	switch strings.ToLower(x.Request.Header.Get("Content-Encoding")) {
	case "", "identity":
		return op.body.check(x.Sent)
	}
	return nil // a compressed body is not checked
}

// hasCredentials reports whether r has the credentials of one security requirement.
func (op *operation) hasCredentials(r *http.Request) bool {
	for _, wants := range op.security {
		all := true
		for _, s := range wants {
			all = all && s.presentIn(r)
		}
		if all {
			return true
		}
	}
	return len(op.security) == 0
}

// presentIn reports whether r has credentials of the kind, not whether they are valid.
func (s scheme) presentIn(r *http.Request) bool {
	first, _, two := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	switch {
	case s.kind == "http basic":
		return strings.EqualFold(first, "basic")
	case s.kind == "http bearer":
		return strings.EqualFold(first, "bearer")
	case s.in == "header":
		return first != "" && !two
	}
	_, err := r.Cookie(s.name)
	return err == nil
}

// valueIn returns the value of p in a request.
func (p param) valueIn(op *operation, r *http.Request) (string, bool) {
	switch p.in {
	case "path":
		parts := strings.Split(strings.TrimPrefix(path(r), "/"), "/")
		for i, part := range op.path {
			if part == "{"+p.name+"}" {
				return parts[i], true
			}
		}
	case "cookie":
		c, err := r.Cookie(p.name)
		if err == nil {
			return c.Value, true
		}
	case "header":
		value := strings.Join(r.Header.Values(p.name), ", ")
		return value, value != "" // an empty header counts as absent
	}
	return "", false
}

// check compares the headers and the body of a response with the documented ones.
func (a response) check(x Exchange) error {
	for name, values := range x.Header {
		if name == "Content-Type" || name == "Content-Length" {
			continue
		}
		documented, ok := a.headers[name]
		if !ok {
			return fmt.Errorf("header %s is not documented", name)
		}
		for _, value := range values {
			if err := validateText(documented.schema, value); err != nil {
				return fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	for name, documented := range a.headers {
		if documented.required && len(x.Header.Values(name)) == 0 {
			return fmt.Errorf("header %s is missing", name)
		}
	}
	if a.body == nil {
		if len(x.Body) > 0 {
			return errors.New("has a body")
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(x.Header.Get("Content-Type"))
	if err != nil || mediaType != a.body.mediaType {
		return fmt.Errorf("content type %q, not %s", x.Header.Get("Content-Type"), a.body.mediaType)
	}
	return a.body.check(x.Body)
}

// check validates a body against the documented schema.
func (c *content) check(body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("the body is not JSON: %w", err)
	}
	return c.schema.Validate(value)
}

// validateText validates a value that was sent as text, as a string or as a number.
func validateText(schema *jsonschema.Schema, text string) error {
	err := schema.Validate(text)
	if err == nil {
		return nil
	}
	number, parseErr := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if parseErr == nil && schema.Validate(number) == nil {
		return nil
	}
	return err
}

// path returns the path of a request as it was sent where it has an encoded slash,
// which separates nothing, and decoded elsewhere.
func path(r *http.Request) string {
	if strings.Contains(strings.ToUpper(r.URL.RawPath), "%2F") {
		return r.URL.RawPath
	}
	return r.URL.Path
}
