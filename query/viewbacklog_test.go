package query

import (
	"net/http/httptest"
	"strings"
	"testing"

	"weir/schemas/tail"
)

// lagging is an owner that has gathered all but the last more records of its log,
// and that had read the log to its end at readAt.
type lagging struct {
	*fakeOwner
	more   int64
	readAt int64
}

func (l *lagging) Tail(shard int32, from int64) (tail.Part, error) {
	if shard != l.shard {
		return tail.Part{}, tail.ErrNotOwner
	}
	p, err := l.tail(from)
	p.ReadAt, p.End = l.readAt, p.Next+l.more
	return p, err
}

// lag makes a lagging owner that of shard.
func (w *listWorld) lag(shard int32, more, readAt int64) {
	w.t.Helper()
	s := httptest.NewServer(tail.Handler(&lagging{w.shards[shard], more, readAt}, listSecret))
	w.t.Cleanup(s.Close)
	w.shards[shard].addr = strings.TrimPrefix(s.URL, "http://")
	w.reclaim(w.shards[shard])
}

// TestOwnerWithBacklogIsPartial: what the owner has is in the answer, and
// what it has not may be missing, so the shard is partial. It is not partial at an
// exact watermark that the owner has reached.
func TestOwnerWithBacklogIsPartial(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	w.lag(1, 5, 0)
	newest := w.newest()
	w.checkAnswer(newest, "1")
	w.checkAnswer(newest, "", headerWatermark, newest.String())
	older := w.lakeWatermark(0, 1, 2, 3)
	w.checkAnswer(older, "", headerWatermark, older.String())
}

// TestAsOfIsWhenOwnersHadReadAll: a quiet shard does not make it older.
func TestAsOfIsWhenOwnersHadReadAll(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	for shard := range int32(listShards) {
		w.lag(shard, 0, listNow+int64(shard)*1000)
	}
	rec := w.checkAnswer(w.newest(), "")
	if got, want := rec.Header().Get(headerAsOf), iso(listNow); got != want {
		t.Errorf("as of %s, want %s, which is the oldest", got, want)
	}
}
