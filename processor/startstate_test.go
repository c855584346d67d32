package processor

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"weir/schemas/lake"
	"weir/schemas/topic"
)

func TestParseAcceptLoss(t *testing.T) {
	got, err := parseAcceptLoss(" 3@100:250, 0@7:0 ")
	want := map[int32]acceptedLoss{3: {next: 100, log: 250}, 0: {next: 7, log: 0}}
	if err != nil || !cmp.Equal(got, want, cmp.AllowUnexported(acceptedLoss{})) {
		t.Errorf("parseAcceptLoss = %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"3", "3@100", "a@1:2", "3@1:", "3@1:2;4@1:2"} {
		if _, err := parseAcceptLoss(bad); err == nil {
			t.Errorf("parseAcceptLoss(%q) accepts it", bad)
		}
	}
}

// TestResolveStart lists what the tables and the log have, and where the shard then
// resumes or why it stops.
func TestResolveStart(t *testing.T) {
	at := func(next int64) lake.ShardState {
		return lake.ShardState{First: 0, Next: next, LogTime: 5, Position: lake.LogPosition{TopicID: "a", Epoch: 2, Checksum: 77}}
	}
	based := at(100)
	based.Position.Base = 90
	cases := []struct {
		name            string
		events          *lake.ShardState
		deadLetters     *lake.ShardState
		changes         *lake.ShardState
		log             logRange
		adopt           bool
		accept          string
		next            int64 // where the cut starts
		fetchFrom       int64
		deadLettersNext int64
		changesNext     int64
		lostBelow       int64
		base            int64
		stopped         string // part of the error; "" is none
	}{
		{name: "new shard", log: logRange{"a", 0, 10}},
		{name: "new shard, log does not start at 0", log: logRange{"a", 4, 10}, stopped: "processor.adopt"},
		{name: "new shard, adopted", log: logRange{"a", 4, 10}, adopt: true, next: 4, fetchFrom: 4},
		{name: "goes on, and looks at the last record", events: new(at(100)), log: logRange{"a", 50, 200}, next: 100, fetchFrom: 99},
		{name: "last record is gone", events: new(at(100)), log: logRange{"a", 100, 200}, next: 100, fetchFrom: 100},
		{name: "log at its end", events: new(at(100)), log: logRange{"a", 100, 100}, next: 100, fetchFrom: 100},
		{name: "another base", events: new(based), log: logRange{"a", 0, 20}, next: 100, fetchFrom: 9, base: 90},
		{name: "dead letters ahead", events: new(at(100)), deadLetters: new(at(120)), log: logRange{"a", 0, 130}, next: 100, fetchFrom: 99, deadLettersNext: 120},
		{name: "dead letters alone", deadLetters: new(at(120)), log: logRange{"a", 0, 130}, next: 0, fetchFrom: 0, deadLettersNext: 120},
		{name: "changes ahead", events: new(at(100)), changes: new(at(110)), deadLetters: new(at(120)), log: logRange{"a", 0, 130}, next: 100, fetchFrom: 99, deadLettersNext: 120, changesNext: 110},
		{name: "changes as far as dead letters", changes: new(at(120)), deadLetters: new(at(120)), log: logRange{"a", 0, 130}, deadLettersNext: 120, changesNext: 120},
		{name: "short log accepted, changes ahead", events: new(at(100)), changes: new(at(110)), deadLetters: new(at(120)), log: logRange{"a", 0, 20}, accept: "0@100:0", next: 100, deadLettersNext: 120, changesNext: 110, lostBelow: 120, base: 120},
		{name: "log starts past next", events: new(at(100)), log: logRange{"a", 101, 200}, stopped: "starts at offset 101"},
		{name: "log ends before next", events: new(at(100)), log: logRange{"a", 0, 99}, stopped: "ends at offset 99"},
		{name: "log ends before dead letters", events: new(at(100)), deadLetters: new(at(120)), log: logRange{"a", 0, 119}, stopped: "before 120"},
		{name: "another log", events: new(at(100)), log: logRange{"b", 0, 200}, stopped: "topic id is b"},
		{name: "loss accepted", events: new(at(100)), log: logRange{"a", 101, 200}, accept: "0@100:101", next: 100, fetchFrom: 101, lostBelow: 101},
		{name: "loss accepted for another offset", events: new(at(100)), log: logRange{"a", 101, 200}, accept: "0@90:101", stopped: "0@100:"},
		{name: "short log accepted", events: new(at(100)), log: logRange{"a", 0, 20}, accept: "0@100:20", next: 100, fetchFrom: 20, lostBelow: 100, base: 80},
		{name: "short log accepted, dead letters ahead", events: new(at(100)), deadLetters: new(at(120)), log: logRange{"a", 0, 20}, accept: "0@100:0", next: 100, deadLettersNext: 120, lostBelow: 120, base: 120},
		{name: "new log accepted", events: new(at(100)), log: logRange{"b", 0, 200}, accept: "0@100:0", next: 100, fetchFrom: 0, lostBelow: 100, base: 100},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			accepted, err := parseAcceptLoss(c.accept)
			if err != nil {
				t.Fatal(err)
			}
			w := &worker{cfg: Config{Adopt: c.adopt}, accepted: accepted}
			st, err := w.resolveStart(shardStatesOf(c.events), shardStatesOf(c.changes), shardStatesOf(c.deadLetters), c.log)
			if c.stopped != "" {
				if err == nil || !strings.Contains(err.Error(), c.stopped) {
					t.Fatalf("place: %v, want an error with %q", err, c.stopped)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := [6]int64{st.state.Next, st.fetchFrom, st.deadLettersNext, st.changesNext, st.lostBelow, st.state.Position.Base}
			if want := [6]int64{c.next, c.fetchFrom, c.deadLettersNext, c.changesNext, c.lostBelow, c.base}; got != want {
				t.Errorf("next, fetchFrom, deadLettersNext, changesNext, lostBelow, base = %v, want %v", got, want)
			}
		})
	}
}

func shardStatesOf(s *lake.ShardState) lake.ShardStates {
	if s == nil {
		return lake.ShardStates{}
	}
	return lake.ShardStates{0: *s}
}

// TestLostRecordsNeedAcceptance deletes records from the log that the lake lacks.
// The shard stops until an operator accepts the loss, which is then counted.
func TestLostRecordsNeedAcceptance(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a", "b") })
		w.post(0, "c", "d", "e")
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic.Name, 0, 4, -1)
		_, err := kadm.NewClient(w.producer).DeleteRecords(t.Context(), offsets)
		w.must(err)
		p := w.start("q", Config{})
		time.Sleep(10 * time.Second)
		if err := p.service.Ready(); err == nil || !strings.Contains(err.Error(), `"0@2:OFFSET"`) {
			t.Errorf("ready = %v, want how to accept the loss", err)
		}
		p.stopAndWait()
		for range 2 { // the same setting at a later start has no effect
			w.start("r", Config{AcceptLoss: "0@2:4"}).stopAfter(func() { time.Sleep(10 * time.Second) })
		}
		w.wantCounters(0, lake.Counters{Stored: 3, Lost: 2})
	})
}

