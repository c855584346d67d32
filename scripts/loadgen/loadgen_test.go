package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func lines(t *testing.T, p Plan) []string {
	t.Helper()
	var all []string
	for line, err := range p.Lines() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(line))
	}
	return all
}

func plan() Plan {
	return Plan{Events: 3000, Clients: 60, Days: 45, Seed: 7, Stream: "1001", Start: time.Date(2023, 12, 1, 0, 0, 0, 0, time.UTC)}
}

func TestSamePlanSameBytes(t *testing.T) {
	text := strings.Join(lines(t, plan()), "")
	if again := strings.Join(lines(t, plan()), ""); again != text {
		t.Error("the same plan made other bytes")
	}
	other := plan()
	other.Stream = "1002"
	if strings.Join(lines(t, other), "") == text {
		t.Error("another product has the same events")
	}
	// The hash is pinned because recorded figures depend on these bytes.
	sum := sha256.Sum256([]byte(text))
	if got, want := hex.EncodeToString(sum[:8]), "34b038b506dc5093"; got != want {
		t.Errorf("the bytes have changed: %s, want %s", got, want)
	}
}

func TestPlanIsKept(t *testing.T) {
	p := plan()
	all := lines(t, p)
	if len(all) != p.Events {
		t.Errorf("%d events, want %d", len(all), p.Events)
	}
	clients := map[int64]bool{}
	last := int64(0)
	for _, text := range all {
		var item Item
		if err := json.Unmarshal([]byte(text), &item); err != nil {
			t.Fatal(err)
		}
		clients[item.EUID] = true
		if item.Time < last {
			t.Fatal("events are not in the order of time")
		}
		last = item.Time
		if item.Time < p.Start.UnixMilli() || item.Time >= p.Start.AddDate(0, 0, p.Days).UnixMilli() {
			t.Fatalf("event at %v lies outside the plan", time.UnixMilli(item.Time))
		}
	}
	if len(clients) != p.Clients {
		t.Errorf("%d clients, want %d", len(clients), p.Clients)
	}
}

func TestDuplicatesChangeNoFigure(t *testing.T) {
	p := plan()
	once := expectation(t, lines(t, p))
	p.Duplicates = 0.2
	twice := lines(t, p)
	if n := len(twice) - p.Events; n < p.Events/10 || n > p.Events/3 {
		t.Errorf("%d of %d events are repeated, want about a fifth", n, p.Events)
	}
	if got := expectation(t, twice); got.Totals.Events != once.Totals.Events {
		t.Errorf("%d events with repetitions, %d without", got.Totals.Events, once.Totals.Events)
	}
}

func expectation(t *testing.T, all []string) Expectation {
	t.Helper()
	counts := NewCounts()
	for _, text := range all {
		if err := counts.Add([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return counts.Expectation()
}

// TestCounts is small enough to be checked by hand.
func TestCounts(t *testing.T) {
	got := expectation(t, []string{
		`{"euid":1,"event_name":"session_start","itime":1704067199000,"random_id":"a","properties":{}}`, // 2023-12-31T23:59:59
		`{"euid":1,"event_name":"edit","itime":1704067200000,"random_id":"b","properties":{"$category":"x","$value":1.25}}`,
		`{"euid":1,"event_name":"edit","itime":1704067200000,"random_id":"b","properties":{"$category":"x","$value":1.25}}`,
		`{"euid":2,"event_name":"edit","itime":1704067300000,"random_id":"b","properties":{"$value":2}}`,
		`{"euid":1,"event_name":"session_stop","itime":1704067400000,"random_id":"c","properties":{"$runtime":200.5}}`,
	})
	x := "x"
	want := Expectation{
		Totals: Totals{
			Events: 4, Clients: 2, IDs: 3, MinTime: 1704067199000, MaxTime: 1704067400000, Sessions: 1,
			RuntimeS: "200.5", ValueSum: "3.25", ClientDays: 3,
		},
		ByName: []NameRow{{"edit", 2, 2}, {"session_start", 1, 1}, {"session_stop", 1, 1}},
		ByEvent: []EventRow{
			{"edit", nil, 1, 1, "2"},
			{"edit", &x, 1, 1, "1.25"},
			{"session_start", nil, 1, 1, "0"},
			{"session_stop", nil, 1, 1, "0"},
		},
		ByYear:    []YearRow{{2023, 1, 1}, {2024, 3, 2}},
		NewByYear: []NewRow{{2023, 1}, {2024, 1}},
		OneClient: ClientRow{"1", 3, 1704067199000, 1704067400000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	out, expected := filepath.Join(t.TempDir(), "e.ndjson"), filepath.Join(t.TempDir(), "e.json")
	err := run(t.Context(), []string{"--events", "100", "--clients", "5", "--days", "3", "--product", "7", "--out", out, "--expected", expected}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(written, []byte("\n")); n != 100 {
		t.Errorf("%d lines, want 100", n)
	}
	text, err := os.ReadFile(expected)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]Expectation
	if err := json.Unmarshal(text, &got); err != nil || got["7"].Totals.Events != 100 {
		t.Errorf("expectations %s, %v", text, err)
	}
}

func TestLoad(t *testing.T) {
	var mu sync.Mutex
	ids, requests := map[string]bool{}, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Data []Item `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if requests++; requests == 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		for _, item := range body.Data {
			ids[item.RandomID] = true
		}
		if key, secret, _ := r.BasicAuth(); key != "k" || secret != "s" {
			t.Errorf("authorization %s:%s", key, secret)
		}
	}))
	defer server.Close()
	load := Load{URL: server.URL, Key: "k", Secret: "s", Rate: 2000, Duration: 500 * time.Millisecond, Batch: 10, Connections: 4, Clients: 100}
	report, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.Acknowledged == 0 || report.Failed != 1 || int64(len(ids)) != report.Acknowledged {
		t.Errorf("report %+v; the server has %d different events", report, len(ids))
	}
	var printed strings.Builder
	if err := report.print(&printed); err != nil || !strings.Contains(printed.String(), "502 Bad Gateway") {
		t.Errorf("printed %s, %v", printed.String(), err)
	}
}

func TestLoadStaysHome(t *testing.T) {
	for _, url := range []string{"http://example.com", "http://10.0.0.1:8080", "https://127.0.0.1"} {
		load := Load{URL: url, Key: "k", Secret: "s", Duration: time.Second, Batch: 1, Connections: 1, Clients: 1}
		if _, err := load.Run(t.Context()); err == nil {
			t.Errorf("%s: a load was sent", url)
		}
	}
}
