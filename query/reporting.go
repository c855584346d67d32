package query

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"weir/query/export"
	"weir/schemas"
	"weir/schemas/registry"
)

// publishedOrigin is the Origin that the published contract asks for.
const publishedOrigin = "https://analytics.revenera.com"

// Codes of errors that contract 4 spells as AUTH ERROR although their status
// is that of a request that cannot be read.
const (
	codeCookieMissing = "cookie_missing"
	codeOrigin        = "origin"
)

// reportingRoutes mounts contract 4, whose paths all begin with /v3.
//
// Where the contract is silent it was decided:
//
//   - Errors are {"status", "reason"}: SYNTAX ERROR for what is asked wrongly or
//     is not there, AUTH ERROR for 401, 403, 429, a missing cookie and a foreign
//     Origin, SERVER ERROR, a word of our own, for what is our fault.
//   - The session cookie is all that a request must bring. The CSRF cookie must
//     be there for a login, with any value.
//   - A logout ends one session; with {"all": true}, or a second time with the
//     same cookie within an hour, every session of the user.
//   - getLastLines answers with "result", the newest arrival first; 10 lines
//     unless asked for otherwise, 1000 at most.
//   - openDailyFiles are the days that are not closed, today's always, others
//     if they have events; a day that is closed and about to be built is there
//     with isAvailable false, and can be downloaded nevertheless. Sizes of open
//     files are those of the last build if nothing was added, else the number of
//     events times the width of a row. A kilobyte is 1024 bytes.
//   - fileList of raw events has today's file too, first, with the size of its
//     last build, 0 without one. There are no monthly raw files.
//   - Rows of a file stand in no order. Null is an empty field; event times are
//     UTC; what would be a formula in a spreadsheet is left as it was sent.
func (s *Service) reportingRoutes(mux *http.ServeMux) {
	at := func(method, path, name string, answer func(http.ResponseWriter, *http.Request) error) {
		e := endpoint{name: name, method: method, answer: sameOrigin(s.cfg.Origins, answer), spell: spellReportingError}
		mux.Handle(path, s.crossOrigin(method, s.route(e)))
	}
	at(http.MethodGet, "/v3/request-csrf", "request_csrf", s.requestCsrf)
	at(http.MethodPost, "/v3/auth/web", "auth_web", s.login)
	at(http.MethodPost, "/v3/auth/logout", "auth_logout", s.logout)
	for _, f := range []struct {
		path, name string
		kind       export.Kind
	}{
		{"/v3/customEventTracking/", "custom_event", export.CustomEvents()},
		{"/v3/exceptionTracking/", "exception", export.Exceptions()},
	} {
		at(http.MethodPost, f.path+"getLastLines/{product_id}", f.name+"_last_lines", s.ofProduct(f.kind, s.getLastLines))
		at(http.MethodGet, f.path+"listFiles/{product_id}", f.name+"_list_files", s.ofProduct(f.kind, s.listFiles))
		at(http.MethodPost, f.path+"getDownloadUrl/{product_id}", f.name+"_download_url", s.ofProduct(f.kind, s.getDownloadURL))
	}
	at(http.MethodGet, "/v3/rawEvents/download/listFiles/{product_id}", "raw_events_list_files", s.ofProduct(export.RawEvents(), s.listRawFiles))
	at(http.MethodPost, "/v3/rawEvents/download/getDownloadUrl/{product_id}", "raw_events_download_url", s.ofProduct(export.RawEvents(), s.getDownloadURL))
	s.reportRoutes(at)
	s.managementRoutes(mux)
	s.unknown(mux, "/v3/", "reporting_unknown", spellReportingError)
}

// sameOrigin refuses what a page of somebody else makes a browser send. Who
// sends no Origin is no browser's page.
func sameOrigin(allowed []string, answer func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		origin := r.Header.Get("Origin")
		if origin == "" || slices.Contains(allowed, origin) {
			return answer(w, r)
		}
		if u, err := url.Parse(origin); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
			return answer(w, r)
		}
		return &schemas.RequestError{
			Status: http.StatusBadRequest, Code: codeOrigin, Detail: "Origin: " + strconv.Quote(origin) + " is not allowed",
		}
	}
}

