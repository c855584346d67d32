package processor

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/topic"
)

// changeRecord returns a change of a contact of client 1 at an offset.
func changeRecord(offset int64) *kgo.Record {
	c := schemas.Change{
		Product: 1, Client: 1, Time: noon.UnixMilli(), Kind: schemas.ContactChange, Operation: schemas.OpSet,
		Values: fmt.Appendf(nil, `{"email":"%d@example.org"}`, offset),
	}
	return &kgo.Record{Offset: offset, Timestamp: noon, Value: topic.AppendChange(nil, &c)}
}

// changeOffsets returns the offsets of batches of changes, which it releases.
func changeOffsets(t *testing.T, batches []arrow.Record) []int64 {
	t.Helper()
	defer release(batches)
	var offsets []int64
	all := lake.ChangesOf(func(yield func(arrow.Record, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
	})
	for c, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`{"email":"%d@example.org"}`, c.Offset); string(c.Values) != want || c.Kind != schemas.ContactChange {
			t.Errorf("change at offset %d is %s of kind %s, want %s", c.Offset, c.Values, c.Kind, want)
		}
		offsets = append(offsets, c.Offset)
	}
	return offsets
}

// TestChangesHaveRowsOfTheirOwn checks that changes are in the changes of the cut
// and of the tail, not among the events, and are never duplicates.
func TestChangesHaveRowsOfTheirOwn(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	before := g.bytes()
	if n, err := g.gather([]*kgo.Record{eventRecord(0, "a", noon), changeRecord(1), changeRecord(2), eventRecord(3, "a", noon)}, noon); n != 4 || err != nil {
		t.Fatalf("gather = %d, %v; want all 4", n, err)
	}
	if g.bytes() <= before {
		t.Errorf("bytes = %d, before %d", g.bytes(), before)
	}
	part, err := g.buffer.tail(2)
	if err != nil || part.Next != 4 || !cmp.Equal(changeOffsets(t, part.Changes), []int64{2}) || len(part.Rows) != 0 {
		t.Errorf("tail from 2 = %d rows to %d, %v; want the change at 2", len(part.Rows), part.Next, err)
	}
	c := g.seal(noon)
	if want := (lake.Counters{Stored: 3, Changes: 2, Duplicates: 1}); c.counts != want || c.to.Counters.Sum() != 4 {
		t.Errorf("counts = %+v, want %+v", c.counts, want)
	}
	if got := offsetsOf(t, c); !cmp.Equal(got, []int64{0}) {
		t.Errorf("events at %v, want 0", got)
	}
	if got := changeOffsets(t, c.changes); !cmp.Equal(got, []int64{1, 2}) {
		t.Errorf("changes at %v, want 1 and 2", got)
	}
}

// TestChangesAheadLimitTheCut takes a shard over with client_changes at 2, and
// dead_letters, which is committed first, at 4.
func TestChangesAheadLimitTheCut(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	g.changesNext, g.changesAhead, g.deadLettersNext, g.deadLettersAhead = 2, map[int64]bool{1: true}, 4, map[int64]bool{3: true}
	records := []*kgo.Record{eventRecord(0, "a", noon), changeRecord(1), changeRecord(2), changeRecord(3), changeRecord(4)}
	for _, want := range []struct {
		n       int
		offsets []int64
		counts  lake.Counters
	}{
		{2, []int64{1}, lake.Counters{Stored: 2, Changes: 1}},
		{2, []int64{2}, lake.Counters{Stored: 1, Changes: 1, Dead: 1}},
		{1, []int64{4}, lake.Counters{Stored: 1, Changes: 1}},
	} {
		n, err := g.gather(records, noon)
		if n != want.n || err != nil || g.atCutLimit() != (len(records) > n) {
			t.Fatalf("gather = %d, %v, at limit %v; want %d", n, err, g.atCutLimit(), want.n)
		}
		records = records[n:]
		c := g.seal(noon)
		release(c.rows)
		if got := changeOffsets(t, c.changes); c.counts != want.counts || !cmp.Equal(got, want.offsets) {
			t.Errorf("to %d: %+v, changes at %v; want %+v, %v", c.to.Next, c.counts, got, want.counts, want.offsets)
		}
	}
}

