package main

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEventReachesReportsAndDownloads sends events to one process and finds them
// in the Events API, in the balance and in a download, also after a restart and a
// compaction.
func TestEventReachesReportsAndDownloads(t *testing.T) {
	s := newTestServer(t, "--processor.cut-age", "500ms")
	s.start()
	d := s.demo()
	secrets := []string{d.Secret, d.Token, d.Password}

	event := fmt.Sprintf(`{"data":[{"euid":9007199254740993,"event_name":"sign_up","itime":%d,"random_id":"once","properties":{"plan":"pro"}}]}`, time.Now().UnixMilli())
	for range 2 { // the second is a duplicate and also answered with success
		s.postEvents(d.Key, d.Secret, event)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	counts := func(want int) {
		t.Helper()
		s.waitFor(fmt.Sprintf("counting %d events", want), func() error {
			if n, err := s.count(today); err != nil || n != want {
				return fmt.Errorf("counted %d: %w", n, errors.Join(err, errors.New("wrong count")))
			}
			return nil
		})
	}
	counts(1)
	if rows := s.downloadToday(); len(rows) != 2 || rows[1][3] != "9007199254740993" || rows[1][4] != "sign_up" {
		t.Errorf("the download contains %q, want its header and the one event", rows)
	}

	waitBalance := func(stored, duplicates int64) {
		t.Helper()
		s.waitFor("in the lake", func() error {
			b, code := s.check()
			if sum := b.totals(); !b.Closes || code != exitDone || sum.InFlight != 0 || sum.Stored != stored || sum.Duplicates != duplicates {
				return fmt.Errorf("exit code %d, %+v", code, b)
			}
			return nil
		})
	}
	waitBalance(1, 1)

	second := weir(t.Context(), "all", "--data", s.dir, "--listen", "127.0.0.1:0")
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "in use by another weir") {
		t.Errorf("a second server on the folder: %v, %s", err, out)
	}
	if code := s.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit code %d after SIGTERM, want %d", code, exitDone)
	}
	s.keepsSecrets(secrets)

	s.start()
	if again := s.demo(); again != d {
		t.Errorf("the second start changed %s", demoFile)
	}
	s.postEvents(d.Key, d.Secret, event) // the dedupe window survives a restart
	s.postEvents(d.Key, d.Secret, strings.Replace(event, "once", "other", 1))
	counts(2)
	waitBalance(2, 2)

	compacted, err := weir(t.Context(), "admin", "compact", "--data", s.dir, "--json").Output()
	var result struct{ Merged, Made int }
	if jsonErr := json.Unmarshal(compacted, &result); err != nil || jsonErr != nil || result.Merged < 2 {
		t.Errorf("compact: %v, %s; want at least two data files merged", err, compacted)
	}
	counts(2)
	waitBalance(2, 2)
	if code := s.end(syscall.SIGTERM); code != exitDone {
		t.Errorf("exit code %d after SIGTERM, want %d", code, exitDone)
	}
	waitBalance(2, 2)
	s.keepsSecrets(secrets)
}

// keepsSecrets checks that no secret is logged or printed, and the modes of the
// files that have them.
func (s *testServer) keepsSecrets(secrets []string) {
	s.t.Helper()
	for _, secret := range secrets {
		if strings.Contains(s.log.String(), secret) {
			s.t.Errorf("the log contains a secret of %s", demoFile)
		}
		if strings.Contains(s.out.String(), secret) {
			s.t.Errorf("the output contains a secret of %s, although it is no terminal", demoFile)
		}
	}
	for _, name := range []string{demoFile, "s3.json"} {
		info, err := os.Stat(filepath.Join(s.dir, name))
		if err != nil {
			s.t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			s.t.Errorf("%s has mode %v, want 0600", name, info.Mode().Perm())
		}
	}
}

func (s *testServer) postEvents(key, secret, body string) {
	s.t.Helper()
	r, err := http.NewRequest("POST", s.url()+"/v1/event/report", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.SetBasicAuth(key, secret)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		s.t.Fatalf("send events: %d %s", resp.StatusCode, text)
	}
}

// downloadToday logs in to the Reporting API, requests today's raw events and
// downloads them through the main address. It checks that altered links fail.
func (s *testServer) downloadToday() [][]string {
	s.t.Helper()
	d := s.demo()
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar}
	ask := func(method, target, body string) (int, []byte) {
		r, err := http.NewRequest(method, target, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := browser.Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, text
	}
	ask("GET", s.url()+"/v3/request-csrf", "")
	if code, text := ask("POST", s.url()+"/v3/auth/web", fmt.Sprintf(`{"userName":%q,"password":%q}`, d.Email, d.Password)); code != 200 {
		s.t.Fatalf("log in: %d %s", code, text)
	}
	name := d.Product + "_" + time.Now().UTC().Format(time.DateOnly) + ".zip"
	code, text := ask("POST", s.url()+"/v3/rawEvents/download/getDownloadUrl/"+d.Product, fmt.Sprintf(`{"fileName":%q}`, name))
	var link struct{ DownloadURL string }
	if err := json.Unmarshal(text, &link); err != nil || code != 200 {
		s.t.Fatalf("ask for a download: %d %s", code, text)
	}
	if !strings.HasPrefix(link.DownloadURL, s.url()+"/") {
		s.t.Fatalf("link %s is not on %s", link.DownloadURL, s.url())
	}
	for what, changed := range map[string]string{
		"without a signature": strings.SplitN(link.DownloadURL, "?", 2)[0],
		"with another expiry": strings.Replace(link.DownloadURL, "X-Amz-Expires=", "X-Amz-Expires=9", 1),
		"of another file":     strings.Replace(link.DownloadURL, ".zip?", ".zop?", 1),
	} {
		if code, _ := ask("GET", changed, ""); code != 403 {
			s.t.Errorf("a link %s: %d, want 403", what, code)
		}
	}
	code, text = ask("GET", link.DownloadURL, "")
	if code != 200 {
		s.t.Fatalf("download: %d %s", code, text)
	}
	return unzipped(s.t, text)
}

func unzipped(t *testing.T, text []byte) [][]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 1 {
		t.Fatalf("%d files in the zip, want 1", len(z.File))
	}
	f, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
