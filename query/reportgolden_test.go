package query

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas"
)

// TestReportGoldens plays testdata/reports: events of product 1001, one JSON
// object on a line, followed by requests and their answers. The clock is at
// 2000-01-01, and C02 has type 3.
func TestReportGoldens(t *testing.T) {
	scripts, err := filepath.Glob("testdata/reports/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playReport(t, path) })
		})
	}
}

// goldenNow is where the clock stands in these scripts.
var goldenNow = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// TestNaiveReportGoldens holds the naive model to the same answers.
func TestNaiveReportGoldens(t *testing.T) {
	scripts, err := filepath.Glob("testdata/reports/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	answers := 0
	for _, path := range scripts {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var events []stored
		for n, e := range reportEvents(t, archive.Files[0].Data) {
			events = append(events, stored{Event: e, offset: int64(n)})
		}
		naive := newNaiveReport(1001, events)
		for n := 1; n+1 < len(archive.Files); n += 2 {
			name := filepath.Base(path) + ", " + archive.Files[n].Name
			answers += naive.play(t, name, string(archive.Files[n].Data), string(archive.Files[n+1].Data), goldenNow)
		}
	}
	if answers < 50 {
		t.Errorf("%d answers were compared, want those of all scripts", answers)
	}
}

// play compares one answer, unless it is an error, and returns the number of
// compared answers.
func (n *naiveReport) play(t *testing.T, name, request, answer string, now time.Time) int {
	t.Helper()
	path, text, _ := strings.Cut(request, "\n")
	body := map[string]any{}
	if !strings.HasPrefix(answer, "200 OK") {
		return 0
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if strings.HasPrefix(path, "PATCH ") {
		n.patch(body)
		return 0
	}
	path = strings.TrimSuffix(strings.TrimPrefix(path, "POST /v3"), "/1001")
	got := encodedAnswer(t, n.answer(path, body, now))
	_, want, _ := strings.Cut(answer, "\n\n")
	if diff := cmp.Diff(naiveObject([]byte(want)), got); diff != "" {
		t.Errorf("%s (-want +naive):\n%s", name, diff)
	}
	return 1
}

// patch applies an update of event flags.
func (n *naiveReport) patch(body map[string]any) {
	for _, u := range body["eventUpdates"].([]any) {
		u := u.(map[string]any)
		key := naiveKeyOf(map[string]any{"category": u["category"], "name": u["eventName"]})
		n.flags[key] = naiveFlags{notBasic: u["basic"] == false, notAdvanced: u["advanced"] == false}
	}
}

func playReport(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newExportWorld(t, Config{})
	if err := w.deps.Registry.SetPropertyType(t.Context(), 1001, "C02", 3); err != nil {
		t.Fatal(err)
	}
	w.arrive(0, time.Now(), reportEvents(t, archive.Files[0].Data)...)
	sessions := strings.NewReplacer("{ann}", w.login(w.userA), "{bob}", w.login(w.userB))
	for n := 1; n+1 < len(archive.Files); n += 2 {
		request, answer := archive.Files[n], &archive.Files[n+1]
		path, body, _ := strings.Cut(string(request.Data), "\n")
		if !strings.HasPrefix(path, "POST ") && !strings.HasPrefix(path, "PATCH ") {
			path = "POST /v3/reporting/" + path
		}
		got := converse(t, w.Handler(), sessions.Replace(path+
			" HTTP/1.1\nHost: weir.example\nCookie: RUI-Session-Token={ann}\n\n"+body))
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

func reportEvents(t *testing.T, lines []byte) []schemas.Event {
	t.Helper()
	var out []schemas.Event
	for line := range bytes.Lines(lines) {
		var e struct {
			Client   int64
			Time     time.Time
			Name     string
			Category *string
			Value    json.RawMessage
			Runtime  *int64 // milliseconds
			Props    json.RawMessage
			Own      json.RawMessage

			Exception *struct{ ClassName, MethodName, Message, StackTrace string }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		one := schemas.Event{
			Product: 1001, Client: e.Client, Time: e.Time.UnixMilli(), Name: e.Name, Category: e.Category,
			RuntimeMS: e.Runtime, ClientProps: e.Props, Properties: e.Own, RandomID: "r",
		}
		if e.Exception != nil {
			one.Exception = &schemas.Exception{
				Class: e.Exception.ClassName, Method: e.Exception.MethodName,
				Message: e.Exception.Message, Stack: e.Exception.StackTrace,
			}
		}
		if e.Value != nil {
			v, err := schemas.ParseDecimal(e.Value, schemas.ValueScale)
			if err != nil {
				t.Fatal(err)
			}
			one.Value = &v
		}
		out = append(out, one)
	}
	return out
}
