package query

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/query/view"
)

// TestReportsAreAsOfTheirWatermark: events arrive between the load of the lake
// and the answers of the owners, and some shards lose their owner. Each answer
// has the events below its watermark and no others.
func TestReportsAreAsOfTheirWatermark(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	w := newReportWorld(t)
	w.fill(r, 300)
	g := newQuestionGenerator(t, r, w)
	var mu sync.Mutex // guards arrivals: owners are asked concurrently
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
	for n := range 4 * len(randomQuestions) {
		if n == 3*len(randomQuestions) {
			w.releaseShard(w.shards[2])
		}
		for _, h := range w.shards {
			h.mu.Lock()
			h.first = func() { arrive(h.shard) }
			h.mu.Unlock()
		}
		path := naiveSorted(randomQuestions)[n%len(randomQuestions)]
		body := randomQuestions[path](g)
		text, _ := json.Marshal(body)
		rec := w.ask(path+"/1", string(text))
		mark, ok := view.ParseWatermark(rec.Header().Get(headerWatermark))
		if rec.Code != http.StatusOK || !ok || (n >= 3*len(randomQuestions)) != (rec.Header().Get(headerPartial) == "2") {
			t.Fatalf("%s %s\n%d %v %s", path, text, rec.Code, rec.Header(), rec.Body)
		}
		naive := newNaiveReport(1, w.all(mark))
		want := encodedAnswer(t, naive.answer(path, decoded(t, body), time.Now()))
		if diff := cmp.Diff(want, naiveObject(rec.Body.Bytes())); diff != "" {
			t.Fatalf("question %d, %s %s (-want +got):\n%s", n, path, text, diff)
		}
	}
}

// TestReportEndsWhenTheClientDisconnects: the scan ends without an answer, and
// its slot is free for others.
func TestReportEndsWhenTheClientDisconnects(t *testing.T) {
	w := newReportWorld(t)
	w.fill(rand.New(rand.NewPCG(6, 6)), 200)
	ctx, cancel := context.WithCancel(t.Context())
	w.shards[1].first = cancel
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v3/reporting/generic/dateRange/1",
		strings.NewReader(`{"startDate":"NOW-60","stopDate":"NOW","clientStatus":["new","active"]}`))
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	if rec.Body.Len() > 0 {
		t.Errorf("answer %s, want none", rec.Body)
	}
	for n := range w.cfg.MaxScans { // all slots are free: none is waited for
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := w.views.AcquireScan(ctx, strconv.Itoa(n)); err != nil {
			t.Errorf("a scan still runs: %v", err)
		}
	}
}
