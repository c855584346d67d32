package query

import (
	"net/http/httptest"
	"strings"
	"testing"

	"weir/schemas/tail"
)

// lagging is what an owner says of its shard when its log is `more` longer
// than what it has gathered, and it has read what was there at readAt.
type lagging struct {
	*holder
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

// lag gives shard an owner that says so.
func (w *listWorld) lag(shard int32, more, readAt int64) {
	w.t.Helper()
	s := httptest.NewServer(tail.Handler(&lagging{w.shards[shard], more, readAt}, listSecret))
	w.t.Cleanup(s.Close)
	w.shards[shard].addr = strings.TrimPrefix(s.URL, "http://")
	w.claimAs(w.shards[shard])
}

// TestOwnerWithABacklogIsMarked: what it has is in the answer, and what it has
// not may be missing. Who wants exactly what was there before misses nothing.
func TestOwnerWithABacklogIsMarked(t *testing.T) {
	w := halved(t, Config{})
	w.lag(1, 5, 0)
	newest := w.newest()
	w.checkAnswer(newest, "1")
	w.checkAnswer(newest, "", headerWatermark, newest.String())
	older := w.lakeMark(0, 1, 2, 3)
	w.checkAnswer(older, "", headerWatermark, older.String())
}

// TestAsOfIsWhenOwnersHadReadAll: quiet shards do not hold it back.
func TestAsOfIsWhenOwnersHadReadAll(t *testing.T) {
	w := halved(t, Config{})
	for shard := range int32(listShards) {
		w.lag(shard, 0, listNow+int64(shard)*1000)
	}
	rec := w.checkAnswer(w.newest(), "")
	if got, want := rec.Header().Get(headerAsOf), iso(listNow); got != want {
		t.Errorf("as of %s, want %s, which is the oldest", got, want)
	}
}
