package processor

import (
	"errors"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/lake"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

// TestReadAtAdvancesOnQuietShard checks that ReadAt of the tail moves on although no
// record comes.
func TestReadAtAdvancesOnQuietShard(t *testing.T) {
	withHarness(t, 2, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		defer p.stopAndWait()
		w.post(0, "a")
		for range 3 {
			time.Sleep(10 * time.Minute)
			for shard, next := range []int64{1, 1} { // an event, and the tick of a shard that never had any
				part, err := p.service.Tail(int32(shard), next)
				if err != nil {
					t.Fatal(err)
				}
				if age := time.Since(time.UnixMilli(part.ReadAt)); age > logEndEvery+100*time.Millisecond || part.Next != next || part.End != next {
					t.Errorf("shard %d: read to the end %s ago, next %d, end %d; want within a second, both %d", shard, age, part.Next, part.End, next)
				}
				part.Release()
			}
		}
	})
}

// TestTailReportsBacklog follows End and ReadAt of a log that is longer than what is
// gathered.
func TestTailReportsBacklog(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	check := func(next, end int64, readAt time.Time) {
		t.Helper()
		g.buffer.publishedAt = time.Time{}
		part, err := g.buffer.tail(0)
		if err != nil {
			t.Fatal(err)
		}
		part.Release()
		var want int64
		if !readAt.IsZero() {
			want = readAt.UnixMilli()
		}
		if part.Next != next || part.End != end || part.ReadAt != want {
			t.Errorf("next %d, end %d, read at %d; want %d, %d, %d", part.Next, part.End, part.ReadAt, next, end, want)
		}
	}
	take := func(offset int64) {
		t.Helper()
		if _, err := g.gather([]*kgo.Record{eventRecord(offset, string(rune('a'+offset)), noon)}, noon); err != nil {
			t.Fatal(err)
		}
	}
	check(0, 0, time.Time{})
	g.buffer.setLogEnd(2, noon)
	check(0, 2, time.Time{})
	take(0)
	check(1, 2, time.Time{})
	g.buffer.setLogEnd(4, time.Time{}) // a fetch, of whatever age
	check(1, 4, time.Time{})
	take(1)
	check(2, 4, noon) // all that was in the log at noon
	take(2)
	take(3)
	check(4, 4, noon)
	take(4)
	check(5, 5, noon) // further than the end that Kafka last reported
	g.buffer.setLogEnd(5, noon.Add(time.Second))
	check(5, 5, noon.Add(time.Second))
	g.buffer.setLogEnd(6, noon.Add(2*time.Second))
	check(5, 6, noon.Add(time.Second))
}

// TestPositionIsConsistent checks that while rows wait to become a batch, all parts
// of the position stay as they were before these rows.
func TestPositionIsConsistent(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	for offset := range int64(2) {
		if _, err := g.gather([]*kgo.Record{eventRecord(offset, string(rune('a'+offset)), noon)}, noon); err != nil {
			t.Fatal(err)
		}
		g.buffer.setLogEnd(offset+1, noon.Add(time.Duration(offset)*time.Second))
		part, err := g.buffer.tail(0)
		if err != nil || part.Next != 1 || part.End != 1 || part.ReadAt != noon.UnixMilli() {
			t.Errorf("part = %+v, %v; want the position after the first record", part, err)
		}
		part.Release()
	}
}

// TestTailReportsBacklogAfterTakeOver checks that a new owner reports the end of the
// log from its first answer on, and ReadAt once it has gathered everything.
func TestTailReportsBacklogAfterTakeOver(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	g.buffer.stop()
	g.buffer.start(memory.DefaultAllocator, lake.ShardState{First: 90, Next: 100, Position: lake.LogPosition{Base: 90}})
	g.buffer.setLogEnd(25, noon)
	defer g.buffer.stop()
	part, err := g.buffer.tail(100)
	if err != nil || part.Next != 100 || part.End != 115 || part.ReadAt != 0 {
		t.Errorf("part = %+v, %v; want from 100 to 115, ReadAt 0", part, err)
	}
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.post(0, numbered(1000)...)
		p := w.start("p", Config{})
		defer p.stopAndWait()
		time.Sleep(500 * time.Millisecond)
		part, err := p.service.Tail(0, 0)
		if err != nil || part.Next != 1000 || part.End != 1000 || part.ReadAt == 0 {
			t.Errorf("next %d, end %d, read at %d, %v; want 1000 and a time", part.Next, part.End, part.ReadAt, err)
		}
		part.Release()
	})
}

