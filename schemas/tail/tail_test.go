package tail

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
)

const secret = "the cluster's secret"

// stored is an event and its position.
type stored struct {
	event schemas.Event
	at    columns.Position
}

// owner is a Provider that holds events of shards in small batches.
type owner struct {
	mem    memory.Allocator
	shards map[int32][]stored // ascending by offset
	first  map[int32]int64    // first offset held
	fail   error
}

func (o *owner) Tail(shard int32, from int64) (Part, error) {
	rows, ok := o.shards[shard]
	switch {
	case o.fail != nil:
		return Part{}, o.fail
	case !ok:
		return Part{}, fmt.Errorf("shard %d: %w", shard, ErrNotOwner)
	case from < o.first[shard]:
		return Part{}, fmt.Errorf("shard %d: %w", shard, ErrGone)
	}
	next := rows[len(rows)-1].at.Offset + 1
	if from > next {
		return Part{}, ErrBehind
	}
	p := Part{Epoch: 7, Next: next, LogTime: 1000 + next, ReadAt: 5000, End: next}
	for some := range slices.Chunk(rows, 700) {
		b := columns.NewBuilder(o.mem)
		for _, row := range some {
			b.Append(&row.event, row.at)
		}
		p.Rows = append(p.Rows, b.Batch())
		b.Release()
	}
	return p, nil
}

// randomOwner holds n events of each shard, with gaps between offsets.
func randomOwner(r *rand.Rand, mem memory.Allocator, shards, n int) *owner {
	o := &owner{mem: mem, shards: map[int32][]stored{}, first: map[int32]int64{}}
	for shard := range int32(shards) {
		offset := int64(100)
		o.first[shard] = offset
		for range n {
			offset += 1 + r.Int64N(3)
			e := schemas.Event{
				Product: 1 + r.Int64N(3), Client: 1 + r.Int64N(20), Time: 1e12 + r.Int64N(1e6),
				Name: fmt.Sprint("name-", r.IntN(5)), RandomID: fmt.Sprint("id-", shard, "-", offset),
				Properties: []byte(`{"a":"` + strings.Repeat("x", r.IntN(300)) + `"}`),
			}
			if r.IntN(2) == 0 {
				offline, category := r.IntN(2) == 0, "c"
				e.Offline, e.Category = &offline, &category
			}
			o.shards[shard] = append(o.shards[shard], stored{e, columns.Position{Shard: shard, Offset: offset, Arrival: 2e12 + offset}})
		}
	}
	return o
}

func serve(t *testing.T, src Provider, secret string) string {
	t.Helper()
	s := httptest.NewServer(Handler(src, secret))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// newTestClient returns a client whose default times are long: a machine that is
// busy, or the race detector, must not fail a test that is not about time.
func newTestClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, time.Minute)
	cfg.Timeout = cmp.Or(cfg.Timeout, 2*time.Minute)
	c := NewClient(cfg)
	t.Cleanup(c.Close)
	return c
}

// row holds the compared columns of a row.
type row struct {
	Product, Client, Time, Offset int64
	Shard                         int32
	Name, RandomID, Category      string
	Properties                    string
	Offline                       string
}

func rowsOf(t *testing.T, recs []arrow.Record) []row {
	t.Helper()
	var rows []row
	for _, rec := range recs {
		v, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.Rows {
			offline := "none"
			if !v.Offline.Null(i) {
				offline = fmt.Sprint(v.Offline.At(i))
			}
			rows = append(rows, row{
				Product: v.Product[i], Client: v.Client[i], Time: v.TimeMS(i), Offset: v.Offset[i], Shard: v.Shard[i],
				Name: v.Name.At(i), RandomID: v.RandomID.At(i), Category: v.Category.At(i),
				Properties: v.Properties.At(i), Offline: offline,
			})
		}
	}
	return rows
}

func (o *owner) want(shard int32, req Request) []row {
	var rows []row
	f := req.Filter
	for _, s := range o.shards[shard] {
		e, at := s.event, s.at
		listed := req.Rows == nil || slices.Contains(req.Rows[shard], at.Offset)
		to, bounded := f.OffsetTo[shard]
		if !listed || at.Offset < req.From[shard] || at.Offset < f.OffsetFrom[shard] || bounded && at.Offset >= to ||
			f.Shard != nil && *f.Shard != shard ||
			f.Products != nil && !slices.Contains(f.Products, e.Product) ||
			f.Clients != nil && !slices.Contains(f.Clients, e.Client) ||
			f.TimeFrom != 0 && e.Time < f.TimeFrom || f.TimeTo != 0 && e.Time >= f.TimeTo ||
			f.ArrivalFrom != 0 && at.Arrival < f.ArrivalFrom || f.ArrivalTo != 0 && at.Arrival >= f.ArrivalTo {
			continue
		}
		r := row{
			Product: e.Product, Client: e.Client, Time: e.Time, Offset: at.Offset, Shard: shard,
			Name: e.Name, RandomID: e.RandomID, Properties: string(e.Properties), Offline: "none",
		}
		if e.Category != nil {
			r.Category, r.Offline = *e.Category, fmt.Sprint(*e.Offline)
		}
		rows = append(rows, r)
	}
	return rows
}

