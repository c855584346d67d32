package processor

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/topic"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// eventRecord returns an event of client 1 with random id id, at an offset.
func eventRecord(offset int64, id string, at time.Time) *kgo.Record {
	e := schemas.Event{Product: 1, Client: 1, Time: at.UnixMilli(), Name: "open", RandomID: id}
	return &kgo.Record{Offset: offset, Timestamp: at, Value: topic.Append(nil, &e)}
}

func tickRecord(offset int64, at time.Time) *kgo.Record {
	return &kgo.Record{Offset: offset, Timestamp: at, Value: topic.AppendTick(nil)}
}

func poison(offset int64) *kgo.Record {
	return &kgo.Record{Offset: offset, Timestamp: noon, Key: []byte("k"), Value: []byte{0xff, 0xff}}
}

// offsetsOf returns the offsets of the rows of a cut, which it releases.
func offsetsOf(t *testing.T, c *sealedCut) []int64 {
	t.Helper()
	var offsets []int64
	for _, b := range c.rows {
		v, err := columns.Bind(b)
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, v.Offset...)
	}
	release(c.rows)
	return offsets
}

func TestGatherVerdicts(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	n, err := g.gather([]*kgo.Record{
		eventRecord(0, "a", noon), eventRecord(1, "b", noon), eventRecord(2, "a", noon.Add(time.Hour)), poison(3),
		tickRecord(4, noon), eventRecord(8, "c", noon), eventRecord(9, "a", noon.Add(24*time.Hour)),
	}, noon.Add(48*time.Hour))
	if n != 7 || err != nil {
		t.Fatalf("gather = %d, %v; want all 7", n, err)
	}
	c := g.seal(noon)
	want := lake.Counters{Stored: 4, Duplicates: 1, Dead: 1, Control: 1, Holes: 3}
	if c.to.Counters != want || c.to.Next != 10 || want.Sum() != 10 {
		t.Errorf("counters = %+v at %d, want %+v at 10", c.to.Counters, c.to.Next, want)
	}
	if diff := cmp.Diff([]int64{0, 1, 8, 9}, offsetsOf(t, c)); diff != "" {
		t.Errorf("stored offsets (-want +got):\n%s", diff)
	}
	const reason = "record is damaged: it ends in the middle of a field" // without the offset, so that equal damage groups
	if len(c.deadLetters) != 1 || c.deadLetters[0].Offset != 3 || c.deadLetters[0].Reason != reason || string(c.deadLetters[0].Key) != "k" {
		t.Errorf("dead letters = %+v, want the record at offset 3 with its key and the reason %q", c.deadLetters, reason)
	}
}

func TestLogTimeNeverRunsBackwardsNorAhead(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	clock := noon
	check := func(offset int64, stamp, want time.Time) {
		t.Helper()
		if _, err := g.gather([]*kgo.Record{tickRecord(offset, stamp)}, clock); err != nil {
			t.Fatal(err)
		}
		if got := g.state.LogTime; got != want.UnixMilli() {
			t.Errorf("log time = %s, want %s", time.UnixMilli(got).UTC(), want)
		}
	}
	check(0, noon, noon)
	check(1, noon.Add(-time.Hour), noon)
	check(2, noon.Add(5*time.Minute), noon.Add(5*time.Minute))
	check(3, noon.Add(time.Hour), noon.Add(5*time.Minute)) // limited to five minutes ahead of the clock
	clock = noon.Add(time.Minute)
	check(4, noon.Add(time.Hour), noon.Add(6*time.Minute))
	clock = noon.Add(-time.Hour) // the clock was set back: log time is not
	check(5, noon.Add(time.Hour), noon.Add(6*time.Minute))
}

// TestDeadLettersAheadLimitTheCut takes a shard over whose owner crashed between the
// commit to dead_letters, which has offset 1 and ends at 3, and that to events.
func TestDeadLettersAheadLimitTheCut(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	g.deadLettersNext, g.deadLettersAhead = 3, map[int64]bool{1: true}
	records := []*kgo.Record{
		eventRecord(0, "a", noon), eventRecord(1, "in dead_letters", noon), eventRecord(2, "b", noon), eventRecord(3, "c", noon),
	}
	n, err := g.gather(records, noon)
	if n != 3 || err != nil || !g.atCutLimit() {
		t.Fatalf("gather = %d, %v, at limit %v; want 3 records and the cut limit", n, err, g.atCutLimit())
	}
	c := g.seal(noon)
	if diff := cmp.Diff([]int64{0, 2}, offsetsOf(t, c)); diff != "" {
		t.Errorf("stored offsets (-want +got):\n%s", diff)
	}
	if len(c.deadLetters) != 0 || c.to.Counters.Dead != 1 {
		t.Errorf("dead letters %v, counted %d; want none and 1", c.deadLetters, c.to.Counters.Dead)
	}
	if n, err := g.gather(records[3:], noon); n != 1 || err != nil || g.atCutLimit() {
		t.Errorf("gather after the cut limit = %d, %v; want 1 record", n, err)
	}
}

// TestGapAcrossCutLimit has a log that has lost the records around the cut limit.
func TestGapAcrossCutLimit(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	g.deadLettersNext, g.deadLettersAhead, g.lostBelow = 3, map[int64]bool{1: true, 2: true}, 5
	records := []*kgo.Record{eventRecord(7, "a", noon)}
	if n, err := g.gather(records, noon); n != 0 || err != nil || !g.atCutLimit() {
		t.Fatalf("gather = %d, %v, at limit %v; want 0 and the cut limit", n, err, g.atCutLimit())
	}
	c := g.seal(noon)
	if want := (lake.Counters{Dead: 2, Lost: 1}); c.to.Counters != want || c.to.Next != 3 {
		t.Errorf("to the cut limit: %+v at %d, want %+v at 3", c.to.Counters, c.to.Next, want)
	}
	if n, err := g.gather(records, noon); n != 1 || err != nil {
		t.Fatalf("gather = %d, %v; want 1", n, err)
	}
	c = g.seal(noon)
	if want := (lake.Counters{Lost: 2, Holes: 2, Stored: 1}); c.counts != want || c.to.Next != 8 || c.to.Counters.Sum() != 8 {
		t.Errorf("past the cut limit: %+v at %d, want %+v at 8", c.counts, c.to.Next, want)
	}
	release(c.rows)
}

func TestVerdictIsGivenOnce(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	g.deadLettersNext = 2
	if _, err := g.gather([]*kgo.Record{poison(0)}, noon); !errors.Is(err, errVerdict) {
		t.Errorf("gather: %v, want %v", err, errVerdict)
	}
}

func TestLastRecordIsVerified(t *testing.T) {
	last, other := eventRecord(4, "a", noon), eventRecord(4, "b", noon)
	check := func(stopped bool, records ...*kgo.Record) {
		t.Helper()
		g := newTestGatherer(t)
		defer g.dedupe.Close()
		defer g.buffer.stop()
		g.state.Next, g.from = 5, 5
		g.recordChecks = []recordCheck{{next: 5, checksum: g.checksum(last)}}
		_, err := g.gather(records, noon)
		if stopped {
			if e, ok := errors.AsType[*logError](err); !ok || e.next != 5 {
				t.Errorf("gather: %v, want a logError for 5", err)
			}
			return
		}
		if err != nil || g.state.Counters.Stored != 1 {
			t.Errorf("gather: %v, stored %d; want the one new record", err, g.state.Counters.Stored)
		}
	}
	check(false, last, eventRecord(5, "c", noon))
	check(true, other, eventRecord(5, "c", noon))
	check(false, eventRecord(6, "c", noon)) // the record was deleted from the log
}
