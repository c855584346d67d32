package query

import (
	"bufio"
	"bytes"
	"flag"
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
)

var updateReporting = flag.Bool("update-reporting", false, "rewrite testdata/reporting")

// TestReporting plays testdata/reporting: requests and their answers. The clock
// is at 2000-01-01, and history has arrived.
func TestReporting(t *testing.T) {
	scripts, err := filepath.Glob("testdata/reporting/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, path := range scripts {
		t.Run(filepath.Base(path), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, path) })
		})
	}
}

// history returns a world in which 30 and 31 December 1999 are closed and their
// files built, and today is open.
func history(t *testing.T) *exportWorld {
	w := newExportWorld(t, Config{})
	day := func(d, hour int) time.Time { return time.Date(1999, 12, d, hour, 0, 0, 0, time.UTC) }
	w.arrive(0, day(30, 9), event(1001, "Open"), event(1001, "Save"), exception("IOError"))
	w.arrive(1, day(30, 10), event(1001, "Print"), event(2001, "Theirs"), sessionStop(1001))
	w.arrive(0, day(31, 9), event(1001, "Close"), exception("Timeout"))
	w.tick(day(31, 24))
	if err := w.files.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(12 * time.Hour)
	w.arrive(0, day(31, 34), event(1001, "Today"), sessionStop(1001))
	w.arrive(1, day(31, 35), event(1001, "Newest"), exception("Newest"))
	if err := w.deps.Registry.LabelProperty(t.Context(), 1001, "C01", "Colour"); err != nil {
		t.Fatal(err)
	}
	return w
}

func play(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := history(t)
	sessions := strings.NewReplacer("{ann}", w.login(w.userA), "{bob}", w.login(w.userB), "{password}", worldPassword)
	for n := 0; n+1 < len(archive.Files); n += 2 {
		request, answer := archive.Files[n], &archive.Files[n+1]
		got := converse(t, w.Handler(), sessions.Replace(string(request.Data)))
		if *updateReporting {
			answer.Data = []byte(got)
			continue
		}
		if diff := cmp.Diff(string(answer.Data), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", request.Name, diff)
		}
	}
	if *updateReporting {
		if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// converse sends a request as it is on the wire and returns the answer as a
// client sees it, with random parts masked.
func converse(t *testing.T, h http.Handler, text string) string {
	t.Helper()
	return formatAnswer(exchange(t, h, text))
}

// exchange sends a request as it is on the wire.
func exchange(t *testing.T, h http.Handler, text string) *httptest.ResponseRecorder {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\n\n")))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	r = r.WithContext(t.Context())
	r.RemoteAddr = "192.0.2.1:1234"
	r.Body = io.NopCloser(strings.NewReader(body))
	out := httptest.NewRecorder()
	h.ServeHTTP(out, r)
	return out
}

// formatAnswer returns an answer as a client sees it, with random parts masked.
func formatAnswer(out *httptest.ResponseRecorder) string {
	var b bytes.Buffer
	fmt.Fprintln(&b, out.Code, http.StatusText(out.Code))
	for _, name := range []string{"Allow", "Content-Type", "Retry-After", "Set-Cookie", headerWatermark, headerAsOf, headerPartial} {
		values := slices.Clone(out.Header().Values(name))
		slices.Sort(values)
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	answer := strings.TrimSuffix(out.Body.String(), "\n")
	if len(answer) > 200 && strings.HasPrefix(out.Header().Get("Content-Type"), "application/json") {
		answer = strings.NewReplacer("},", "},\n", "],", "],\n", "[{", "[\n{").Replace(answer) // one object on a line
	}
	fmt.Fprintf(&b, "\n%s\n", answer)
	return mask(b.String())
}

func mask(text string) string {
	text = regexp.MustCompile(`(RUI-[A-Za-z-]+|Weir-Device)=[^;]+`).ReplaceAllString(text, "$1=RANDOM")
	text = regexp.MustCompile(`(acc|usr)_[a-z2-7]{26}`).ReplaceAllString(text, "${1}_RANDOM")
	// The name of an open day has an identity of its rows too.
	return regexp.MustCompile(`/[A-Z2-7]{26}(-[0-9a-f]{32})?/`).ReplaceAllString(text, "/RANDOM/")
}
