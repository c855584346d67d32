package query

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/openapi/openapitest"
	"weir/schemas/registry"
	"weir/schemas/tail"
)

const (
	listSecret   = "cluster secret"
	listShards   = 4
	listPassword = "correct horse battery staple"
	listFirst    = 7 // first offset of every shard
)

// stored is an event and where it lies.
type stored struct {
	schemas.Event
	shard           int32
	offset, arrival int64
}

// listWorld is a service over a lake in memory and shards whose owners, here
// called fakeOwners, are this test. Account A has products 1 to 3, account B
// product 9. An EUID is a refId in all of them.
type listWorld struct {
	*Service
	t       testing.TB
	mem     *peak // checked: all of it is released in the end
	lake    *laketest.Backend
	shards  [listShards]*fakeOwner
	rolled  map[lake.Table]*[listShards]int64 // next offset of each rollup
	account string                            // id of A
	tokens  map[string]string                 // by name: "A", "A2" for product 2 alone, "B", "none"
}

// Handler is the service's; what goes through it is held to the documents.
func (w *listWorld) Handler() http.Handler {
	return openapitest.Wrap(w.t, w.Service.Handler())
}

// fakeOwner is the owner of one shard: a tail.Provider of what is not committed.
type fakeOwner struct {
	shard int32
	epoch int64
	addr  string
	mem   memory.Allocator

	mu      sync.Mutex      // guards what follows
	log     []stored        // all of the shard's stored events
	changes []lake.Change   // all of its changes of clients
	next    int64           // position of the owner
	base    int64           // first offset held
	state   lake.ShardState // of the last commit
	fail    error           // instead of an answer
	asked   int
	kept    arrow.Record // all of the tail, in benchmarks; else nil
	first   func()       // once, when it is next asked, before it looks
	after   func()       // once, when it has answered
}

func newListWorld(t testing.TB, cfg Config) *listWorld {
	t.Helper()
	checked := memory.NewCheckedAllocator(laketest.OverwriteFreed)
	t.Cleanup(func() { checked.AssertSize(t, 0) })
	mem := &peak{Allocator: checked}
	w := &listWorld{t: t, mem: mem, lake: laketest.New(), rolled: map[lake.Table]*[listShards]int64{}, tokens: map[string]string{}}
	for _, table := range lake.Rollups() {
		w.rolled[table] = new([listShards]int64)
		for shard := range w.rolled[table] {
			w.rolled[table][shard] = listFirst
		}
	}
	l, err := w.lake.Open(t.Context(), lake.Config{Compression: "snappy", Memory: mem})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if oldest := lake.OldestPinned(l, 0); !oldest.IsZero() {
			t.Errorf("a snapshot of %s is still pinned: a view was not closed", oldest)
		}
	})
	log := slog.New(slog.DiscardHandler)
	reg, err := registry.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "registry.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	client := tail.NewClient(tail.Config{Secret: listSecret, Allocator: mem, DialTimeout: time.Minute, Timeout: time.Minute})
	t.Cleanup(client.Close)
	if w.Service, err = New(cfg, Deps{Registry: reg, Lake: l, Tail: client, Log: log}); err != nil {
		t.Fatal(err)
	}
	w.mem = mem
	w.accounts()
	w.own()
	return w
}

func (w *listWorld) accounts() {
	w.t.Helper()
	ctx, reg := w.t.Context(), w.deps.Registry
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	token := func(name, account string, products ...int64) {
		_, token, err := reg.CreateToken(ctx, registry.Token{Account: account, Name: name, Products: products})
		must(err)
		w.tokens[name] = token
	}
	a, err := reg.CreateAccount(ctx, "A")
	must(err)
	b, err := reg.CreateAccount(ctx, "B")
	must(err)
	c, err := reg.CreateAccount(ctx, "C")
	must(err)
	for id, account := range map[int64]string{1: a.ID, 2: a.ID, 3: a.ID, 9: b.ID} {
		_, err := reg.CreateProduct(ctx, registry.Product{ID: id, Account: account, Name: fmt.Sprint("Product ", id)})
		must(err)
	}
	for _, id := range []int64{1, 2, 3, 9} {
		w.switchEUIDAsRef(id, true)
	}
	token("A", a.ID)
	token("A2", a.ID, 2)
	token("B", b.ID)
	token("none", c.ID)
	w.account = a.ID
	_, err = reg.PutTopicLayout(ctx, fmt.Sprintf(`{"topic":"events","shards":%d,"hash":"murmur2","topic_id":"x"}`, listShards))
	must(err)
}

