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
