package query

import (
	"maps"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas/openapi/openapitest"
)

// TestErrorsShowLittleOfLongTexts sends every published request of the three APIs with a
// long text in the place of each of its parts. No answer echoes it.
func TestErrorsShowLittleOfLongTexts(t *testing.T) {
	for _, path := range publishedScripts(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				archive := parseScript(t, path)
				w := newPublishedWorld(t, reportEvents(t, archive.Files[0].Data))
				jar, seen := map[string]string{}, map[string]bool{}
				send := func(request string) *httptest.ResponseRecorder {
					return exchange(t, w.Handler(), fillCookies(request, jar))
				}
				var requests []string
				for n := 1; n+1 < len(archive.Files); n += 2 {
					if request := string(archive.Files[n].Data); request != "download\n" && !strings.Contains(request, "/logout") {
						requests = append(requests, request)
					}
				}
				sendLongTexts(t, requests, seen, send, func(rec *httptest.ResponseRecorder) { keepCookies(jar, rec) })
			})
		})
	}
	lists, err := filepath.Glob("testdata/documents/list_*.txtar")
	if err != nil || len(lists) == 0 {
		t.Fatal(lists, err)
	}
	var requests []string
	for _, path := range lists {
		for _, f := range parseScript(t, path).Files {
			if strings.HasPrefix(f.Name, "request") && !strings.HasPrefix(string(f.Data), "# ") {
				requests = append(requests, string(f.Data))
			}
		}
	}
	sendLongTexts(t, requests, map[string]bool{}, newListWorld(t, Config{}).send, func(*httptest.ResponseRecorder) {})
}

func parseScript(t *testing.T, path string) *txtar.Archive {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// sendLongTexts sends each request as it is, for what comes after it, and its variants.
// Most of the variants must be refused: what is taken shows nothing.
func sendLongTexts(t *testing.T, requests []string, seen map[string]bool, send func(string) *httptest.ResponseRecorder, keep func(*httptest.ResponseRecorder)) {
	t.Helper()
	sent, refused := 0, 0
	for _, request := range requests {
		keep(send(request))
		variants := openapitest.WithLongTexts(request, seen)
		for _, what := range slices.Sorted(maps.Keys(variants)) {
			rec := send(variants[what])
			sent++
			if openapitest.CheckErrorTexts(t, what, rec.Code, rec.Header(), rec.Body.Bytes()) {
				refused++
			}
		}
	}
	t.Logf("%d of %d variants are refused", refused, sent)
	if len(requests) == 0 || refused < sent/4 {
		t.Errorf("%d of %d variants of %d requests are refused, want many", refused, sent, len(requests))
	}
}