func wantedColumns() []string {
	return []string{
		columns.Offset, columns.Shard, columns.ProductID, columns.ClientID, columns.Time, columns.Name, columns.RandomID,
		columns.Category, columns.Properties, columns.Offline,
	}
}

func randomRequest(r *rand.Rand, o *owner) Request {
	req := Request{From: map[int32]int64{}, Columns: wantedColumns()}
	for shard, rows := range o.shards {
		req.From[shard] = rows[r.IntN(len(rows))].at.Offset
	}
	if r.IntN(2) == 0 {
		req.Filter.Products = []int64{1, 3}[:r.IntN(3)]
	}
	if r.IntN(3) == 0 {
		req.Filter.Clients = []int64{4, 5, 6}
	}
	if r.IntN(2) == 0 {
		req.Filter.TimeFrom = 1e12 + r.Int64N(5e5)
		req.Filter.ArrivalTo = 2e12 + r.Int64N(20_000)
	}
	if r.IntN(3) == 0 {
		req.Filter.TimeTo = 1e12 + r.Int64N(1e6)
		req.Filter.OffsetFrom = map[int32]int64{0: 500}
		req.Filter.OffsetTo = map[int32]int64{0: 900, 1: 0}
	}
	if r.IntN(5) == 0 {
		shard := int32(1)
		req.Filter.Shard = &shard
	}
	if r.IntN(4) == 0 {
		req.Rows = map[int32][]int64{0: {150, 151, 152, 400, 401, 402, 403}, 2: {}}
	}
	return req
}

func TestFetchReturnsSelectedRows(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := randomOwner(r, mem, 3, 1500+r.IntN(3000))
		addr, client := serve(t, o, secret), newTestClient(t, Config{Secret: secret, Allocator: mem})
		for range 5 {
			req := randomRequest(r, o)
			parts, err := client.Fetch(t.Context(), addr, req)
			if err != nil {
				t.Fatal(err)
			}
			for i := range parts {
				p := &parts[i]
				next := o.shards[p.Shard][len(o.shards[p.Shard])-1].at.Offset + 1
				if p.Err != nil || p.Epoch != 7 || p.From != req.From[p.Shard] || p.Next != next || p.LogTime != 1000+next || p.ReadAt != 5000 || p.End != next {
					t.Errorf("seed %d: part = %+v", seed, p)
				}
				if diff := gocmp.Diff(o.want(p.Shard, req), rowsOf(t, p.Rows)); diff != "" {
					t.Fatalf("seed %d, shard %d, request %+v (-want +got):\n%s", seed, p.Shard, req, diff)
				}
				p.Release()
			}
		}
	}
}

func TestFetchPositionsOnly(t *testing.T) {
	o := randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 2, 50)
	addr, client := serve(t, o, secret), newTestClient(t, Config{Secret: secret})
	parts, err := client.Fetch(t.Context(), addr, Request{From: map[int32]int64{0: 100, 1: 100}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if p.Err != nil || p.Next <= 100 || p.Rows != nil {
			t.Errorf("part = %+v, want a position without rows", p)
		}
	}
}

// TestLargeRowsTravelInBoundedFrames checks that a batch has about batchBytes at most,
// whatever the size of its rows.
func TestLargeRowsTravelInBoundedFrames(t *testing.T) {
	o := &owner{mem: memory.DefaultAllocator, shards: map[int32][]stored{}, first: map[int32]int64{}}
	for i := range int64(60) {
		o.shards[0] = append(o.shards[0], stored{
			schemas.Event{
				Product: 1, Client: 1, Name: "n", RandomID: "r",
				Properties: bytes.Repeat([]byte{'x'}, schemas.MaxEventBytes),
			},
			columns.Position{Offset: i},
		})
	}
	addr, client := serve(t, o, secret), newTestClient(t, Config{Secret: secret})
	for name, clients := range map[string][]int64{"as it is": nil, "copied": {1}} {
		parts, err := client.Fetch(t.Context(), addr, Request{
			From: map[int32]int64{0: 1}, Columns: []string{columns.Properties}, Filter: columns.Filter{Clients: clients},
		})
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for _, rec := range parts[0].Rows {
			rows += int(rec.NumRows())
			if size := rec.Column(0).Data().SizeInBytes(); size > 6*batchBytes {
				t.Errorf("%s: a batch of %d bytes", name, size)
			}
		}
		if rows != 59 {
			t.Errorf("%s: %d rows, want 59", name, rows)
		}
		parts[0].Release()
	}
	_, err := newTestClient(t, Config{Secret: secret, MaxBytes: 15 << 20}).Fetch(t.Context(), addr, Request{
		From: map[int32]int64{0: 0}, Columns: []string{columns.Properties},
	})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("client with a limit of 15 MiB and a tail of 30: %v, want %v", err, ErrTooLarge)
	}
}

