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

// TestDocumentsAreValid: each is OpenAPI 3.1, its schemas compile, its examples
// fit.
func TestDocumentsAreValid(t *testing.T) {
	checker, err := openapitest.New()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(checker.Operations()); n != 78 {
		t.Errorf("%d operations, want 78: %q", n, checker.Operations())
	}
}

// TestTextsAreWhole: in {description: one, two} the comma ends the text, and
// what follows it is a member that nobody wanted.
func TestTextsAreWhole(t *testing.T) {
	docs, err := openapi.Documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range docs {
		for _, cut := range regexp.MustCompile(`"[^"]*( [^"]*|\.)": null`).FindAllString(string(doc.JSON), -1) {
			t.Errorf("%s has the member %s: quote the text before it", doc.Name, cut)
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

func TestFilesAreServed(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		kind   string
		begins string
	}{
		"/openapi/":                  {200, "text/html; charset=utf-8", "<!doctype html>"},
		"/openapi/event-report.yaml": {200, "application/yaml", "openapi: 3.1.0"},
		"/openapi/reporting.json":    {200, "application/json", "{\n  \"openapi\": \"3.1.0\""},
		"/openapi/other.yaml":        {404, "text/plain; charset=utf-8", "404"},
	} {
		got := get(t, path)
		if got.Code != want.status || got.Header().Get("Content-Type") != want.kind || !strings.HasPrefix(got.Body.String(), want.begins) {
			t.Errorf("%s: %d %s %.40q", path, got.Code, got.Header().Get("Content-Type"), got.Body)
		}
	}
	tag := get(t, "/openapi/").Header().Get("ETag")
	if got := get(t, "/openapi/", "If-None-Match", tag); got.Code != http.StatusNotModified {
		t.Errorf("asked again: %d", got.Code)
	}
}

// TestPageIsWhole: it needs nothing from elsewhere, every link in it leads
// somewhere, and every operation and schema is there.
func TestPageIsWhole(t *testing.T) {
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
			t.Errorf("%s leads nowhere", link[1])
		}
		if !inside && get(t, "/openapi/"+link[1]).Code != http.StatusOK {
			t.Errorf("%s is not there", link[1])
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
