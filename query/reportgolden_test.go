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
// object a line, and requests with their answers. It is 2000-01-01.
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

func playReport(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newExportWorld(t, Config{})
	w.arrive(0, time.Now(), reportEvents(t, archive.Files[0].Data)...)
	sessions := strings.NewReplacer("{ann}", w.login(w.userA), "{bob}", w.login(w.userB))
	for n := 1; n+1 < len(archive.Files); n += 2 {
		request, answer := archive.Files[n], &archive.Files[n+1]
		path, body, _ := strings.Cut(string(request.Data), "\n")
		got := converse(t, w.Handler(), sessions.Replace("POST /v3/reporting/"+path+
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
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		one := schemas.Event{
			Product: 1001, Client: e.Client, Time: e.Time.UnixMilli(), Name: e.Name, Category: e.Category,
			RuntimeMS: e.Runtime, ClientProps: e.Props, RandomID: "r",
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