func TestFetchReturnsReasons(t *testing.T) {
	o := randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 3, 50)
	addr, client := serve(t, o, secret), newTestClient(t, Config{Secret: secret})
	parts, err := client.Fetch(t.Context(), addr, Request{
		From: map[int32]int64{0: 1e9, 1: 1, 2: 100, 3: 100}, Columns: []string{columns.Offset},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{ErrBehind, ErrGone, nil, ErrNotOwner} {
		if got := parts[i]; !errors.Is(got.Err, want) || got.Shard != int32(i) || (want != nil) != (got.Next == 0) {
			t.Errorf("shard %d: %+v, want %v", i, got, want)
		}
		parts[i].Release()
	}
	o.fail = errors.New("disk on fire")
	if _, err := client.Fetch(t.Context(), addr, Request{From: map[int32]int64{0: 100}}); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("a provider that fails: %v, want its error", err)
	}
}

func TestWrongSecretIsRefused(t *testing.T) {
	o := randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 1, 5)
	for _, c := range []struct{ server, client string }{
		{secret, ""}, {secret, "other"}, {secret, secret + "x"}, {"", ""}, {"", secret},
	} {
		addr := serve(t, o, c.server)
		_, err := newTestClient(t, Config{Secret: c.client}).Fetch(t.Context(), addr, Request{From: map[int32]int64{0: 100}})
		if !errors.Is(err, ErrDenied) {
			t.Errorf("server %q, client %q: %v, want %v", c.server, c.client, err, ErrDenied)
		}
	}
}

// TestEmptySecretRefusesEverybody calls the handler directly, because HTTP would trim
// the header with an empty secret.
func TestEmptySecretRefusesEverybody(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, Path, strings.NewReader(`{"from":{}}`))
	r.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	if Handler(&owner{}, "").ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
		t.Errorf("status %d, want 401", w.Code)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	h := Handler(randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 1, 5), secret)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, Path, `{`, 400},
		{http.MethodPost, Path, `{"from":{"x":1}}`, 400},
		{http.MethodPost, Path, `{"from":{"0":1},"columns":["unknown"]}`, 400},
		{http.MethodPost, Path, `{"from":` + strings.Repeat(" ", maxRequestBytes) + `{}}`, 400},
		{http.MethodGet, Path, ``, 404},
		{http.MethodPost, "/other", `{}`, 404},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		r.Header.Set("Authorization", "Bearer "+secret)
		if h.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("%s %s %.40q: status %d, want %d", c.method, c.path, c.body, w.Code, c.status)
		}
	}
}

// TestDamagedResponse changes, cuts and extends a response: the client must refuse it
// or return the same parts as before.
func TestDamagedResponse(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	o := randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 2, 3)
	req := Request{From: map[int32]int64{0: 100, 1: 100}, Columns: wantedColumns()}
	whole := responseTo(t, o, req)
	c := &Client{cfg: Config{Allocator: mem}.withDefaults()}
	check := func(what string, body []byte) {
		parts, err := c.read(bytes.NewReader(body), req)
		if err == nil {
			t.Errorf("%s was accepted", what)
		}
		release(parts)
	}
	for n := range whole {
		check(fmt.Sprintf("the first %d of %d bytes", n, len(whole)), whole[:n])
	}
	for i := range whole {
		changed := slices.Clone(whole)
		changed[i] ^= 0x11
		check(fmt.Sprintf("a change of byte %d", i), changed)
	}
}

func responseTo(t testing.TB, src Provider, req Request) []byte {
	t.Helper()
	body, err := encodeRequest(req)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, Path, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	if Handler(src, secret).ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func TestResponseWithOtherShardsIsRefused(t *testing.T) {
	o := randomOwner(rand.New(rand.NewPCG(1, 1)), memory.DefaultAllocator, 3, 20)
	whole := responseTo(t, o, Request{From: map[int32]int64{0: 100, 1: 100}})
	c := &Client{cfg: Config{}.withDefaults()}
	for _, from := range []map[int32]int64{{0: 100}, {0: 100, 2: 100}, {0: 100, 1: 101}, {0: 100, 1: 100, 2: 100}} {
		if _, err := c.read(bytes.NewReader(whole), Request{From: from}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("requested %v: %v, want %v", from, err, ErrCorrupt)
		}
	}
}

func TestFetchTimesOut(t *testing.T) {
	hold := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(magic))
		w.(http.Flusher).Flush()
		<-hold
	}))
	defer s.Close()
	defer close(hold)
	c := newTestClient(t, Config{Secret: secret, Timeout: 20 * time.Millisecond})
	_, err := c.Fetch(t.Context(), strings.TrimPrefix(s.URL, "http://"), Request{From: map[int32]int64{0: 0}})
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrCorrupt) {
		t.Errorf("an owner that stops in the middle: %v", err)
	}
}

