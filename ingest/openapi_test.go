package ingest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/schemas/openapi/openapitest"
)

// TestDocumentedPathsAreServed checks that every operation of the document has a
// handler. The other direction is checked by openapitest in every other test.
func TestDocumentedPathsAreServed(t *testing.T) {
	e := newTestEdge(t, Config{})
	documents, err := openapitest.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range documents.Operations() {
		method, path, _ := strings.Cut(operation, " ")
		if !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/weir/v1/identities") || method == http.MethodOptions {
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, r)
		if w.Code == http.StatusNotFound || w.Code == http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", operation, w.Code, w.Body)
		}
	}
}
