package query

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

// everything asks for all events that a listWorld ever has.
func everything() naiveQuestion {
	now := int64(listNow / 1000)
	return naiveQuestion{start: now - 300*24*3600, end: now + 10, page: 1, perPage: 1000}
}

// checkAnswer requests everything and compares the answer with the events below
// the watermark want, and its partial shards with partial.
func (w *listWorld) checkAnswer(want view.Watermark, partial string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	rec := w.post(eventsPath, "Bearer "+w.tokens["A"], everything().body(), headers...)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("status %d: %s", rec.Code, rec.Body)
	}
	if got := rec.Header().Get(headerWatermark); got != want.String() {
		w.t.Errorf("watermark %s, want %s", got, want)
	}
	if got := rec.Header().Get(headerPartial); got != partial {
		w.t.Errorf("partial %q, want %q", got, partial)
	}
	if diff := cmp.Diff(any(everything().answer(w.all(want), []int64{1, 2, 3})), generic(rec.Body.Bytes())); diff != "" {
		w.t.Errorf("(-want +got):\n%s", diff)
	}
	return rec
}

// newHalfCommittedWorld is a world in which each shard has events in the lake and others with
// its owner.
func newHalfCommittedWorld(t *testing.T, cfg Config) *listWorld {
	t.Helper()
	w := newListWorld(t, cfg)
	r := rand.New(rand.NewPCG(1, 5))
	for shard := range int32(listShards) {
		for range 40 {
			w.append(shard, randomEvent(r))
		}
		w.commit(shard, listFirst+20)
	}
	return w
}

// lakeWatermark is the watermark of what newHalfCommittedWorld commits.
func (w *listWorld) lakeWatermark(shards ...int32) view.Watermark {
	marks := w.newest()
	for _, shard := range shards {
		marks[shard] = w.shards[shard].state.Next
	}
	return marks
}

func TestEachOwnerIsAskedOnceFromEachShardsOffset(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	w.commit(3, listFirst+33)
	w.checkAnswer(w.newest(), "")
	for _, h := range w.shards {
		if want := 2; h.asked != want { // once to count, once for the rows of the page
			t.Errorf("shard %d was asked %d times, want %d", h.shard, h.asked, want)
		}
	}
}

func TestShardWithoutOwnerIsAnsweredFromTheLake(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	w.releaseShard(w.shards[1])
	w.releaseShard(w.shards[3])
	rec := w.checkAnswer(w.lakeWatermark(1, 3), "1,3")
	if got, want := rec.Header().Get(headerAsOf), iso(arrivalAt(listFirst+19)); got != want {
		t.Errorf("as of %s, want %s", got, want)
	}
}

func TestShardThatNeverCommittedIsAnsweredByItsOwner(t *testing.T) {
	w := newListWorld(t, Config{})
	w.append(2, randomEvent(rand.New(rand.NewPCG(1, 1))))
	w.checkAnswer(w.newest(), "")
	w.releaseShard(w.shards[2])
	marks := w.newest()
	marks[2] = 0
	w.checkAnswer(marks, "2")
}

func TestUnreachableOwnerIsPartial(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	closed := httptest.NewServer(nil)
	closed.Close()
	w.shards[2].addr = strings.TrimPrefix(closed.URL, "http://")
	w.reclaim(w.shards[2])
	w.checkAnswer(w.lakeWatermark(2), "2")
}

// reclaim gives h's shard to h.addr, whichever owner has it.
func (w *listWorld) reclaim(h *fakeOwner) {
	w.t.Helper()
	w.releaseShard(h)
	w.claim(h)
}

// TestOwnerBehindTheLakeDoesNotCount : an owner that has not come as
// far as the lake must not lower the watermark.
func TestOwnerBehindTheLakeDoesNotCount(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	w.commit(0, listFirst+40)
	w.shards[0].next = listFirst + 10
	marks := w.newest()
	marks[0] = listFirst + 40
	w.checkAnswer(marks, "0")
}

// TestFencedOwnerDoesNotCount has an owner of an epoch that the registry knows to
// be over.
func TestFencedOwnerDoesNotCount(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	h := w.shards[1]
	epoch := h.epoch
	w.reclaim(h)
	h.epoch = epoch
	w.checkAnswer(w.lakeWatermark(1), "1")
}