func TestSelect(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	o := randomOwner(rand.New(rand.NewPCG(3, 1)), mem, 1, 4000)
	p, err := o.Tail(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	for _, f := range []columns.Filter{{}, {Products: []int64{2}}, {OffsetTo: map[int32]int64{0: 1000}}, {Products: []int64{}}} {
		var got []row
		for rec, err := range p.Select(wantedColumns(), f, mem) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, rowsOf(t, []arrow.Record{rec})...)
		}
		if diff := gocmp.Diff(o.want(0, Request{Filter: f}), got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", f, diff)
		}
	}
	for _, err := range p.Select([]string{"unknown"}, columns.Filter{}, mem) {
		if err == nil {
			t.Error("Select accepted an unknown column")
		}
	}
}

// behindOwner consumes one offset each 30 ms, while its log always ends `ahead` offsets
// later: a log under constant load.
type behindOwner struct {
	began      time.Time
	end, ahead int64
	calls      int
}

func (o *behindOwner) Tail(int32, int64) (Part, error) {
	o.calls++
	next := int64(time.Since(o.began) / (30 * time.Millisecond))
	return Part{Next: next, End: max(o.end, next+o.ahead)}, nil
}

// TestResponseWaitsForEndOfLog checks that a response waits for the end of the log as
// it was when the request came, and at most maxEndWait.
func TestResponseWaitsForEndOfLog(t *testing.T) {
	for _, c := range []struct {
		name       string
		owner      behindOwner
		rows       map[int32][]int64
		atLeast    int64
		end        int64
		took       time.Duration
		calledOnce bool
	}{
		{name: "at the end", end: 0, calledOnce: true},
		{name: "soon at the end", owner: behindOwner{end: 3}, atLeast: 3, end: 3, took: 100 * time.Millisecond},
		{name: "soon at what was the end", owner: behindOwner{ahead: 3}, atLeast: 3, end: 3, took: 100 * time.Millisecond},
		{name: "not soon", owner: behindOwner{end: 1000}, atLeast: 16, end: 1000, took: maxEndWait},
		{name: "single rows", owner: behindOwner{end: 1000}, rows: map[int32][]int64{0: {0}}, end: 1000, calledOnce: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			o, began := c.owner, time.Now()
			o.began = began
			req := Request{From: map[int32]int64{0: 0}, Rows: c.rows}
			client := &Client{cfg: Config{}.withDefaults()}
			parts, err := client.read(bytes.NewReader(responseTo(t, &o, req)), req)
			if err != nil {
				t.Fatal(err)
			}
			if p := parts[0]; p.Next < c.atLeast || p.End != c.end || time.Since(began) != c.took || (o.calls == 1) != c.calledOnce {
				t.Errorf("%s: next %d, end %d after %s and %d calls; want at least %d, end %d after %s",
					c.name, p.Next, p.End, time.Since(began), o.calls, c.atLeast, c.end, c.took)
			}
		})
	}
}

// TestCancelledRequestStopsWaiting cancels a request that waits for the end of a log.
func TestCancelledRequestStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer leave()
		began := time.Now()
		s := &server{provider: &behindOwner{began: began, end: 1000}}
		_, err := s.waitForEnd(ctx, Request{From: map[int32]int64{0: 0}})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 50*time.Millisecond {
			t.Errorf("waitForEnd: %v after %s, want %v after 50ms", err, time.Since(began), context.DeadlineExceeded)
		}
	})
}

// goneOwner has a backlog in shard 0 and has dropped the requested offset of shard 1.
type goneOwner struct{ behindOwner }

func (o *goneOwner) Tail(shard int32, from int64) (Part, error) {
	if shard == 1 {
		return Part{}, ErrGone
	}
	return o.behindOwner.Tail(shard, from)
}

// TestDroppedOffsetIsReportedAtOnce checks that ErrGone of one shard ends the wait for
// the others, because the client has to start over.
func TestDroppedOffsetIsReportedAtOnce(t *testing.T) {
	o := &goneOwner{behindOwner{began: time.Now(), end: 1e9}}
	s := &server{provider: o}
	parts, err := s.waitForEnd(t.Context(), Request{From: map[int32]int64{0: 0, 1: 0}})
	if err != nil || o.calls != 1 || len(parts) != 2 || !errors.Is(parts[1].Err, ErrGone) {
		t.Errorf("parts %+v, %v after %d calls; want them after one", parts, err, o.calls)
	}
}