// exportQuestion is a question about one kind of export of one product, from
// somebody who may ask it.
type exportQuestion struct {
	kind    export.Kind
	product registry.Product
	want    watermark // sent back by who has seen it; the answer includes at least that
}

// ofProduct lets through who has a session and may see the product of the
// path.
func (s *Service) ofProduct(kind export.Kind, answer func(http.ResponseWriter, *http.Request, exportQuestion) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := s.session(r)
		if err != nil {
			return err
		}
		product, err := s.product(r, who)
		if err != nil {
			return err
		}
		want, err := watermarkOf(r)
		if err != nil {
			return err
		}
		return answer(w, r, exportQuestion{kind: kind, product: product, want: want})
	}
}

// product is the product that the path names: 404 if there is none, 403 if it
// is somebody else's.
func (s *Service) product(r *http.Request, who registry.Principal) (registry.Product, error) {
	text := r.PathValue("product_id")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return registry.Product{}, badField("product_id", strconv.Quote(text)+" is not a product id")
	}
	product, err := s.deps.Registry.Product(r.Context(), id)
	if errors.Is(err, registry.ErrNotFound) {
		return registry.Product{}, notFound("product_id: there is no product " + text)
	}
	if err != nil {
		return registry.Product{}, err
	}
	if !who.May(id) {
		return registry.Product{}, &schemas.RequestError{
			Status: http.StatusForbidden, Code: "forbidden", Detail: "product_id: no permission for product " + text,
		}
	}
	return product, nil
}

// readBody decodes a JSON body. Members that nobody knows are ignored.
func (s *Service) readBody(w http.ResponseWriter, r *http.Request, into any) error {
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody), into)
	if err == nil {
		return nil
	}
	if late, ok := isLate(err); ok {
		return late
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &schemas.RequestError{
			Status: http.StatusRequestEntityTooLarge, Code: "body_too_large",
			Detail: "body: longer than " + strconv.FormatInt(s.cfg.MaxBody, 10) + " bytes",
		}
	}
	if wrong, ok := errors.AsType[*json.SemanticError](err); ok {
		return badField(fieldOf(wrong.JSONPointer), "is not of the type it must have")
	}
	if wrong, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return badField(fieldOf(wrong.JSONPointer), "stands there twice")
		}
		return badField(fieldOf(wrong.JSONPointer), "is not valid JSON")
	}
	return badField("body", "cannot be read")
}

// fieldOf spells a JSON pointer as people write fields.
func fieldOf(at jsontext.Pointer) string {
	if at == "" {
		return "body"
	}
	return strings.Join(slices.Collect(at.Tokens()), ".")
}

func badField(field, reason string) error {
	return &schemas.RequestError{Status: http.StatusBadRequest, Code: "bad_field", Detail: field + ": " + reason}
}

func notFound(reason string) error {
	return &schemas.RequestError{Status: http.StatusNotFound, Code: "not_found", Detail: reason}
}

// reportingError is how contract 4 spells an error.
type reportingError struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

func spellReportingError(w http.ResponseWriter, e *schemas.RequestError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.MarshalWrite(w, reportingError{Status: reportingStatus(e), Reason: e.Detail}) // the client has gone; nobody is left to tell
}

// reportingStatus is the word of the envelope. The two published ones leave no
// room for what is our own fault.
func reportingStatus(e *schemas.RequestError) string {
	switch {
	case e.Status >= http.StatusInternalServerError:
		return "SERVER ERROR"
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden, e.Status == http.StatusTooManyRequests,
		e.Code == codeCookieMissing, e.Code == codeOrigin:
		return "AUTH ERROR"
	}
	return "SYNTAX ERROR"
}

// answer waits for its turn, and sends what from makes of the view that plan
// finds.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, plan func(context.Context) (*view, error), from func(context.Context, *view) (any, error)) error {
	ctx := r.Context()
	done, err := s.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	v, err := plan(ctx)
	if err != nil {
		return err
	}
	defer v.close()
	answer, err := from(ctx, v)
	if err != nil {
		return err
	}
	v.headers(w.Header())
	return s.writeAnswer(w, answer)
}

// writeAnswer sends v as JSON.
func (s *Service) writeAnswer(w http.ResponseWriter, v any) error {
	s.patient(w)
	w.Header().Set("Content-Type", "application/json")
	return json.MarshalWrite(w, v, json.Deterministic(true))
}
