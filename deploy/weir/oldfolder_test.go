package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// TestFolderOfBeforeRuns opens a folder that weir of 87a9283 wrote: 600 events of 200
// days from four shards, killed with the last 200 of them in the log alone. It answers
// as that version did (folder-87a9283.golden), also while more events come in and
// its files become runs.
func TestFolderOfBeforeRuns(t *testing.T) {
	s := newTestServer(t, "--processor.cut-age", "1s", "--processor.compact-every", "1s", "--query.lookback", "0")
	unpack(t, filepath.Join("testdata", "folder-87a9283.tar.zst"), s.dir)
	s.start()
	s.answersAs("folder-87a9283.golden", "when opened")
	if err := s.importing(eventFile(t, 300)).Wait(); err != nil {
		t.Fatalf("import: %v", err)
	}
	s.waitFor("runs of events", func() error {
		runs, err := filepath.Glob(filepath.Join(s.dir, "objects", "*", "events", "data", "[0-9]*", "*", "*.parquet"))
		if err == nil && len(runs) < 8 { // of four shards: what came in, and what became runs
			err = fmt.Errorf("there are %d runs", len(runs))
		}
		return err
	})
	s.answersAs("folder-87a9283.golden", "with runs")
	s.holdsExactly(900)
	s.answersAs("folder-87a9283.golden", "after a restart")
}

// answersAs waits until the events of 2025 are those of a file of testdata: just after
// a start the last ones may still be read from the log.
func (s *testServer) answersAs(file, when string) {
	s.t.Helper()
	want, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		s.t.Fatal(err)
	}
	s.waitFor("as before "+when, func() error {
		if diff := cmp.Diff(string(want), s.eventLines()); diff != "" {
			return fmt.Errorf("events (-want +got):\n%s", diff)
		}
		return nil
	})
}

// eventLines prints the events of 2025, newest first, as the Events API lists them.
func (s *testServer) eventLines() string {
	s.t.Helper()
	var out strings.Builder
	for page := 1; page <= 3; page++ {
		body := fmt.Sprintf(`{"startDate":"2025-01-01","endDate":"2025-12-31","paging":{"page":%d,"perPage":200}}`, page)
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url()+"/analytics/api/v1/events", strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+s.demo().Token)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Paging  struct{ TotalCount int }
			Results []struct {
				Datetime       int64
				Name, RandomID string
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
			s.t.Fatalf("%d %v", resp.StatusCode, err)
		}
		if page == 1 {
			fmt.Fprintf(&out, "%d events\n", answer.Paging.TotalCount)
		}
		for _, e := range answer.Results {
			fmt.Fprintln(&out, e.Datetime, e.Name, e.RandomID)
		}
	}
	return out.String()
}

// unpack writes the files of a tar archive below dir.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	packed, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			err = writeUnpacked(filepath.Join(dir, filepath.FromSlash(h.Name)), r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func writeUnpacked(path string, r io.Reader) error {
	content, err := io.ReadAll(r)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
