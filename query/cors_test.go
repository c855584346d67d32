package query

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCrossOrigin(t *testing.T) {
	const page = "https://app.example.org"
	w := newExportWorld(t, Config{Origins: []string{page}})
	session := w.login(w.userA)
	for name, c := range map[string]struct {
		method, path, origin, preflight string
		status                          int
		allowed                         bool
	}{
		"a page asks":           {"GET", "/v3/request-csrf", page, "", 204, true},
		"reads an answer":       {"GET", "/v3/customEventTracking/listFiles/1001", page, "", 200, true},
		"reads an error":        {"GET", "/v3/customEventTracking/listFiles/2001", page, "", 403, true},
		"preflight":             {"OPTIONS", "/v3/customEventTracking/getLastLines/1001", page, "POST", 204, true},
		"preflight of a change": {"OPTIONS", "/v3/event-tracking/1001", page, "PATCH", 204, true},
		"reads properties":      {"GET", "/v3/meta/productProperties", page, "", 200, true},
		"OPTIONS alone":         {"OPTIONS", "/v3/auth/web", page, "", 405, true},
		"a stranger":            {"GET", "/v3/request-csrf", "https://evil.example", "", 400, false},
		"a stranger's question": {"OPTIONS", "/v3/auth/web", "https://evil.example", "POST", 405, false},
		"no browser":            {"GET", "/v3/request-csrf", "", "", 204, false},
		"our own page":          {"GET", "/v3/request-csrf", "http://weir.example", "", 204, false},
		"another API":           {"OPTIONS", eventsPath, page, "POST", 405, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "http://weir.example"+c.path, nil)
		r.AddCookie(&http.Cookie{Name: cookieSession, Value: session})
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if c.preflight != "" {
			r.Header.Set("Access-Control-Request-Method", c.preflight)
		}
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		want, credentials := "", ""
		if c.allowed {
			want, credentials = page, "true"
		}
		got := rec.Header()
		if rec.Code != c.status || got.Get("Access-Control-Allow-Origin") != want || got.Get("Access-Control-Allow-Credentials") != credentials {
			t.Errorf("%s: %d %v", name, rec.Code, got)
		}
		if preflight := c.preflight != "" && c.allowed; preflight && !strings.Contains(got.Get("Access-Control-Allow-Methods"), c.preflight) {
			t.Errorf("%s: methods %q", name, got.Get("Access-Control-Allow-Methods"))
		}
		if c.path != eventsPath && got.Get("Vary") != "Origin" {
			t.Errorf("%s: Vary %q", name, got.Get("Vary"))
		}
	}
}

// TestBrowsersMayAskForLists plays what a browser does with the published example
// of the User Events API, whose page sets the token itself: it asks first whether
// it may, then sends the request. Both endpoints of the Events API are
// the same.
func TestBrowsersMayAskForLists(t *testing.T) {
	const page, other = "https://app.example.org", "https://evil.example"
	const body = `{"refId":"CB6150","startDate":"2025-11-01","from":"2025-06-01T00:00:00.000Z","until":"2025-06-23T23:59:00.000Z"}`
	for name, c := range map[string]struct {
		origins []string
		origin  string
		allowed bool
	}{
		"an allowed page":    {[]string{"https://another.example", page}, page, true},
		"every page":         {[]string{"*"}, page, true},
		"a stranger":         {[]string{page}, other, false},
		"none is configured": {nil, page, false},
		"no browser":         {[]string{page}, "", false},
	} {
		w := newListWorld(t, Config{AllowedOrigins: c.origins})
		for _, path := range []string{userEventsPath, eventsPath, eventCountsPath} {
			preflight := w.preflight(path, c.origin)
			answer := w.post(path, "Bearer "+w.tokens["A"], body, "Origin", c.origin)
			wantStatus, wantOrigin := http.StatusMethodNotAllowed, ""
			if c.allowed {
				wantStatus, wantOrigin = http.StatusNoContent, c.origin
				if got := preflight.Header().Get("Access-Control-Allow-Headers"); !strings.Contains(got, "Authorization") || !strings.Contains(got, "Content-Type") {
					t.Errorf("%s, %s: a page may set %q", name, path, got)
				}
			}
			if preflight.Code != wantStatus || preflight.Header().Get("Access-Control-Allow-Origin") != wantOrigin {
				t.Errorf("%s, %s: preflight %d %v", name, path, preflight.Code, preflight.Header())
			}
			got := answer.Header()
			if answer.Code == http.StatusMethodNotAllowed || got.Get("Access-Control-Allow-Origin") != wantOrigin || got.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s, %s: %d %v", name, path, answer.Code, got)
			}
			if (got.Get("Vary") == "Origin") != (c.origins != nil) {
				t.Errorf("%s, %s: Vary %q", name, path, got.Get("Vary"))
			}
		}
	}
}

// preflight sends what a browser asks before a page may send a POST.
func (w *listWorld) preflight(path, origin string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodOptions, path, nil)
	r.Header.Set("Origin", origin)
	r.Header.Set("Access-Control-Request-Method", http.MethodPost)
	r.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}
