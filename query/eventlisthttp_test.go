package query

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/schemas"
	"weir/schemas/registry"
	"weir/schemas/values"
)

func basic(email, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(email+":"+password))
}

func TestCredentials(t *testing.T) {
	w := newListWorld(t, Config{})
	if _, err := w.deps.Registry.CreateUser(t.Context(), registry.User{Account: w.account, Email: "ann@example.org"}, listPassword); err != nil {
		t.Fatal(err)
	}
	token := w.tokens["A"]
	user := `{"refId":"1","from":"2025-01-01T00:00Z","until":"2025-01-02T00:00Z"}`
	for _, c := range []struct {
		auth            string
		analytics, list int
	}{
		{"Bearer " + token, 200, 404},
		{"bearer  " + token, 200, 404},
		{token, 200, 401},
		{basic("ann@example.org", listPassword), 200, 401},
		{basic("ANN@example.org", listPassword), 200, 401},
		{basic("ann@example.org", "wrong"), 401, 401},
		{basic(token, ""), 401, 401},
		{"", 401, 401},
		{"Bearer", 401, 401},
		{"Bearer ", 401, 401},
		{"Bearer x", 401, 401},
		{"Basic !!!", 401, 401},
		{"Digest " + token, 401, 401},
	} {
		if rec := w.post(eventsPath, c.auth, everything().body()); rec.Code != c.analytics {
			t.Errorf("Events API with %.30q: %d, want %d", c.auth, rec.Code, c.analytics)
		}
		if rec := w.post(userEventsPath, c.auth, user); rec.Code != c.list {
			t.Errorf("User Events API with %.30q: %d, want %d", c.auth, rec.Code, c.list)
		}
	}
}

// TestWrongPasswordsAreThrottled: a client that sends many wrong passwords must
// wait, and no other client must.
func TestWrongPasswordsAreThrottled(t *testing.T) {
	w := newListWorld(t, Config{Logins: LoginLimits{Tries: 2}})
	if _, err := w.deps.Registry.CreateUser(t.Context(), registry.User{Account: w.account, Email: "ann@example.org"}, listPassword); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		email, password string
		want            int
	}{
		{"ann@example.org", "wrong", 401},
		{"ann@example.org", "wrong", 401},
		{"ann@example.org", listPassword, 429},
		{"bob@example.org", "wrong", 401},
	} {
		rec := w.post(eventsPath, basic(c.email, c.password), everything().body())
		if rec.Code != c.want || (rec.Header().Get("Retry-After") == "12") != (c.want == 429) {
			t.Errorf("request %d, %s: %d %v, want %d", i, c.email, rec.Code, rec.Header(), c.want)
		}
	}
}

// TestRevokedTokenIsRefused: the process that revokes a token refuses it at once.
func TestRevokedTokenIsRefused(t *testing.T) {
	w := newListWorld(t, Config{})
	w.post(eventsPath, "Bearer "+w.tokens["A"], everything().body())
	if err := w.deps.Registry.RevokeToken(t.Context(), w.tokens["A"]); err != nil {
		t.Fatal(err)
	}
	if rec := w.post(eventsPath, "Bearer "+w.tokens["A"], everything().body()); rec.Code != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", rec.Code)
	}
}

func TestRequestIDIsReturned(t *testing.T) {
	w := newListWorld(t, Config{})
	for given, kept := range map[string]bool{
		"abc-1.2_Z": true, "": false, "a b": false, strings.Repeat("x", 65): false, "<x>": false, "a@b": false, "[x]": false,
	} {
		rec := w.post(eventsPath, "", "", headerRequestID, given)
		got := rec.Header().Get(headerRequestID)
		if (got == given) != kept || got == "" {
			t.Errorf("given %q: %q", given, got)
		}
	}
}

