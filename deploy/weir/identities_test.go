package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/schemas/registry"
)

// call sends a request and returns status and body.
func (s *testServer) call(path, body string, sign func(*http.Request)) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	sign(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

// TestPublishedPerson is the example of the User Events API's document: the person
// whom customerId 2847 and refId CB6150 name, which one call links, as README.md
// shows. Before it, and to somebody who only knows the EUID, nobody is there. A
// folder of an earlier version says once at its start that this has changed.
func TestPublishedPerson(t *testing.T) {
	s := newTestServer(t, "--processor.cut-age", "500ms")
	s.start()
	d := s.demo()
	key := func(r *http.Request) { r.SetBasicAuth(d.Key, d.Secret) }
	token := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+d.Token) }
	const euid, notice = "10000091198", "an EUID is no longer a refId"
	period := fmt.Sprintf(`"from": %q, "until": %q}`, "2025-06-01T00:00:00.000Z", "2025-06-23T23:59:00.000Z")
	ask := func(who string) string {
		t.Helper()
		status, text := s.call("/api/v3/business/report/event/user", "{"+who+", "+period, token)
		return fmt.Sprint(status, " ", text)
	}
	published := `"customerId": 2847, "refId": "CB6150"`
	nobody := `404 {"error":"User not found"}`

	at := time.Date(2025, 6, 4, 20, 58, 33, 0, time.UTC).UnixMilli()
	s.postEvents(d.Key, d.Secret, fmt.Sprintf(`{"data":[{"euid":%s,"event_name":"open","itime":%d}]}`, euid, at))
	for _, who := range []string{published, `"refId": "` + euid + `"`} {
		if got := ask(who); got != nobody {
			t.Errorf("%s: %s, want %s", who, got, nobody)
		}
	}
	link := `{"identities": [{"euid": ` + euid + `, "names": {"ref_id": "CB6150", "customer_id": 2847}}]}`
	want := `{"identities":[{"euid":` + euid + `,"names":{"customer_id":"2847","ref_id":"CB6150"}}]}`
	for range 2 {
		if status, text := s.call("/weir/v1/identities", link, key); status != http.StatusOK || text != want {
			t.Errorf("%d %s, want %s", status, text, want)
		}
	}
	found := regexp.MustCompile(`^200 \[\{"id":[0-9]+,"dateEvent":"2025-06-04T20:58:33.000Z"\}\]$`)
	s.waitFor("found", func() error {
		if got := ask(published); !found.MatchString(got) {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	if got := ask(`"refId": "` + euid + `"`); got != nobody {
		t.Errorf("the EUID as refId: %s, want %s", got, nobody)
	}
	if out, err := weir(t.Context(), "admin", "product", "set", "--id", d.Product, "--euid-as-ref=true", "--data", s.dir).CombinedOutput(); err != nil {
		t.Fatalf("product set: %v, %s", err, out)
	}
	if got := ask(`"refId": "` + euid + `"`); !found.MatchString(got) {
		t.Errorf("the EUID as refId, once it is allowed: %s", got)
	}
	if strings.Contains(s.log.String(), notice) || strings.Contains(s.log.String(), "CB6150") {
		t.Errorf("the log of a new folder has the notice, or a name")
	}
	if n := strings.Count(s.log.String(), "identities linked"); n != 1 {
		t.Errorf("the log says %d times that identities were linked, want once: the second time nothing changed", n)
	}
	s.end(syscall.SIGTERM)

	forgetNotice(t, filepath.Join(s.dir, databaseFile))
	for range 2 {
		s.start()
		s.end(syscall.SIGTERM)
	}
	if n := strings.Count(s.log.String(), notice); n != 1 {
		t.Errorf("two starts of a folder of before say %d times what has changed, want once", n)
	}
}

// forgetNotice makes a database one of an earlier version.
func forgetNotice(t *testing.T, path string) {
	t.Helper()
	r, err := registry.Open(t.Context(), "sqlite:"+path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.DB().ExecContext(t.Context(), `DELETE FROM settings WHERE key = 'notice.euid_as_ref'`); err != nil {
		t.Fatal(err)
	}
}
