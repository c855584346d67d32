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
	g := &asker{Rand: r, w: w}
	var mu sync.Mutex // guards arrivals: owners are asked side by side
	arrivals := rand.New(rand.NewPCG(6, 6))
	for n := range 60 {
		if n == 40 {
			w.disown(w.shards[2])
		}
		for _, h := range w.shards {
			h.mu.Lock()
			h.first = func() {
				mu.Lock()
				defer mu.Unlock()
				for range arrivals.IntN(4) {
					e := w.random(arrivals)
					if int32(e.Client%listShards) == h.shard {
						w.append(h.shard, e)
					}
				}
			}
			h.mu.Unlock()
		}
		body := g.count(1)
		body["startDate"], body["stopDate"], body["dateSplit"] = w.date(45), w.date(0), "week"
		text, _ := json.Marshal(body)
		rec := w.ask("generic/dateRange/1", string(text))
		mark, ok := parseWatermark(rec.Header().Get(headerWatermark))
		if rec.Code != http.StatusOK || !ok || (n >= 40) != (rec.Header().Get(headerPartial) == "2") {
			t.Fatalf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
		today := time.Now().UTC().Truncate(24 * time.Hour)
		naive := newNaiveReport(1, w.all(mark), today)
		want, _ := json.Marshal(map[string]any{
			"status": "OK", "result": naive.count(sent(t, body), naiveBuckets(today.AddDate(0, 0, -45), today, "week")),
		})
		var wanted, got any
		json.Unmarshal(want, &wanted)
		json.Unmarshal(rec.Body.Bytes(), &got)
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Fatalf("question %d, %s (-want +got):\n%s", n, text, diff)
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
