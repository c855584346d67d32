package query

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/schemas/openapi/openapitest"
)

// TestDocumentedPathsAreServed: what a document has there is a handler for.
// That nothing is served that they do not have is seen to by every other test.
func TestDocumentedPathsAreServed(t *testing.T) {
	w := newExportWorld(t, Config{})
	documents, err := openapitest.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range documents.Operations() {
		method, path, _ := strings.Cut(operation, " ")
		if strings.HasPrefix(path, "/v1/") || path == "/weir/v1/identities" || method == http.MethodOptions {
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), method, strings.ReplaceAll(path, "{product_id}", "1001"), nil)
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		if rec.Code == http.StatusNotFound || rec.Code == http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", operation, rec.Code, rec.Body)
		}
	}
}
