package openapi_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"weir/schemas/openapi"
	"weir/schemas/openapi/openapitest"
)

// TestDocumentsAreValid checks that each document is OpenAPI 3.1, that its schemas
// compile, and that its examples match them.
func TestDocumentsAreValid(t *testing.T) {
	checker, err := openapitest.New()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(checker.Operations()); n != 86 {
		t.Errorf("%d operations, want 86: %q", n, checker.Operations())
	}
}

// TestDescriptionsAreQuoted finds unquoted commas: in {description: one, two} the
// comma ends the text, and the rest becomes a member of its own.
func TestDescriptionsAreQuoted(t *testing.T) {
	docs, err := openapi.Documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		for _, member := range regexp.MustCompile(`"[^"]*( [^"]*|\.)": null`).FindAllString(string(doc.JSON), -1) {
			t.Errorf("%s has the member %s: quote the text before it", doc.Name, member)
		}
	}
}

// TestTitles pins the names of the four APIs.
func TestTitles(t *testing.T) {
	docs, err := openapi.Documents()
	if err != nil {
		t.Fatal(err)
	}
	for i, title := range []string{"Ingestion API", "User Events API", "Events API", "Reporting API"} {
		if !strings.Contains(string(docs[i].YAML), "\n  title: "+title+"\n") {
			t.Errorf("document %s is not titled %s", docs[i].Name, title)
		}
	}
}

func get(t *testing.T, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := openapi.Handler()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandlerServesDocuments(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		kind   string
		begins string
	}{
		"/openapi/":                  {200, "text/html; charset=utf-8", "<!doctype html>"},
		"/openapi/event-report.yaml": {200, "application/yaml", "openapi: 3.1.0"},
		"/openapi/reporting.json":    {200, "application/json", "{\n  \"openapi\": \"3.1.0\""},
		"/openapi/postman.json":      {200, "application/json", "{\n  \"info\""},
		"/openapi/other.yaml":        {404, "text/plain; charset=utf-8", "404"},
	} {
		got := get(t, path)
		if got.Code != want.status || got.Header().Get("Content-Type") != want.kind || !strings.HasPrefix(got.Body.String(), want.begins) {
			t.Errorf("%s: %d %s %.40q", path, got.Code, got.Header().Get("Content-Type"), got.Body)
		}
	}
	tag := get(t, "/openapi/").Header().Get("ETag")
	if got := get(t, "/openapi/", "If-None-Match", tag); got.Code != http.StatusNotModified {
		t.Errorf("request with If-None-Match: %d", got.Code)
	}
}

// TestPageIsComplete checks that the page loads nothing from elsewhere, that every
// link in it works, and that it shows every operation.
func TestPageIsComplete(t *testing.T) {
	page := get(t, "/openapi/").Body.String()
	for _, outside := range []string{"<script", "<link", "<img", "@import", "url(", `href="http`, `src=`} {
		if strings.Contains(page, outside) {
			t.Errorf("the page has %s", outside)
		}
	}
	if strings.Contains(page, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
	for _, link := range regexp.MustCompile(`href="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		anchor, inside := strings.CutPrefix(link[1], "#")
		if inside && !strings.Contains(page, `id="`+anchor+`"`) {
			t.Errorf("%s has no target", link[1])
		}
		if !inside && get(t, "/openapi/"+link[1]).Code != http.StatusOK {
			t.Errorf("%s does not exist", link[1])
		}
	}
	docs, err := openapi.Documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		for _, id := range regexp.MustCompile(`(?m)operationId: (\w+)`).FindAllStringSubmatch(string(doc.YAML), -1) {
			if !strings.Contains(page, `<article class="operation" id="`+doc.Name+"."+id[1]+`"`) {
				t.Errorf("operation %s is not on the page", id[1])
			}
		}
	}
}
