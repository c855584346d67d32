//go:build upgrade

package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oldWeir is the binary of an earlier version; `make upgrade` builds it.
var oldWeir = flag.String("old", "", "path of the weir binary of an earlier version")

// TestUpgradeOfAFolder checks that a folder written by an earlier version, and
// left by a kill with events in the log that are not in the lake, opens with
// all events, and keeps them while its files become runs. From then on the
// earlier version refuses it.
func TestUpgradeOfAFolder(t *testing.T) {
	s := newTestServer(t, "--processor.cut-age", "1s", "--query.lookback", "0")
	s.path = *oldWeir
	s.start()
	const events = 6000
	if err := s.importing(eventFile(t, events)).Wait(); err != nil {
		t.Fatalf("import: %v", err)
	}
	s.end(syscall.SIGKILL)

	s.path = ""
	s.args = append(s.args, "--processor.compact-every", "1s")
	s.start()
	s.holdsExactly(events)
	s.waitFor("files of events have become runs", func() error {
		runs, err := filepath.Glob(filepath.Join(s.dir, "objects", "*", "events", "data", "[0-9]*", "*", "*.parquet"))
		if err == nil && len(runs) == 0 {
			err = errors.New("there is no run yet")
		}
		return err
	})
	s.holdsExactly(events)
	s.end(syscall.SIGTERM)

	refused := weirAt(t.Context(), *oldWeir, "all", "--data", s.dir, "--listen", s.addr)
	if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "newer version") {
		t.Errorf("the earlier version on a folder with runs: %v\n%s", err, out)
	}
}

// TestUpgradeOfACluster replaces the processes of a cluster one by one while
// events come in, lets both versions compact, and rolls one process back while that
// is possible: until the last of the earlier version has ended. At each step query processes of both versions must count every event, and at the
// end give the same answer to the byte; the balance must close.
func TestUpgradeOfACluster(t *testing.T) {
	c := newCluster(t)
	old := func(name string) clusterProcess { return c.startAt(*oldWeir, name) }
	ingest, owners := old("ingest"), []clusterProcess{old("processor"), old("processor")}
	queries := []clusterProcess{old("query")}
	c.waitReady(append(owners, ingest, queries[0])...)
	traffic := c.newTraffic()
	step := func(what string) {
		t.Helper()
		t.Log(what)
		traffic.send(ingest, 300)
		traffic.counted(queries...)
	}
	step("all processes old")

	queries = append(queries, c.start("query"))
	c.waitReady(queries...)
	step("a new query process asks old owners")

	replace := func(i int, by clusterProcess, what string) {
		t.Helper()
		owners[i].end(syscall.SIGTERM)
		owners[i] = by
		c.waitReady(by)
		step(what)
	}
	replace(0, c.start("processor"), "one new processor")
	c.compact(*oldWeir)
	step("compacted by the earlier version")
	c.compact("")
	step("compacted by the new version")
	replace(0, old("processor"), "rolled back")
	replace(0, c.start("processor"), "one new processor again")
	replace(1, c.start("processor"), "two new processors")
	c.eventually("the earlier version is refused", func() error {
		out, err := weirAt(t.Context(), *oldWeir, append([]string{"admin", "compact"}, c.flags...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "newer version") {
			return fmt.Errorf("compact by the earlier version: %w\n%s", err, out)
		}
		return nil
	})
	step("the layout has evolved")
	c.compact("")
	step("compacted by the new version: runs")

	ingest.end(syscall.SIGTERM)
	ingest = c.start("ingest")
	c.waitReady(ingest)
	step("all processes new, beside an old query process")

	c.closes(int64(traffic.sent))
	if a, b := traffic.page(queries[0]), traffic.page(queries[1]); !bytes.Equal(a, b) {
		t.Errorf("answers differ\nold: %s\nnew: %s", a, b)
	}
}

// compact merges small data files with the binary at path; "" is this test
// binary.
func (c *cluster) compact(path string) {
	c.t.Helper()
	if out, err := weirAt(c.t.Context(), path, append([]string{"admin", "compact"}, c.flags...)...).CombinedOutput(); err != nil {
		c.t.Fatalf("compact: %v\n%s", err, out)
	}
}

// page returns the newest 1000 events as the Events API answers them.
func (t *traffic) page(query clusterProcess) []byte {
	t.t.Helper()
	body := fmt.Sprintf(`{"startDate":%q,"paging":{"page":1,"perPage":1000}}`, time.Now().UTC().Format(time.DateOnly))
	r, err := http.NewRequestWithContext(t.t.Context(), http.MethodPost, query.url+"/analytics/api/v1/events", strings.NewReader(body))
	if err != nil {
		t.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+t.token)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.t.Fatalf("%d %s %v", resp.StatusCode, text, err)
	}
	return eventIDs.ReplaceAll(text, []byte(`"id":"$1","name":"e","parameters":{},`))
}

// eventIDs are the ids of an event in the Events API. Up to 87a9283 an event had one,
// its random_id.
var eventIDs = regexp.MustCompile(`"id":"[^"]*","name":"e","parameters":\{\},"randomId":"([^"]*)",`)