// TestTailOfAdoptedLogFromZero asks from offset 0, as a planner does while the lake
// does not have the shard, although the log starts later. It gets all rows until
// the first of them are dropped.
func TestTailOfAdoptedLogFromZero(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.post(0, "deleted 1", "deleted 2")
		_, err := kadm.NewClient(w.producer).DeleteRecords(t.Context(), kadm.Offsets{topic.Name: {0: {Topic: topic.Name, At: 2}}})
		w.must(err)
		p := w.start("p", Config{Adopt: true})
		defer p.stopAndWait()
		time.Sleep(time.Second)
		w.post(0, "a")
		for _, from := range []int64{0, 1, 2} {
			if next, offsets, err := p.tailOf(0, from); err != nil || next != 3 || len(offsets) != 1 || offsets[0] != 2 {
				t.Errorf("tail from %d = %v to %d, %v; want offset 2", from, offsets, next, err)
			}
		}
		for _, id := range []string{"b", "c"} {
			time.Sleep(2 * time.Minute)
			w.post(0, id)
		}
		time.Sleep(2 * time.Minute)
		if _, _, err := p.tailOf(0, 0); !errors.Is(err, tail.ErrGone) {
			t.Errorf("tail from 0 after commits: %v, want %v", err, tail.ErrGone)
		}
	})
}

// TestPositionWithoutRowsIsPublishedAtOnce checks that records without rows move the
// position of answers without waiting for a batch.
func TestPositionWithoutRowsIsPublishedAtOnce(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	for offset, r := range []*kgo.Record{eventRecord(0, "a", noon), tickRecord(1, noon), poison(2)} {
		if _, err := g.gather([]*kgo.Record{r}, noon); err != nil {
			t.Fatal(err)
		}
		part, err := g.buffer.tail(0)
		if err != nil || part.Next != int64(offset)+1 {
			t.Errorf("next %d, %v; want %d", part.Next, err, offset+1)
		}
		part.Release()
	}
}

// TestTailWhileCutting follows what the buffer holds over two cuts.
func TestTailWhileCutting(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	check := func(from, next int64, want []int64, wantErr error) {
		t.Helper()
		part, err := g.buffer.tail(from)
		if !errors.Is(err, wantErr) {
			t.Errorf("tail from %d: %v, want %v", from, err, wantErr)
		}
		if wantErr != nil {
			return
		}
		got := offsetsOf(t, &sealedCut{rows: part.Rows})
		if part.Next != next || !cmp.Equal(got, want) {
			t.Errorf("tail from %d: %v to %d, want %v to %d", from, got, part.Next, want, next)
		}
	}
	take := func(offset int64) {
		t.Helper()
		if _, err := g.gather([]*kgo.Record{eventRecord(offset, string(rune('a'+offset)), noon)}, noon); err != nil {
			t.Fatal(err)
		}
		g.buffer.publishedAt = time.Time{}
	}
	take(0)
	take(1)
	check(0, 2, []int64{0, 1}, nil)
	check(1, 2, []int64{1}, nil)
	check(2, 2, nil, nil)
	check(3, 0, nil, tail.ErrBehind)
	release(g.seal(noon).rows)
	take(2)
	check(1, 3, []int64{1, 2}, nil) // while the cut is being committed
	g.buffer.dropCommitted()
	check(0, 3, []int64{0, 1, 2}, nil) // the committed cut stays for one cut more
	release(g.seal(noon).rows)
	take(3)
	g.buffer.dropCommitted()
	check(1, 0, nil, tail.ErrGone)
	check(2, 4, []int64{2, 3}, nil)
	g.buffer.stop()
	check(2, 0, nil, tail.ErrNotOwner)
}

func TestTailBatchesAreNotTiny(t *testing.T) {
	g := newTestGatherer(t)
	defer g.dedupe.Close()
	defer g.buffer.stop()
	for offset := range int64(50) {
		if _, err := g.gather([]*kgo.Record{eventRecord(offset, string(rune('a'+offset)), noon)}, noon); err != nil {
			t.Fatal(err)
		}
		part, err := g.buffer.tail(0)
		if err != nil {
			t.Fatal(err)
		}
		part.Release()
	}
	if n := len(g.buffer.cuts[0].batches); n > 5 {
		t.Errorf("%d batches for 50 requests within a moment, want at most 5", n)
	}
}

func TestTailIsFresh(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		defer p.stopAndWait()
		time.Sleep(time.Second)
		w.post(0, "a")
		time.Sleep(300 * time.Millisecond)
		part, err := p.service.Tail(0, 0)
		if err != nil || part.Next != 1 {
			t.Errorf("tail 300 ms after the event: next %d, %v; want 1", part.Next, err)
		}
		part.Release()
	})
}
