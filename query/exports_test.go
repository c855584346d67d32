package query

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/query/export"
	"weir/schemas"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

// exportOwner is an owner of both shards that holds a few events of shard 0 at
// one instant.
type exportOwner struct {
	epochs map[int32]int64
	next   map[int32]int64 // where the lake ends
	at     time.Time
	events []schemas.Event
}

func (h *exportOwner) Tail(shard int32, from int64) (tail.Part, error) {
	p := tail.Part{Epoch: h.epochs[shard], Next: h.next[shard], LogTime: h.at.UnixMilli()}
	if shard == 0 && from <= p.Next {
		p.Rows = []arrow.Record{eventBatch(shard, p.Next, h.at, h.events)}
		p.Next += int64(len(h.events))
	}
	return p, nil
}

// hold gives both shards an owner that holds events.
func (w *exportWorld) hold(at time.Time, events ...schemas.Event) {
	w.t.Helper()
	h := &exportOwner{at: at, events: events, epochs: map[int32]int64{}, next: map[int32]int64{}}
	server := httptest.NewServer(tail.Handler(h, "s"))
	w.t.Cleanup(server.Close)
	for shard := range int32(2) {
		owner := registry.Owner{ID: "owner", Addr: strings.TrimPrefix(server.URL, "http://")}
		epoch, err := w.deps.Registry.Claim(w.t.Context(), shard, owner, time.Hour)
		if err != nil {
			w.t.Fatal(err)
		}
		h.epochs[shard], h.next[shard] = epoch, w.states[shard].Next
	}
	w.owners.Invalidate()
}

// TestExportsIncludeTheTail: what is acknowledged but not committed is in the
// file of today, in its size and in the last lines.
func TestExportsIncludeTheTail(t *testing.T) {
	w := newExportWorld(t, Config{})
	now := time.Now()
	w.arrive(0, now.Add(-2*time.Millisecond), event(1001, "committed"))
	w.arrive(1, now.Add(-2*time.Millisecond), event(1001, "committed too"))
	w.hold(now, event(1001, "acknowledged"), event(2001, "theirs"), event(1001, "newest"))

	name := export.CustomEvents().FileName(1001, export.DayOf(now))
	if got, want := w.names(custom, name), []string{"acknowledged", "committed", "committed too", "newest"}; !slices.Equal(got, want) {
		t.Errorf("file = %q, want %q", got, want)
	}
	out := w.ask(w.userA, http.MethodPost, custom+"getLastLines/1001", `{"lineCount":3}`)
	at := -1
	for _, want := range []string{"newest", "acknowledged", "committed too"} {
		next := strings.Index(out.Body.String(), `"event.name":"`+want+`"`)
		if next <= at {
			t.Errorf("line %q is at %d, the one before at %d:\n%s", want, next, at, out.Body)
		}
		at = next
	}
	if strings.Contains(out.Body.String(), "theirs") || out.Header().Get(headerPartial) != "" {
		t.Errorf("partial %q, lines %s", out.Header().Get(headerPartial), out.Body)
	}
	if got, want := out.Header().Get(headerWatermark), "0=4,1=1"; got != want {
		t.Errorf("watermark = %s, want %s", got, want)
	}
	if out := w.ask(w.userA, http.MethodGet, custom+"listFiles/1001", ""); !strings.Contains(out.Body.String(), `"isAvailable":true`) {
		t.Errorf("files = %s", out.Body)
	}
}

// TestLastLinesFindOldArrivals: lines are found however long ago they arrived, and the
// newest by arrival are given, whatever their event times.
func TestLastLinesFindOldArrivals(t *testing.T) {
	w := newExportWorld(t, Config{})
	now := time.Now()
	for n, back := range []time.Duration{3000 * time.Hour, 300 * time.Hour, 30 * time.Hour, 2 * time.Hour, time.Minute} {
		e := event(1001, []string{"a", "b", "c", "d", "e"}[n])
		e.Time -= int64(n) * 1e9
		w.arrive(int32(n%2), now.Add(-back), e)
	}
	for count, want := range []string{1: "e", 2: "ed", 3: "edc", 4: "edcb", 5: "edcba", 6: "edcba"} {
		if count == 0 {
			continue
		}
		out := w.ask(w.userA, http.MethodPost, custom+"getLastLines/1001", `{"lineCount":`+string(rune('0'+count))+`}`)
		got := ""
		for _, part := range strings.Split(out.Body.String(), `"event.name":"`)[1:] {
			got += part[:1]
		}
		if got = strings.TrimPrefix(got, "E"); got != want {
			t.Errorf("last %d lines = %q, want %q", count, got, want)
		}
	}
}

// TestListHonoursTheWatermark: an answer has the events below the watermark that
// the client sends back, or is marked as partial.
func TestListHonoursTheWatermark(t *testing.T) {
	w := newExportWorld(t, Config{ReachWait: time.Millisecond})
	w.arrive(0, time.Now(), event(1001, "a"))
	get := func(mark string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, custom+"listFiles/1001", nil)
		r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.login(w.userA)})
		r.Header.Set(headerWatermark, mark)
		out := httptest.NewRecorder()
		w.Handler().ServeHTTP(out, r)
		return out
	}
	if out := get("0=1"); out.Code != http.StatusOK || out.Header().Get(headerWatermark) != "0=1,1=0" {
		t.Errorf("reached: %d, %s", out.Code, out.Header().Get(headerWatermark))
	}
	if out := get("0=9"); out.Code != http.StatusOK || !strings.Contains(out.Header().Get(headerPartial), "0") {
		t.Errorf("not reached: %d, partial %q", out.Code, out.Header().Get(headerPartial))
	}
	if out := get("nonsense"); out.Code != http.StatusBadRequest || !strings.Contains(out.Body.String(), headerWatermark) {
		t.Errorf("nonsense: %d %s", out.Code, out.Body)
	}
}

// TestStoreErrors: an error of the store is a 500 of the Reporting API, without
// its text.
func TestStoreErrors(t *testing.T) {
	w := newExportWorld(t, Config{})
	w.bucket.fault = func(int) error { return errors.New("the store's secret") }
	name := export.RawEvents().FileName(1001, export.DayOf(time.Now()))
	out := w.ask(w.userA, http.MethodPost, raw+"getDownloadUrl/1001", `{"fileName":"`+name+`"}`)
	if want := `{"status":"SERVER ERROR","reason":"Internal server error"}`; out.Code != http.StatusInternalServerError || strings.TrimSpace(out.Body.String()) != want {
		t.Errorf("answer = %d %s, want 500 %s", out.Code, out.Body, want)
	}
	w = newExportWorldIn(t, Config{}, nil)
	out = w.ask(w.userA, http.MethodPost, raw+"getDownloadUrl/1001", `{"fileName":"`+name+`"}`)
	if out.Code != http.StatusServiceUnavailable {
		t.Errorf("without a bucket: %d %s", out.Code, out.Body)
	}
}

// TestBodiesAreBounded: a body that is too long is answered 413.
func TestBodiesAreBounded(t *testing.T) {
	w := newExportWorld(t, Config{MaxBody: 100})
	out := w.ask(w.userA, http.MethodPost, custom+"getDownloadUrl/1001", `{"fileName":"`+strings.Repeat("x", 200)+`"}`)
	if out.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("answer = %d %s, want 413", out.Code, out.Body)
	}
}
