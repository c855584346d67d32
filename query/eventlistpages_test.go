package query

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/lake"
)

// compact merges the data files of each shard and month into one.
func (w *listWorld) compact() {
	w.t.Helper()
	ctx, l := w.t.Context(), w.deps.Lake
	snap, err := l.Load(ctx, lake.Events)
	if err != nil {
		w.t.Fatal(err)
	}
	files, err := snap.Files(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	groups := map[string][]lake.DataFile{}
	for _, f := range files {
		key := fmt.Sprint(f.Shard, " ", f.Partition)
		groups[key] = append(groups[key], f)
	}
	for _, old := range groups {
		if len(old) < 2 {
			continue
		}
		merged, err := l.Merge(ctx, lake.Events, old)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := l.Replace(ctx, lake.Events, old, merged); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestPagesDoNotChangeUnderOneWatermark sends the watermark of the first page back, while
// events come in, are committed and compacted: all answers stay the same bytes,
// and the pages together are every event once.
func TestPagesDoNotChangeUnderOneWatermark(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	w := newListWorld(t, Config{})
	w.fill(r, 400)
	q := everything()
	q.perPage = 37
	first := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body())
	mark := first.Header().Get(headerWatermark)
	user := fmt.Sprintf(`{"refId":"101","from":%q,"until":%q}`, iso(q.start*1000), iso(q.end*1000))
	listed := w.post(userEventsPath, "Bearer "+w.tokens["A"], user, headerWatermark, mark).Body.String()

	marks, _ := view.ParseWatermark(mark)
	want := len(q.answer(w.all(marks), []int64{1, 2, 3})["results"].([]any))
	if want != q.perPage {
		t.Fatalf("the first page has %d events", want)
	}
	seen := map[any]bool{}
	for page := 1; ; page++ {
		switch page % 3 {
		case 0:
			w.fill(r, 40)
		case 1:
			for shard := range int32(listShards) {
				w.commit(shard, w.shards[shard].next)
				w.drop(shard, w.shards[shard].next)
			}
		case 2:
			w.compact()
		}
		q.page = page
		rec := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body(), headerWatermark, mark)
		if rec.Code != http.StatusOK || rec.Header().Get(headerWatermark) != mark || rec.Header().Get(headerPartial) != "" {
			t.Fatalf("page %d: %d %v %s", page, rec.Code, rec.Header(), rec.Body)
		}
		if page == 1 && rec.Body.String() != first.Body.String() {
			t.Error("the first page has changed")
		}
		answer := generic(rec.Body.Bytes()).(map[string]any)
		for _, result := range answer["results"].([]any) {
			id := result.(map[string]any)["id"]
			if seen[id] {
				t.Errorf("event %v is on two pages", id)
			}
			seen[id] = true
		}
		if answer["paging"].(map[string]any)["lastPage"] == true {
			break
		}
	}
	total := 0
	for _, s := range w.all(marks) {
		if s.Product != 9 {
			total++
		}
	}
	if len(seen) != total {
		t.Errorf("all pages together have %d events, want %d", len(seen), total)
	}
	if got := w.post(userEventsPath, "Bearer "+w.tokens["A"], user, headerWatermark, mark).Body.String(); got != listed {
		t.Error("the user's list has changed")
	}
}

// TestAccountsAreIsolated: a token answers for its products, whatever
// is asked.
func TestAccountsAreIsolated(t *testing.T) {
	w := newListWorld(t, Config{})
	w.fill(rand.New(rand.NewPCG(2, 2)), 400)
	for token, products := range map[string][]int64{"A": {1, 2, 3}, "A2": {2}, "B": {9}} {
		q := everything()
		rec := w.post(eventsPath, "Bearer "+w.tokens[token], q.body())
		seen := map[string]bool{}
		for _, result := range generic(rec.Body.Bytes()).(map[string]any)["results"].([]any) {
			seen[result.(map[string]any)["tenantId"].(string)] = true
		}
		for _, id := range []int64{1, 2, 3, 9} {
			if seen[fmt.Sprint(id)] != slices.Contains(products, id) {
				t.Errorf("token %s sees product %d: %v", token, id, seen[fmt.Sprint(id)])
			}
		}
		var ids []any
		for _, s := range w.all(nil) {
			if s.Client == 100 && slices.Contains(products, s.Product) && naiveUse(s, w.all(nil)) {
				ids = append(ids, float64(s.offset*1024+int64(s.shard)))
			}
		}
		rec = w.post(userEventsPath, "Bearer "+w.tokens[token], `{"refId":"100","from":"2020-01-01","until":"2030-01-01"}`)
		if got := generic(rec.Body.Bytes()).([]any); len(got) != len(ids) {
			t.Errorf("token %s sees %d events of the client, want %d", token, len(got), len(ids))
		}
	}
	// What an account B calls 100 is nobody to A, and the other way round.
	link := schemas.Event{Product: 9, Client: 555, Time: listNow, Name: "x", RandomID: "only B"}
	w.append(0, link)
	if rec := w.post(userEventsPath, "Bearer "+w.tokens["A"], `{"refId":"555","from":"2020-01-01","until":"2030-01-01"}`); rec.Code != http.StatusNotFound {
		t.Errorf("A asks for a client of B: %d %s", rec.Code, rec.Body)
	}
	if rec := w.post(eventsPath, "Bearer "+w.tokens["none"], everything().body()); rec.Code != http.StatusForbidden {
		t.Errorf("an account without products: %d %s", rec.Code, rec.Body)
	}
}

// disconnectingClient is a client that goes away after the first bytes of its answer.
type disconnectingClient struct {
	httptest.ResponseRecorder
	disconnect context.CancelFunc
}

func (l *disconnectingClient) Write(b []byte) (int, error) {
	l.disconnect()
	return l.ResponseRecorder.Write(b)
}

// TestDisconnectEndsTheScan answers with many small scans, and counts
// the rows that are still scanned once nobody listens.
func TestDisconnectEndsTheScan(t *testing.T) {
	w := newListWorld(t, Config{})
	for i := range int64(6000) {
		w.append(1, schemas.Event{Product: 1, Client: 100, Time: listNow + i*1000, Name: "n", RandomID: "r"})
	}
	w.commit(1, listFirst+3000)
	w.userEvents.maxKeys = 500
	ctx, disconnect := context.WithCancel(t.Context())
	defer disconnect()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, userEventsPath, strings.NewReader(
		`{"refId":"100","from":"2020-01-01","until":"2030-01-01"}`))
	r.Header.Set("Authorization", "Bearer "+w.tokens["A"])
	l := &disconnectingClient{ResponseRecorder: *httptest.NewRecorder(), disconnect: disconnect}
	l.Body.Reset()
	w.Handler().ServeHTTP(l, r)
	if rows := strings.Count(l.Body.String(), "dateEvent"); rows == 0 || rows >= 6000 {
		t.Errorf("%d rows were written, want some and not all", rows)
	}
	if strings.HasSuffix(l.Body.String(), "]\n") {
		t.Error("an answer that was cut off looks whole")
	}
	if got := counted(t, w.router.metrics.requests.WithLabelValues("user_events", "499")); got != 1 {
		t.Errorf("%v requests count as gone, want 1", got)
	}
}