// switchEUIDAsRef lets an EUID stand for a refId, or not; here it does at first.
func (w *listWorld) switchEUIDAsRef(product int64, on bool) {
	w.t.Helper()
	_, err := registry.SetProduct(w.t.Context(), w.deps.Registry, product, registry.ProductChange{EUIDAsRef: &on})
	if err != nil {
		w.t.Fatal(err)
	}
}

// own gives two shards to each of two owners.
func (w *listWorld) own() {
	w.t.Helper()
	for i := range w.shards {
		h := &fakeOwner{shard: int32(i), mem: w.mem, next: listFirst, base: listFirst}
		h.state.First, h.state.Next = listFirst, listFirst
		w.shards[i] = h
		if i%2 == 1 {
			h.addr = w.shards[i-1].addr
		} else {
			h.addr = w.serve(w.shards[:])
		}
		w.claim(h)
	}
}

func (w *listWorld) serve(shards []*fakeOwner) string {
	s := httptest.NewServer(tail.Handler(fakeOwners(shards), listSecret))
	w.t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func (w *listWorld) claim(h *fakeOwner) {
	w.t.Helper()
	epoch, err := w.deps.Registry.Claim(w.t.Context(), h.shard, registry.Owner{ID: h.addr, Addr: h.addr}, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	h.epoch = epoch
	w.owners.Invalidate()
}

func (w *listWorld) releaseShard(h *fakeOwner) {
	w.t.Helper()
	if err := w.deps.Registry.Release(w.t.Context(), h.shard, h.epoch); err != nil {
		w.t.Fatal(err)
	}
	w.owners.Invalidate()
}

// fakeOwners answer for their shards.
type fakeOwners []*fakeOwner

func (hs fakeOwners) Tail(shard int32, from int64) (tail.Part, error) {
	for _, h := range hs {
		if h.shard == shard {
			return h.tail(from)
		}
	}
	return tail.Part{}, tail.ErrNotOwner
}

func (h *fakeOwner) tail(from int64) (tail.Part, error) {
	h.mu.Lock()
	h.asked++
	if first := h.first; first != nil {
		h.first = nil
		h.mu.Unlock()
		first()
		h.mu.Lock()
	}
	defer h.mu.Unlock()
	switch {
	case h.fail != nil:
		return tail.Part{}, h.fail
	case from > h.next:
		return tail.Part{}, tail.ErrBehind
	case from < h.base && (from > 0 || h.base > listFirst):
		return tail.Part{}, tail.ErrGone
	}
	p := tail.Part{Epoch: h.epoch, Next: h.next, LogTime: arrivalAt(h.next - 1)}
	if h.kept != nil {
		h.kept.Retain()
		p.Rows = []arrow.Record{h.kept}
		return p, nil
	}
	var held []stored
	for _, s := range h.log {
		if s.offset >= from && s.offset < h.next {
			held = append(held, s)
		}
	}
	if rec := batchOf(h.mem, held); rec != nil {
		p.Rows = []arrow.Record{rec}
	}
	p.Changes = h.changesFrom(from)
	if after := h.after; after != nil {
		h.after = nil
		h.mu.Unlock()
		after()
		h.mu.Lock()
	}
	return p, nil
}

// arrivalAt is the log time at an offset.
func arrivalAt(offset int64) int64 { return listNow - 1e6 + offset*10 }

// listNow is about when events of a listWorld happen and arrive.
const listNow = 1_764_000_000_000

func batchOf(mem memory.Allocator, rows []stored) arrow.Record {
	if len(rows) == 0 {
		return nil
	}
	b := columns.NewBuilder(mem)
	defer b.Release()
	for i := range rows {
		b.Append(&rows[i].Event, columns.Position{Shard: rows[i].shard, Offset: rows[i].offset, Arrival: rows[i].arrival})
	}
	return b.Batch()
}

// append puts an event into a shard's log and moves its owner past it.
func (w *listWorld) append(shard int32, e schemas.Event) {
	h := w.shards[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log = append(h.log, stored{Event: e, shard: shard, offset: h.next, arrival: arrivalAt(h.next)})
	h.next++
}

// skip moves the owner of a shard past a record that is no event.
func (w *listWorld) skip(shard int32) {
	h := w.shards[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
}

// commit brings what the owner of a shard holds below offset to into the lake.
func (w *listWorld) commit(shard int32, to int64) {
	w.t.Helper()
	h := w.shards[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	var rows []stored
	for _, s := range h.log {
		if s.offset >= h.state.Next && s.offset < to {
			rows = append(rows, s)
		}
	}
	var batches []arrow.Record
	if rec := batchOf(w.mem, rows); rec != nil {
		defer rec.Release()
		batches = append(batches, rec)
	}
	files, err := w.deps.Lake.WriteEvents(w.t.Context(), shard, batches)
	if err != nil {
		w.t.Fatal(err)
	}
	from := h.state.Next
	h.state.Counters.Stored += int64(len(rows))
	h.state.Counters.Duplicates += to - from - int64(len(rows))
	h.state.Next, h.state.LogTime = to, arrivalAt(to-1)
	cut := lake.Cut{ID: fmt.Sprintf("%d-%d", shard, to), Shard: shard, From: from, To: h.state, Files: files, Sealed: time.Now()}
	out, err := w.deps.Lake.Commit(w.t.Context(), lake.Events, []lake.Cut{cut})
	if err != nil || out[0] != lake.Committed {
		w.t.Fatalf("commit of shard %d up to %d: %v, %v", shard, to, out, err)
	}
}

// drop lets the owner of a shard keep only what lies from offset on.
func (w *listWorld) drop(shard int32, from int64) {
	h := w.shards[shard]
	h.mu.Lock()
	defer h.mu.Unlock()
	h.base = from
}

// all are the stored events below a watermark; nil is all there are.
func (w *listWorld) all(below view.Watermark) []stored {
	var rows []stored
	for _, h := range w.shards {
		h.mu.Lock()
		for _, s := range h.log {
			if below == nil || s.offset < below[h.shard] {
				rows = append(rows, s)
			}
		}
		h.mu.Unlock()
	}
	return rows
}

// newest is the watermark of everything there is.
func (w *listWorld) newest() view.Watermark {
	marks := view.Watermark{}
	for _, h := range w.shards {
		marks[h.shard] = h.next
	}
	return marks
}

// post sends a question and returns the answer.
func (w *listWorld) post(path, auth, body string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, path, bytes.NewReader([]byte(body)))
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

const (
	userEventsPath = "/api/v3/business/report/event/user"
	eventsPath     = "/analytics/api/v1/events"
)

// fill appends n random events, commits some of them in some cuts, and leaves
// the rest to the owners.
func (w *listWorld) fill(r *rand.Rand, n int) {
	w.t.Helper()
	for range n {
		shard := int32(r.IntN(listShards))
		if r.IntN(10) == 0 {
			w.skip(shard)
		}
		w.append(shard, randomEvent(r))
		if r.IntN(60) == 0 {
			h := w.shards[shard]
			w.commit(shard, h.state.Next+1+r.Int64N(h.next-h.state.Next))
		}
	}
}

func randomEvent(r *rand.Rand) schemas.Event {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	e := schemas.Event{
		Product: []int64{1, 2, 3, 9}[r.IntN(4)], Client: 100 + r.Int64N(5), Name: pick("a", "b", "c.d", "é", "session_start", "session_stop", "exception"),
		Time:     listNow - []int64{r.Int64N(5), r.Int64N(100_000), r.Int64N(90 * 24 * 3600_000)}[r.IntN(3)],
		RandomID: pick("twice", fmt.Sprint("id-", r.Int64())), SessionID: pick("", "s1", "s2"), AppName: pick("", "app"), AppKey: pick("", "key"), AppVersion: pick("", "1.0"),
		ContentLocale: pick("", "en-US"), UILocale: pick("", "de"), UserAgent: pick("", "Mozilla/5.0 \"x\""), IP: pick("", "10.0.0.1"),
		User: []byte(pick("", `{"id":"u1"}`, `{"id":"u2","realm":["r1"],"groups":["g1","g2"],"roles":["x"]}`,
			`{"id":"100","realm":["r2"]}`, `{"realm":["r1"],"roles":["x","y"]}`)),
		Properties: []byte(pick("", `{"k":"v"}`, `{"deep":{"n":[1,2.50,null,true]},"s":"\u00fc"}`)),
	}
	if len(e.User) == 0 {
		e.User = nil
	}
	if len(e.Properties) == 0 {
		e.Properties = nil
	}
	if r.IntN(10) == 0 {
		e.Exception = &schemas.Exception{Class: pick("", "E")}
	}
	if r.IntN(2) == 0 {
		offline := r.IntN(2) == 0
		e.Offline = &offline
	}
	return e
}
