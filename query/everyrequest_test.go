package query

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/schemas/openapi/openapitest"
)

// TestEveryRequestNeedsASessionAndItsOrigin sends each documented request of the
// Reporting API without a session, which is a 401 but for those of the login, and
// from a page of another origin, which is a 400 also with a session.
func TestEveryRequestNeedsASessionAndItsOrigin(t *testing.T) {
	w := newExportWorld(t, Config{})
	session := w.login(w.userA)
	documents, err := openapitest.New()
	if err != nil {
		t.Fatal(err)
	}
	requests := 0
	for _, operation := range documents.Operations() {
		method, path, _ := strings.Cut(operation, " ")
		if !strings.HasPrefix(path, "/v3/") || method == http.MethodOptions {
			continue
		}
		requests++
		send := func(origin string, cookies ...*http.Cookie) int {
			r := httptest.NewRequestWithContext(t.Context(), method, strings.ReplaceAll(path, "{product_id}", "1001"), strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Origin", origin)
			for _, c := range cookies {
				r.AddCookie(c)
			}
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			return rec.Code
		}
		isLogin := path == "/v3/request-csrf" || path == "/v3/auth/web"
		if got := send(publishedOrigin); (got == http.StatusUnauthorized) == isLogin {
			t.Errorf("%s without a session: %d", operation, got)
		}
		cookies := []*http.Cookie{{Name: cookieSession, Value: session}, {Name: cookieCsrf, Value: "any"}}
		if got := send("https://analytics.example.com", cookies...); got != http.StatusBadRequest {
			t.Errorf("%s from another origin: %d, want 400", operation, got)
		}
	}
	if requests < 30 {
		t.Errorf("%d requests were sent, want all of the document", requests)
	}
}