// TestDroppedTailIsPlannedAgain has a commit between the load of the lake and
// the question to the owner, and an owner that keeps nothing of it.
func TestDroppedTailIsPlannedAgain(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	h := w.shards[0]
	h.first = func() {
		w.commit(0, listFirst+35)
		w.drop(0, listFirst+35)
	}
	w.checkAnswer(w.newest(), "")
	if h.asked != 3 {
		t.Errorf("the owner was asked %d times, want 3: in vain, for the tail, for rows", h.asked)
	}
}

// TestPlanAttemptsAreBounded bounds the attempts.
func TestPlanAttemptsAreBounded(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	w.shards[3].fail = tail.ErrGone
	w.checkAnswer(w.lakeWatermark(3), "3")
	const planAttempts = 4 // of package view
	if got := w.shards[3].asked; got != planAttempts {
		t.Errorf("asked %d times, want %d", got, planAttempts)
	}
}

// TestOwnerChangesDuringThePlan has the owner give its shard up while the
// question is on its way.
func TestOwnerChangesDuringThePlan(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	h := w.shards[0]
	h.fail = tail.ErrNotOwner
	successor := &fakeOwner{shard: 0, mem: w.mem, log: h.log, next: h.next, base: h.base, state: h.state}
	successor.addr = w.serve([]*fakeOwner{successor})
	h.first = func() {
		if err := w.deps.Registry.Release(t.Context(), 0, h.epoch); err != nil {
			t.Error(err)
		}
		epoch, err := w.deps.Registry.Claim(t.Context(), 0, registry.Owner{ID: successor.addr, Addr: successor.addr}, time.Hour)
		if err != nil {
			t.Error(err)
		}
		successor.epoch = epoch
	}
	w.checkAnswer(w.newest(), "")
}

// TestPageIsPlannedAgainWhenItsRowsMove lets the owner go away between the
// count and the rows of the page.
func TestPageIsPlannedAgainWhenItsRowsMove(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	h := w.shards[0]
	h.first = func() {
		h.first = func() {
			w.commit(0, listFirst+40)
			w.drop(0, listFirst+40)
		}
	}
	w.checkAnswer(w.newest(), "")
}

func TestExactWatermarkIsGivenExactly(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	for _, marks := range []view.Watermark{
		w.newest(),
		w.lakeWatermark(0, 1, 2, 3),
		{0: listFirst + 5, 1: listFirst + 25, 2: 0, 3: listFirst + 40},
		{},
	} {
		w.checkAnswer(withShards(w.newest(), marks), "", headerWatermark, marks.String())
	}
}

// withShards is base with the shards of over as they stand there.
func withShards(base, over view.Watermark) view.Watermark {
	maps.Copy(base, over)
	return base
}

// TestExactWatermarkOfTheLakeAsksNoOwner: the committed events suffice.
func TestExactWatermarkOfTheLakeAsksNoOwner(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	for i, h := range w.shards {
		w.releaseShard(h)
		h.asked = -i // not the same for all, so that a loop over one is noticed
	}
	marks := w.lakeWatermark(0, 1, 2, 3)
	w.checkAnswer(marks, "", headerWatermark, marks.String())
	for i, h := range w.shards {
		if h.asked != -i {
			t.Errorf("shard %d was asked", i)
		}
	}
}

func TestWatermarkIsWaitedFor(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{ReachWait: time.Minute})
	want := w.newest()
	want[1] += 3
	w.shards[1].first = func() {
		for range 5 {
			w.append(1, schemas.Event{Product: 1, Client: 1, Time: listNow, Name: "late", RandomID: "x"})
		}
	}
	w.checkAnswer(want, "", headerWatermark, want.String())
}

func TestUnreachedWatermarkIsPartial(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{ReachWait: time.Millisecond})
	want := w.newest()
	want[1] += 1000
	want[77] = 5
	w.checkAnswer(w.newest(), "1,77", headerWatermark, want.String())
}