// TestVerdictOnChangesIsGivenOnce checks that a record below the offset of
// client_changes must decode as it did when that table was committed.
func TestVerdictOnChangesIsGivenOnce(t *testing.T) {
	for name, r := range map[string]*kgo.Record{"an event now": eventRecord(0, "a", noon), "a change now": changeRecord(1)} {
		g := newTestGatherer(t)
		g.changesNext, g.changesAhead = 2, map[int64]bool{0: true}
		if r.Offset == 1 {
			g.state.Next, g.state.LogTime = 1, noon.UnixMilli()
		}
		if _, err := g.gather([]*kgo.Record{r}, noon); !errors.Is(err, errVerdict) {
			t.Errorf("%s: gather: %v, want %v", name, err, errVerdict)
		}
		g.buffer.stop()
		g.dedupe.Close()
	}
}

// TestGapAcrossChangesAhead has a log that has lost records which client_changes
// already holds. The rows are in the lake, so they count as stored.
func TestGapAcrossChangesAhead(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	g.changesNext, g.changesAhead, g.deadLettersNext, g.deadLettersAhead, g.lostBelow = 3, map[int64]bool{0: true, 2: true}, 3, map[int64]bool{1: true}, 5
	if n, err := g.gather([]*kgo.Record{eventRecord(6, "a", noon)}, noon); n != 0 || err != nil || !g.atCutLimit() {
		t.Fatalf("gather = %d, %v, at limit %v; want 0 and the cut limit", n, err, g.atCutLimit())
	}
	if c := g.seal(noon); c.counts != (lake.Counters{Stored: 2, Changes: 2, Dead: 1}) || c.to.Next != 3 {
		t.Errorf("to the cut limit: %+v at %d", c.counts, c.to.Next)
	}
}

// TestTablesAtThreeOffsets has two owners that crashed between commits: one after
// dead_letters, the next, whose cut was smaller, after client_changes.
func TestTablesAtThreeOffsets(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.postEveryVerdict("1") // offsets 0 to 6
		w.commit(lake.DeadLetters, 0, 7, func() ([]lake.DataFile, error) {
			return w.reader.WriteDeadLetters(t.Context(), 0, []lake.DeadLetter{{Shard: 0, Offset: 2, Reason: "poison"}})
		})
		g := newTestGatherer(t)
		defer g.dedupe.Close()
		defer g.buffer.stop()
		change := w.sent[logPlace{shard: 0, offset: 3}].change
		if _, err := g.gather([]*kgo.Record{{Offset: 3, Timestamp: time.UnixMilli(5), Value: topic.AppendChange(nil, change)}}, noon); err != nil {
			t.Fatal(err)
		}
		c := g.seal(noon)
		defer release(c.changes)
		w.commit(lake.Changes, 0, 5, func() ([]lake.DataFile, error) { return w.reader.WriteChanges(t.Context(), 0, c.changes) })
		w.check()
		w.start("p", Config{}).stopAfter(func() { time.Sleep(3 * time.Minute) })
		w.wantCounters(0, lake.Counters{Stored: 5, Changes: 2, Duplicates: 1, Dead: 1})
		w.checkDone()
	})
}

// TestUpgradeFromVersionWithoutChanges opens a lake of a version that had no
// client_changes. The offset of the table catches up with events without rows, and
// further changes are stored.
func TestUpgradeFromVersionWithoutChanges(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		for range 3 {
			w.record(0, topic.AppendTick(nil))
		}
		for _, table := range lake.Tables() {
			if table == lake.Changes {
				continue
			}
			to := lake.ShardState{Next: 3, Position: lake.LogPosition{Epoch: -1}}
			if table == lake.Events {
				to.Counters.Control = 3
			}
			_, err := w.reader.Commit(t.Context(), table, []lake.Cut{{ID: "old", To: to, Sealed: time.Now()}})
			w.must(err)
		}
		w.start("p", Config{}).stopAfter(func() {
			w.postChange(0, "pro")
			w.post(0, "a")
		})
		w.wantCounters(0, lake.Counters{Stored: 2, Changes: 1, Control: 3})
		if got := w.shardStates(lake.Changes)[0]; got.First != 0 || got.Next != 5 {
			t.Errorf("client_changes has %+v, want 0 to 5", got)
		}
		if low, err := CommittedOffsets(t.Context(), w.reader); err != nil || low[0] != 5 {
			t.Errorf("committed = %v, %v; want 5", low, err)
		}
	})
}