func TestMethodAndSize(t *testing.T) {
	w := newListWorld(t, Config{MaxBody: 1000})
	for _, path := range []string{eventsPath, userEventsPath} {
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "POST" {
			t.Errorf("GET %s: %d %v", path, rec.Code, rec.Header())
		}
		if rec := w.post(path, "Bearer "+w.tokens["A"], strings.Repeat(" ", 1001)+"{}"); rec.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("large body on %s: %d", path, rec.Code)
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	w := newListWorld(t, Config{})
	for path, want := range map[string]string{
		"/api/v3/business/report/nothing": `{"error":"no such path: /api/v3/business/report/nothing"}`,
		"/analytics/api/v1/nothing":       `{"status":404,"code":"not_found","message":"no such path: /analytics/api/v1/nothing"}`,
		"/v3/nothing":                     `{"status":"SYNTAX ERROR","reason":"no such path: /v3/nothing"}`,
	} {
		rec := w.post(path, "", "{}")
		if rec.Code != http.StatusNotFound || strings.TrimSpace(rec.Body.String()) != want ||
			rec.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

// TestScansAreLimited acquires every scan; the next question is answered 503 with
// Retry-After.
func TestScansAreLimited(t *testing.T) {
	w := newListWorld(t, Config{MaxScans: 1, ScanWait: time.Millisecond})
	place, err := w.views.AcquireScan(t.Context(), "another")
	if err != nil {
		t.Fatal(err)
	}
	rec := w.post(eventsPath, "Bearer "+w.tokens["A"], everything().body())
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	place.Release()
	if rec := w.post(eventsPath, "Bearer "+w.tokens["A"], everything().body()); rec.Code != http.StatusOK {
		t.Errorf("after that: %d", rec.Code)
	}
}

// TestLookback: the published limit is the default of a deployment; 0 is none.
func TestLookback(t *testing.T) {
	for _, c := range []struct {
		now      string
		lookback time.Duration
		start    string
		ok       bool
	}{
		{"2026-03-10T15:04:05", DefaultLookback, "2025-03-10", true},
		{"2026-03-10T15:04:05", DefaultLookback, "2025-03-09T23:59:59", false},
		{"2024-03-10T15:04:05", DefaultLookback, "2023-03-10", true}, // 366 days
		{"2024-03-10T15:04:05", DefaultLookback, "2023-03-09", false},
		{"2024-02-29T15:04:05", DefaultLookback, "2023-03-01", true},
		{"2024-02-29T15:04:05", DefaultLookback, "2023-02-28", false},
		{"2024-03-10T15:04:05", 48 * time.Hour, "2024-03-08", true},
		{"2024-03-10T15:04:05", 48 * time.Hour, "2024-03-07T23:59:59", false},
		{"2024-03-10T15:04:05", time.Hour, "2024-03-10", true},
		{"2024-03-10T15:04:05", time.Hour, "2024-03-09", false},
		{"2024-03-10T15:04:05", 0, "1970-01-01", true},
		{"2024-03-10T15:04:05", 0, "2024-03-10T15:04:05", true},
		{"2024-03-10T15:04:05", 0, "2024-03-10T15:04:06", false},
	} {
		now, err := time.Parse(values.SecondLayout, c.now)
		if err != nil {
			t.Fatal(err)
		}
		err = new(eventsQuestion).setPeriod(&eventsBody{StartDate: &c.start}, now, c.lookback)
		if (err == nil) != c.ok {
			t.Errorf("%s, lookback %v, start %s: %v", c.now, c.lookback, c.start, err)
		}
	}
	w := newListWorld(t, Config{Lookback: time.Hour})
	if rec := w.post(eventsPath, "Bearer "+w.tokens["A"], `{"startDate":"2001-01-01"}`); rec.Code != http.StatusBadRequest {
		t.Errorf("long ago: %d %s", rec.Code, rec.Body)
	}
}

// TestEndIsNow: without an end date an event of the current second is in the
// answer and later ones, which the ingestion takes up to an hour ahead, are not;
// the period in the answer, sent back, gives the same answer. With an end date
// ahead of now they are there.
func TestEndIsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12*time.Hour + 400*time.Millisecond)
		w := newListWorld(t, Config{})
		second := time.Now().Truncate(time.Second)
		for name, ahead := range map[string]time.Duration{
			"now": 400 * time.Millisecond, "end of the second": 999 * time.Millisecond, "next second": time.Second, "in half an hour": 30 * time.Minute,
		} {
			w.append(0, schemas.Event{Product: 1, Client: 1, Time: second.Add(ahead).UnixMilli(), Name: name, RandomID: name})
		}
		ask := func(period string) (text string, answer map[string]any) {
			rec := w.post(eventsPath, "Bearer "+w.tokens["A"], fmt.Sprintf(`{%s,"sortOrder":"oldestFirst"}`, period))
			return rec.Body.String(), generic(rec.Body.Bytes()).(map[string]any)
		}
		check := func(text string, answer map[string]any, want ...string) {
			t.Helper()
			results, _ := answer["results"].([]any)
			var got []string
			for _, result := range results {
				got = append(got, result.(map[string]any)["name"].(string))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%q, want %q: %s", got, want, text)
			}
		}
		first, answer := ask(`"startDate":"2000-01-01"`)
		check(first, answer, "now", "end of the second")
		again, _ := ask(fmt.Sprintf(`"startDate":%q,"endDate":%q`, answer["startDate"], answer["endDate"]))
		if again != first {
			t.Errorf("asked again: %s, first: %s", again, first)
		}
		later, answer := ask(`"startDate":"2000-01-01","endDate":"2000-01-01T12:30:01"`)
		check(later, answer, "now", "end of the second", "next second", "in half an hour")
	})
}

// TestConnectionIsAbortedWhenAnAnswerFails sends half an answer over a real
// connection: the client must notice that it is incomplete.
func TestConnectionIsAbortedWhenAnAnswerFails(t *testing.T) {
	w := newListWorld(t, Config{})
	s := httptest.NewServer(w.router.handle(endpoint{
		name: "half", method: http.MethodGet, encodeError: encodeUserEventsError,
		answer: func(rw http.ResponseWriter, _ *http.Request) error {
			rw.Write([]byte(`[{"id":1}`))
			return fmt.Errorf("disk on fire")
		},
	}))
	defer s.Close()
	resp, err := http.Get(s.URL)
	if err != nil {
		return // aborted before its first byte was sent, which is also right
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("half an answer ends like a complete one")
	}
}