// TestAtLeastAWatermark is for answers that are not event lists: a newer view is
// right, and an older one is partial.
func TestAtLeastAWatermark(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{ReachWait: time.Millisecond})
	older, newer := w.lakeWatermark(0, 1, 2, 3), w.newest()
	newer[2] += 10
	for _, c := range []struct{ want, got, partial string }{
		{older.String(), w.newest().String(), ""},
		{newer.String(), w.newest().String(), "2"},
	} {
		marks, _ := view.ParseWatermark(c.want)
		v, err := w.views.Plan(t.Context(), view.Request{Watermark: marks})
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		setCoverage(h, v.Coverage())
		if h.Get(headerWatermark) != c.got || h.Get(headerPartial) != c.partial {
			t.Errorf("at least %s: %v", c.want, h)
		}
		v.Close()
	}
}

func TestBadWatermarkIs400(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	for _, bad := range []string{"x", "0", "0=", "=1", "0=-1", "-0=1", "0=1,0=2", "0=1,,1=2", "0=1;1=2", "1024=1", "0=9223372036854775808", "0=1=2"} {
		for path, body := range map[string]string{
			eventsPath: everything().body(), userEventsPath: `{"refId":"100","from":"2025-01-01T00:00Z","until":"2025-01-02T00:00Z"}`,
		} {
			if rec := w.post(path, "Bearer "+w.tokens["A"], body, headerWatermark, bad); rec.Code != http.StatusBadRequest {
				t.Errorf("%s with watermark %q: status %d, want 400", path, bad, rec.Code)
			}
		}
	}
}

// TestAsOf: see the package comment.
func TestAsOf(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	newest := func() view.Watermark { return w.newest() }
	inLake := iso(arrivalAt(listFirst + 19))
	inTail := iso(arrivalAt(listFirst + 39))
	for _, c := range []struct {
		name string
		want view.Watermark
		asOf string
	}{
		{"newest", nil, inTail},
		{"where a commit ended", w.lakeWatermark(0, 1, 2, 3), inLake},
		{"below the only commit of one shard", withShards(newest(), view.Watermark{0: listFirst}), ""},
	} {
		var headers []string
		if c.want != nil {
			headers = []string{headerWatermark, c.want.String()}
		}
		rec := w.post(eventsPath, "Bearer "+w.tokens["A"], everything().body(), headers...)
		if got := rec.Header().Get(headerAsOf); got != c.asOf {
			t.Errorf("%s: as of %s, want %s", c.name, got, c.asOf)
		}
	}
	empty := newListWorld(t, Config{})
	for _, h := range empty.shards {
		empty.releaseShard(h)
	}
	rec := empty.post(eventsPath, "Bearer "+empty.tokens["A"], everything().body())
	if rec.Code != http.StatusOK || rec.Header().Get(headerAsOf) != "" || rec.Header().Get(headerPartial) != "0,1,2,3" {
		t.Errorf("nothing anywhere: %d %v", rec.Code, rec.Header())
	}
}

// TestTailIsNarrowedByScans: a scan may select less than the plan holds.
func TestTailIsNarrowedByScans(t *testing.T) {
	w := newHalfCommittedWorld(t, Config{})
	q := view.Request{Columns: []string{columns.ProductID, columns.ClientID, columns.Time}}
	v, err := w.views.Plan(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	f := q.Filter
	f.Products, f.Clients, f.TimeFrom = []int64{1, 2}, []int64{100, 101}, listNow-50_000
	want := map[string]int{}
	for _, s := range w.all(nil) {
		if s.Product < 3 && s.Client < 102 && s.Time >= f.TimeFrom {
			want[fmt.Sprint(s.Product, s.Client, s.Time)]++
		}
	}
	got := map[string]int{}
	for rec, err := range v.Events(t.Context(), q.Columns, f) {
		if err != nil {
			t.Fatal(err)
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows.Rows {
			got[fmt.Sprint(rows.Product[i], rows.Client[i], rows.TimeMS(i))]++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, err := range v.Events(t.Context(), []string{columns.Properties}, f) {
		if err != nil && !errors.Is(err, t.Context().Err()) {
			return // a column that the plan does not hold cannot be had of the tail
		}
	}
	t.Error("a column that the plan does not hold was yielded")
}