// TestRecreatedTopic continues a lake with another log, whose offsets are smaller
// than its own.
func TestRecreatedTopic(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a", "b", "c") })
		w.commitForeignLog(0) // events is at 4 now, of a log that is gone
		accept := Config{AcceptLoss: "0@4:2"}
		w.start("q", accept).stopAfter(func() { w.post(0, "d") })
		w.start("r", accept).stopAfter(func() { w.post(0, "a", "e") })
		w.wantCounters(0, lake.Counters{Stored: 5, Duplicates: 2, Lost: 1}) // c was stored again
		if got := w.shardStates(lake.Events)[0]; got.Next != 8 || got.Position.Base != 2 {
			t.Errorf("events is at %d with base %d, want 8 and 2", got.Next, got.Position.Base)
		}
		committed, err := CommittedOffsets(t.Context(), w.reader)
		if diff := cmp.Diff(map[int32]int64{0: 6}, committed); diff != "" || err != nil {
			t.Errorf("committed offsets of the log, %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestForeignLogStopsTheShard(t *testing.T) {
	withHarness(t, 2, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a", "b"); w.post(1, "c") })
		w.commitForeignLog(0)
		p := w.start("q", Config{})
		time.Sleep(10 * time.Second)
		if err := p.service.Ready(); err == nil {
			t.Error("ready although the log of shard 0 is another one")
		}
		if _, _, err := p.tailOf(1, 1); err != nil {
			t.Errorf("tail of the other shard: %v, want that it goes on", err)
		}
		p.stopAndWait()
	})
}
