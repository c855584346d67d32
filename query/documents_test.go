package query

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas"
)

// publishedNow is where the clock stands in the scripts of the Reporting API:
// in the week of the dates that its examples have.
var publishedNow = time.Date(2024, 3, 3, 12, 0, 0, 0, time.UTC)

// TestPublishedReportingExamples plays testdata/documents/reporting_*.txtar: the
// requests that the document of the Reporting API shows, with its headers. A
// script has events, one JSON object a line, which arrived when they happened;
// and requests, each followed by its answer. {cookies} stands for the cookies
// that were set so far; "download" follows the last link and shows the CSV
// file.
func TestPublishedReportingExamples(t *testing.T) {
	for _, path := range publishedScripts(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playPublished(t, path) })
		})
	}
}

func publishedScripts(t *testing.T) []string {
	t.Helper()
	scripts, err := filepath.Glob("testdata/documents/reporting_*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	return scripts
}

func playPublished(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newPublishedWorld(t, reportEvents(t, archive.Files[0].Data))
	jar, link := map[string]string{}, ""
	for n := 1; n+1 < len(archive.Files); n += 2 {
		request, answer := archive.Files[n], &archive.Files[n+1]
		var got string
		if string(request.Data) == "download\n" {
			got = w.unzip(link)
		} else {
			rec := exchange(t, w.Handler(), fillCookies(string(request.Data), jar))
			keepCookies(jar, rec)
			if found := regexp.MustCompile(`https?://[^"]+`).FindString(rec.Body.String()); found != "" {
				link = found
			}
			got = formatAnswer(rec)
		}
		if *updateReporting {
			answer.Data = []byte(got)
		} else if diff := cmp.Diff(string(answer.Data), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", request.Name, diff)
		}
	}
	if *updateReporting {
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNaivePublishedReports holds the naive model to the answers of the reports
// among these scripts.
func TestNaivePublishedReports(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/documents/reporting_reports.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var events []stored
	for n, e := range reportEvents(t, archive.Files[0].Data) {
		events = append(events, stored{Event: e, offset: int64(n)})
	}
	naive := newNaiveReport(1001, events)
	answers := 0
	for n := 1; n+1 < len(archive.Files); n += 2 {
		head, body, _ := strings.Cut(string(archive.Files[n].Data), "\n\n")
		target, _, _ := strings.Cut(head, " HTTP/1.1")
		if report, ok := strings.CutPrefix(target, "POST /v3/reporting/"); ok {
			answers += naive.play(t, archive.Files[n].Name, report+"\n"+body, string(archive.Files[n+1].Data), publishedNow)
		}
	}
	if answers < 50 {
		t.Errorf("%d answers were compared, want those of all reports", answers)
	}
}

// newPublishedWorld returns a world at publishedNow, in which the events have
// arrived at their own times and the days before today are closed.
func newPublishedWorld(t *testing.T, events []schemas.Event) *exportWorld {
	t.Helper()
	today := publishedNow.Truncate(24 * time.Hour)
	time.Sleep(time.Until(today))
	w := newExportWorld(t, Config{})
	if err := w.deps.Registry.SetPropertyType(t.Context(), 1001, "C02", 3); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(events, func(a, b schemas.Event) int { return int(a.Time - b.Time) })
	open, _ := slices.BinarySearchFunc(events, today.UnixMilli(), func(e schemas.Event, at int64) int { return int(e.Time - at) })
	w.arriveInTime(events[:open])
	w.tick(today)
	if err := w.files.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(publishedNow))
	w.arriveInTime(events[open:])
	return w
}

// arriveInTime lets each event arrive at shard 0 when it happened.
func (w *exportWorld) arriveInTime(events []schemas.Event) {
	w.t.Helper()
	for _, e := range events {
		w.arrive(0, time.UnixMilli(e.Time), e)
	}
}

func fillCookies(request string, jar map[string]string) string {
	var pairs []string
	for name, value := range jar {
		pairs = append(pairs, name+"="+value)
	}
	slices.Sort(pairs)
	return strings.NewReplacer("{cookies}", strings.Join(pairs, "; "), "{password}", worldPassword).Replace(request)
}

func keepCookies(jar map[string]string, rec *httptest.ResponseRecorder) {
	answer := http.Response{Header: rec.Header()}
	for _, c := range answer.Cookies() {
		jar[c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(jar, c.Name)
		}
	}
}

// unzip returns the names of the files at a link and their contents, without
// the carriage returns.
func (w *exportWorld) unzip(link string) string {
	w.t.Helper()
	body := w.bucket.get(w.t, link)
	archive, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range archive.File {
		content, err := f.Open()
		if err != nil {
			w.t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil {
			w.t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n\n%s", f.Name, strings.ReplaceAll(string(text), "\r\n", "\n"))
	}
	return out.String()
}
