package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"weir/schemas"
)

// TestUsesOnlyGrow: what arrives later, late events of old sessions too, never
// takes a row away, nor does a commit or a compaction.
func TestUsesOnlyGrow(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	w := newListWorld(t, Config{})
	listed := map[any]any{}
	for round := range 12 {
		for range 12 {
			e := randomEvent(r)
			e.Product, e.Client, e.Time, e.SessionID = 1, 101, listNow-r.Int64N(60*dayMS), fmt.Sprint("s", r.IntN(4))
			w.append(1, e)
		}
		if round%2 == 1 {
			w.commit(1, w.shards[1].next)
			w.compact()
		}
		rec := w.post(userEventsPath, "Bearer "+w.tokens["A"], `{"refId":"101","from":"2020-01-01","until":"2030-01-01"}`)
		if rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		now := map[any]any{}
		for _, row := range generic(rec.Body.Bytes()).([]any) {
			now[row.(map[string]any)["id"]] = row.(map[string]any)["dateEvent"]
		}
		for id, at := range listed {
			if now[id] != at {
				t.Errorf("round %d: use %v at %v is now at %v", round, id, at, now[id])
			}
		}
		listed = now
	}
}

// TestTooManySessions: the memory for sessions is bounded, and an answer that needs
// more says for what.
func TestTooManySessions(t *testing.T) {
	w := newListWorld(t, Config{})
	w.userEvents.maxSessionDays = 3
	for i := range int64(3) {
		w.append(0, schemas.Event{Product: 1, Client: 100, Time: listNow + i, Name: "n", RandomID: fmt.Sprint(i), SessionID: fmt.Sprint("s", i)})
	}
	const body = `{"refId":"100","from":"2020-01-01","until":"2030-01-01"}`
	if rec := w.post(userEventsPath, "Bearer "+w.tokens["A"], body); rec.Code != http.StatusOK || strings.Count(rec.Body.String(), "dateEvent") != 3 {
		t.Errorf("three sessions: %d %s", rec.Code, rec.Body)
	}
	w.append(0, schemas.Event{Product: 1, Client: 100, Time: listNow, Name: "n", RandomID: "x", SessionID: "one more"})
	rec := w.post(userEventsPath, "Bearer "+w.tokens["A"], body)
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Header().Get(headerError), "over 3 sessions") {
		t.Errorf("four sessions: %d %q %s", rec.Code, rec.Header().Get(headerError), rec.Body)
	}
}

func TestDayOf(t *testing.T) {
	for ms, day := range map[int64]int64{0: 0, dayMS - 1: 0, dayMS: 1, -1: -1, -dayMS: -1, -dayMS - 1: -2} {
		if got := dayOf(ms); got != day {
			t.Errorf("day of %d is %d, want %d", ms, got, day)
		}
	}
	for _, c := range []struct{ from, to int64 }{{0, 1}, {math.MinInt64, math.MaxInt64}, {-62_135_596_800_000, 253_402_300_800_000}, {5 * dayMS, 6 * dayMS}} {
		if from, to := usesPeriod(c.from, c.to); from > c.from || to < c.to {
			t.Errorf("from %d to %d: %d to %d", c.from, c.to, from, to)
		}
	}
}