func counted(t *testing.T, c prometheus.Metric) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// peak remembers the most that was allocated at once.
type peak struct {
	memory.Allocator
	now, most atomic.Int64
}

func (p *peak) Allocate(size int) []byte {
	p.add(int64(size))
	return p.Allocator.Allocate(size)
}

func (p *peak) Reallocate(size int, b []byte) []byte {
	p.add(int64(size) - int64(len(b)))
	return p.Allocator.Reallocate(size, b)
}

func (p *peak) Free(b []byte) {
	p.add(-int64(len(b)))
	p.Allocator.Free(b)
}

func (p *peak) add(n int64) {
	now := p.now.Add(n)
	for most := p.most.Load(); now > most && !p.most.CompareAndSwap(most, now); most = p.most.Load() {
	}
}

// TestMemoryIsBounded asks for a page, and for all events of a client, over ten
// times as many events: batches take no more memory for it.
func TestMemoryIsBounded(t *testing.T) {
	w := newListWorld(t, Config{})
	text := []byte(`{"text":"` + strings.Repeat("lorem ipsum ", 40) + `"}`)
	grow := func(n int64) {
		for i := range n {
			w.append(0, schemas.Event{Product: 1, Client: 100 + i%7, Time: listNow + i, Name: "n", RandomID: fmt.Sprint(i), Properties: text})
		}
		w.commit(0, w.shards[0].next)
	}
	q := everything()
	q.end += 1e6
	ask := func() int64 {
		base := w.mem.now.Load()
		w.mem.most.Store(base)
		if rec := w.post(eventsPath, "Bearer "+w.tokens["A"], q.body()); rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		rec := w.post(userEventsPath, "Bearer "+w.tokens["A"], `{"refId":"103","from":"2020-01-01","until":"2030-01-01"}`)
		if rec.Code != http.StatusOK {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		return w.mem.most.Load() - base
	}
	grow(10_000)
	few := ask()
	grow(90_000)
	many := ask()
	if many > 2*few+8<<20 {
		t.Errorf("10,000 events took %d bytes of batches, 100,000 took %d", few, many)
	}
	t.Logf("10,000 events: %d bytes of batches at most; 100,000: %d", few, many)
}
