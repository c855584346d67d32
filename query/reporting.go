package query

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"weir/query/export"
	"weir/schemas"
	"weir/schemas/registry"
)

// publishedOrigin is the Origin that the published API asks for.
const publishedOrigin = "https://analytics.revenera.com"

// Codes of errors that the Reporting API words as AUTH ERROR although their
// status is that of a request that cannot be read.
const (
	codeCookieMissing = "cookie_missing"
	codeOrigin        = "origin"
)

// reportingAPI has the handlers of the Reporting API, whose paths all begin with
// /v3.
//
// Where the published API is silent it was decided:
//
//   - Errors are {"status", "reason"}: SYNTAX ERROR for a request that is wrong or
//     names what does not exist, AUTH ERROR for 401, 403, 429, a missing cookie
//     and a foreign Origin, SERVER ERROR, which is not a published word, for
//     faults of the server.
//   - The session cookie is all that a request must bring. The CSRF cookie must
//     be there for a login, with any value.
//   - A logout ends one session; with {"all": true}, or a second time with the
//     same cookie within an hour, every session of the user.
//   - getLastLines answers with "result", the newest arrival first; 10 lines
//     unless the request says otherwise, 1000 at most.
//   - openDailyFiles are the days that are not closed, today's always, others
//     if they have events. A day that is closed and about to be built has
//     isAvailable false, and can be downloaded nevertheless. The size of an open
//     file is that of the last build if nothing was added, else the number of
//     events times the width of a row. A kilobyte is 1024 bytes.
//   - fileList of raw events has today's file too, first, with the size of its
//     last build, 0 without one. There are no monthly raw files.
//   - Rows of a file are in no order. Null is an empty field; event times are
//     UTC; what would be a formula in a spreadsheet is left as it was sent.
type reportingAPI struct {
	origins    []string // see Config.Origins
	sessions   *sessions
	exports    exportFiles
	reports    reports
	licenses   licenseKeys
	tracking   eventTracking
	properties properties
}

func newReportingAPI(cfg Config, reg *registry.Registry, respond responder, passwords *passwords, files *export.Files) reportingAPI {
	s := &sessions{responder: respond, registry: reg, passwords: passwords, proxies: cfg.Proxies}
	return reportingAPI{
		origins:    cfg.Origins,
		sessions:   s,
		exports:    exportFiles{responder: respond, files: files, publicEndpoint: cfg.PublicEndpoint, directLinks: cfg.DirectLinks, proxies: cfg.Proxies},
		reports:    reports{responder: respond, registry: reg, bytes: cfg.ReportBytes},
		licenses:   licenseKeys{responder: respond, registry: reg},
		tracking:   eventTracking{responder: respond, registry: reg},
		properties: properties{responder: respond, registry: reg, sessions: s},
	}
}

// mount adds the paths of the API to mux.
func (a *reportingAPI) mount(mux *http.ServeMux, rt *router) {
	own := reportingCORS(a.origins)
	at := func(path string, routes ...route) {
		mux.Handle(path, own.wrap(methodsOf(routes), a.methodMux(rt, routes)))
	}
	product := a.sessions.withProduct
	at("/v3/request-csrf", route{http.MethodGet, "request_csrf", a.sessions.requestCsrf})
	at("/v3/auth/web", route{http.MethodPost, "auth_web", a.sessions.login})
	at("/v3/auth/logout", route{http.MethodPost, "auth_logout", a.sessions.logout})
	for _, f := range []struct {
		path, name string
		kind       export.Kind
	}{
		{"/v3/customEventTracking/", "custom_event", export.CustomEvents()},
		{"/v3/exceptionTracking/", "exception", export.Exceptions()},
	} {
		at(f.path+"getLastLines/{product_id}", route{http.MethodPost, f.name + "_last_lines", product(ofKind(f.kind, a.exports.lastLines))})
		at(f.path+"listFiles/{product_id}", route{http.MethodGet, f.name + "_list_files", product(ofKind(f.kind, a.exports.list))})
		at(f.path+"getDownloadUrl/{product_id}", route{http.MethodPost, f.name + "_download_url", product(ofKind(f.kind, a.exports.downloadURL))})
	}
	raw := export.RawEvents()
	at("/v3/rawEvents/download/listFiles/{product_id}", route{http.MethodGet, "raw_events_list_files", product(rawExport(ofKind(raw, a.exports.listRaw)))})
	at("/v3/rawEvents/download/getDownloadUrl/{product_id}", route{http.MethodPost, "raw_events_download_url", product(rawExport(ofKind(raw, a.exports.downloadURL)))})
	for _, e := range reportEndpoints() {
		at(e.path+"/{product_id}", route{http.MethodPost, e.name, product(a.reports.answer(e))})
	}
	at("/v3/license-key-registry/{product_id}", route{http.MethodPost, "license_keys", product(a.licenses.list)})
	at("/v3/license-key-registry/update/{product_id}",
		route{http.MethodPost, "license_keys_insert", product(a.licenses.update)},
		route{http.MethodPatch, "license_keys_update", product(a.licenses.update)})
	at("/v3/event-tracking/{product_id}",
		route{http.MethodGet, "event_tracking", product(a.tracking.list)},
		route{http.MethodPatch, "event_tracking_update", product(a.tracking.update)})
	at("/v3/meta/productProperties", route{http.MethodGet, "product_properties", a.properties.listAny})
	at("/v3/meta/productProperties/{product_id}", route{http.MethodGet, "product_properties", product(a.properties.list)})
	at("/v3/meta/limits/{product_id}", route{http.MethodGet, "product_limits", product(overLimits{a.properties.responder}.list)})
	at("/v3/meta/propertyValues/{product_id}", route{http.MethodPost, "property_values", product(a.properties.values)})
	rt.handleUnknown(mux, "/v3/", "reporting_unknown", encodeReportingError)
}

// route is one method of a path.
type route struct {
	method, name string
	answer       answerFunc
}

// methodMux answers a path by method, and any other method with a 405 that lists
// those of routes.
func (a *reportingAPI) methodMux(rt *router, routes []route) http.Handler {
	byMethod := map[string]http.Handler{}
	handle := func(method string, of route) http.Handler {
		return rt.handle(endpoint{
			name: of.name, method: method, answer: sameOrigin(a.origins, of.answer), encodeError: encodeReportingError,
		})
	}
	for _, route := range routes {
		byMethod[route.method] = handle(route.method, route)
	}
	otherMethod := handle(methodsOf(routes), routes[0])
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := byMethod[r.Method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		otherMethod.ServeHTTP(w, r)
	})
}

// methodsOf lists the methods of routes as headers have them.
func methodsOf(routes []route) string {
	var methods []string
	for _, route := range routes {
		methods = append(methods, route.method)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// sameOrigin refuses requests that a page of another site makes a browser send.
// A request without Origin is not from a browser's page.
func sameOrigin(allowed []string, answer answerFunc) answerFunc {
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

// envelope is the outer object of an answer.
type envelope[T any] struct {
	Status string `json:"status"`
	Result T      `json:"result"`
}

func enveloped[T any](v T) envelope[T] { return envelope[T]{"OK", v} }

// reportingError is an error as the Reporting API publishes it.
type reportingError struct {
	Status string `json:"status"`
	Reason string `json:"reason"`
}

// encodeReportingError writes an error in the published envelope.
func encodeReportingError(w http.ResponseWriter, e *schemas.RequestError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.MarshalWrite(w, reportingError{Status: reportingStatus(e), Reason: e.Detail}) // it fails when the client has gone
}

// reportingStatus is the status word of the envelope. The two published words
// do not cover faults of the server.
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
