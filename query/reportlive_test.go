package query

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestReportsAreAsOfTheirWatermark: events come in between the plan's look at
// the lake and the owners' answers, and some shards lose their owner.
func TestReportsAreAsOfTheirWatermark(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	w := newReportWorld(t)
	w.fill(r, 300)
	g := newAsker(t, r, w)
	var mu sync.Mutex // guards arrivals: owners are asked side by side
	arrivals := rand.New(rand.NewPCG(6, 6))
	arrive := func(of int32) {
		mu.Lock()
		defer mu.Unlock()
		for range arrivals.IntN(4) {
			if shard, e := w.next(arrivals); shard == of {
				w.add(shard, e)
			}
		}
	}
	for n := range 4 * len(anyReport) {
		if n == 3*len(anyReport) {
			w.disown(w.shards[2])
		}
		for _, h := range w.shards {
			h.mu.Lock()
			h.first = func() { arrive(h.shard) }
			h.mu.Unlock()
		}
		path := naiveSorted(anyReport)[n%len(anyReport)]
		body := anyReport[path](g)
		text, _ := json.Marshal(body)
		rec := w.ask(path+"/1", string(text))
		mark, ok := parseWatermark(rec.Header().Get(headerWatermark))
		if rec.Code != http.StatusOK || !ok || (n >= 3*len(anyReport)) != (rec.Header().Get(headerPartial) == "2") {
			t.Fatalf("%s %s\n%d %v %s", path, text, rec.Code, rec.Header(), rec.Body)
		}
		naive := newNaiveReport(1, w.all(mark))
		want := plain(t, naive.answer(path, sent(t, body), time.Now()))
		if diff := cmp.Diff(want, naiveObject(rec.Body.Bytes())); diff != "" {
			t.Fatalf("question %d, %s %s (-want +got):\n%s", n, path, text, diff)
		}
	}
}

// TestReportOfAClientThatGoesAway is given up, and makes room for others.
func TestReportOfAClientThatGoesAway(t *testing.T) {
	w := newReportWorld(t)
	w.fill(rand.New(rand.NewPCG(6, 6)), 200)
	ctx, cancel := context.WithCancel(t.Context())
	w.shards[1].first = cancel
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v3/reporting/generic/dateRange/1",
		strings.NewReader(`{"startDate":"NOW-60","stopDate":"NOW","clientStatus":["new","active"]}`))
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	if rec.Body.Len() > 0 || len(w.turns) > 0 {
		t.Errorf("answered %s, %d scans still run", rec.Body, len(w.turns))
	}
}
