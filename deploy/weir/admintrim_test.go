package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/topic"
)

// TestTrimDecides lists what of a shard's log may be deleted.
func TestTrimDecides(t *testing.T) {
	cases := []struct {
		name       string
		shard      trimmedShard
		filledFrom string
		records    int64
		why        string
	}{
		{"all but the last committed record", trimmedShard{Start: 10, Committed: 100, End: 120, Below: 10}, "a", 89, ""},
		{"trimmed already", trimmedShard{Start: 99, Committed: 100, End: 120, Below: 99}, "a", 0, ""},
		{"some table has nothing yet", trimmedShard{End: 120}, "", 0, "some table"},
		{"another log", trimmedShard{Committed: 100, End: 120}, "b", 0, "another log"},
		{"log ends before", trimmedShard{Committed: 100, End: 50}, "a", 0, "ends before"},
	}
	for _, c := range cases {
		s := c.shard
		s.decide("a", c.filledFrom)
		if s.Records != c.records || !strings.Contains(s.Why, c.why) || (c.why == "") != (s.Why == "") {
			t.Errorf("%s: %+v, want %d records and %q", c.name, s, c.records, c.why)
		}
		if want := s.Start + c.records; s.Below != max(want, c.shard.Below) {
			t.Errorf("%s: delete below %d, want %d", c.name, s.Below, want)
		}
	}
}

// TestHolesNeedAcceptance checks the balance of a shard with holes, whose log has
// another base than the lake.
func TestHolesNeedAcceptance(t *testing.T) {
	state := lake.ShardState{Next: 10, Counters: lake.Counters{Stored: 5, Control: 2, Holes: 3}, Position: lake.LogPosition{TopicID: "a", Base: 4}}
	for accepted, want := range map[int64]bool{0: false, 2: false, 3: true} {
		a := auditor{layout: topic.Layout{TopicID: "a"}, accepted: map[int32]int64{1: accepted}}
		s := a.auditShard(1, state, true, 0, 10)
		if s.Closes != want || s.Holes != 3 || s.Base != 4 || !want && !strings.Contains(s.Why, "weir admin accept-holes --shard 1 --count 3") {
			t.Errorf("%d accepted: %+v, want that it closes: %t", accepted, s, want)
		}
	}
}

// TestTrimAndHolesOfAServer runs both commands beside a running server.
func TestTrimAndHolesOfAServer(t *testing.T) {
	s := newTestServer(t)
	s.start()
	var out strings.Builder
	p := &process{stdout: &out, stderr: io.Discard}
	if err := runTrim(t.Context(), p, []string{"--data", s.dir, "--dry-run", "--json"}); err != nil {
		t.Fatal(err)
	}
	var printed struct{ Shards []trimmedShard }
	if err := json.Unmarshal([]byte(out.String()), &printed); err != nil || len(printed.Shards) != topic.DefaultShards {
		t.Errorf("trim printed %s, %v", out.String(), err)
	}
	err := runAcceptHoles(t.Context(), p, []string{"--data", s.dir, "--shard", "1", "--count", "1"})
	if err == nil || !strings.Contains(err.Error(), "shard 1 has 0 missing records") {
		t.Errorf("accept-holes of none: %v", err)
	}
	if err := runAcceptHoles(t.Context(), p, []string{"--data", s.dir, "--shard", "1", "--count", "0"}); err != nil {
		t.Error(err)
	}
	reg, err := registry.Open(t.Context(), databaseURL(s.dir), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	accepted, err := registry.AcceptedHoles(t.Context(), reg)
	if diff := cmp.Diff(map[int32]int64{1: 0}, accepted); diff != "" || err != nil {
		t.Errorf("accepted, %v (-want +got):\n%s", err, diff)
	}
}

// TestTrimDeletes deletes what is in the lake from the log of a cluster: the log then
// begins at the last committed record, a second run finds nothing, and a processor that
// starts afterwards goes on.
func TestTrimDeletes(t *testing.T) {
	c := newCluster(t)
	ingest, owner := c.start("ingest"), c.start("processor")
	c.waitReady(ingest, owner)
	traffic := c.newTraffic()
	traffic.send(ingest, 500)
	c.closes(500)
	owner.end(syscall.SIGTERM) // no more ticks, by which offsets move

	trim := func(args ...string) []trimmedShard {
		t.Helper()
		cmd := weir(t.Context(), append(append([]string{"admin", "trim", "--json"}, args...), c.flags...)...)
		out, err := cmd.Output()
		var printed struct{ Shards []trimmedShard }
		if jsonErr := json.Unmarshal(out, &printed); err != nil || jsonErr != nil || len(printed.Shards) != topic.DefaultShards {
			t.Fatalf("trim %q: %v %s", args, err, out)
		}
		return printed.Shards
	}
	planned := trim("--dry-run")
	deleted := trim()
	if diff := cmp.Diff(planned, deleted); diff != "" {
		t.Errorf("deleted other than planned (-planned +deleted):\n%s", diff)
	}
	records := int64(0)
	for i, now := range trim("--dry-run") {
		was := deleted[i]
		records += was.Records
		if now.Start != was.Below || now.Start != was.Start+was.Records || now.Records != 0 || now.End != was.End {
			t.Errorf("after %+v: %+v, want that the log begins at %d", was, now, was.Below)
		}
	}
	if records < 500-topic.DefaultShards {
		t.Errorf("%d records deleted, want all of 500 but one of each shard", records)
	}
	c.waitReady(c.start("processor"))
	traffic.send(ingest, 100)
	c.closes(600)
}
