package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/prometheus/client_golang/prometheus"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/registry"
	"weir/schemas/rollup"
	"weir/schemas/tail"
)

// dayWorld is export files over a lake of two shards, and what was put to the bucket.
type dayWorld struct {
	*Files

	t       testing.TB
	bucket  *keptBucket
	figures *prometheus.Registry
	states  map[int32]lake.ShardState
	rolled  map[lake.Table]map[int32]int64
	events  []positioned
}

// positioned is an event and where it lies.
type positioned struct {
	schemas.Event
	columns.Position
}

// keptBucket keeps what is put.
type keptBucket struct {
	Bucket

	mu      sync.Mutex // guards what follows
	objects map[string][]byte
	tried   int
	fault   func(key string) error // of Upload; nil for none
}

func (b *keptBucket) Upload(_ context.Context, key string, r io.Reader) (int64, error) {
	b.mu.Lock()
	b.tried++
	fault := b.fault
	b.mu.Unlock()
	if fault != nil {
		if err := fault(key); err != nil {
			return 0, err
		}
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = body
	return int64(len(body)), nil
}

func (b *keptBucket) GetRange(_ context.Context, key string, off, n int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.objects[key][off : off+n]), nil
}

func newDayWorld(t testing.TB, clientBytes int64) *dayWorld {
	t.Helper()
	ctx, log := t.Context(), slog.New(slog.DiscardHandler)
	reg, err := registry.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "registry.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	if _, err := reg.PutTopicLayout(ctx, `{"topic":"events","shards":2,"hash":"murmur2","topic_id":"x"}`); err != nil {
		t.Fatal(err)
	}
	w := &dayWorld{
		t: t, bucket: &keptBucket{objects: map[string][]byte{}}, figures: prometheus.NewRegistry(),
		states: map[int32]lake.ShardState{}, rolled: map[lake.Table]map[int32]int64{},
	}
	l, owners := laketest.Lake(t, lake.Config{}), view.NewOwners(reg)
	views, err := view.NewReader(view.Config{MaxScans: 1}, view.Deps{
		Lake: l, Tail: tail.NewClient(tail.Config{}), Owners: owners, Log: log, Metrics: w.figures,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Files, err = New(Config{Builds: 1, DeflateLevel: 1, ClientBytes: clientBytes}, Deps{
		Registry: reg, Lake: l, Owners: owners, Views: views, Bucket: w.bucket, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// arrive commits events to a shard as if they had come at an instant, or a tick.
func (w *dayWorld) arrive(shard int32, at time.Time, events ...schemas.Event) {
	w.t.Helper()
	st := w.states[shard]
	from := st.Next
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for n := range events {
		p := positioned{events[n], columns.Position{Shard: shard, Offset: from + int64(n), Arrival: at.UnixMilli()}}
		w.events = append(w.events, p)
		b.Append(&p.Event, p.Position)
	}
	st.Next += int64(max(len(events), 1))
	st.LogTime = at.UnixMilli()
	var files []lake.DataFile
	if len(events) == 0 {
		st.Counters.Control++
	} else {
		rec := b.Batch()
		defer rec.Release()
		var err error
		if files, err = w.lake.WriteEvents(w.t.Context(), shard, batchesOf(rec)); err != nil {
			w.t.Fatal(err)
		}
	}
	st.Counters.Stored += int64(len(events))
	w.commit(lake.Events, lake.Cut{Shard: shard, From: from, To: st, Files: files})
	w.states[shard] = st
}

func (w *dayWorld) commit(t lake.Table, cut lake.Cut) {
	w.t.Helper()
	cut.ID, cut.Sealed = fmt.Sprint(t, cut.Shard, cut.To.Next), time.Now()
	if out, err := w.lake.Commit(w.t.Context(), t, []lake.Cut{cut}); err != nil || out[0] != lake.Committed {
		w.t.Fatalf("commit of %s: %v, %v", t, out, err)
	}
}

// rollUp commits a rollup of a shard up to an offset.
func (w *dayWorld) rollUp(t lake.Table, shard int32, to int64) {
	w.t.Helper()
	if w.rolled[t] == nil {
		w.rolled[t] = map[int32]int64{}
	}
	from := w.rolled[t][shard]
	if from == to {
		return
	}
	set, b := rollup.NewSet(), columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for n := range w.events {
		if e := &w.events[n]; e.Shard == shard && e.Offset >= from && e.Offset < to {
			b.Append(&e.Event, e.Position)
		}
	}
	rec := b.Batch()
	defer rec.Release()
	if err := set.AddBatch(rec); err != nil {
		w.t.Fatal(err)
	}
	files, err := w.lake.WriteRollups(w.t.Context(), shard, set, t)
	if err != nil {
		w.t.Fatal(err)
	}
	w.commit(t, lake.Cut{Shard: shard, From: from, To: lake.ShardState{Next: to, LogTime: w.states[shard].LogTime}, Files: files[t]})
	w.rolled[t][shard] = to
}

// rollUpAll brings the rollups up to date.
func (w *dayWorld) rollUpAll() {
	w.t.Helper()
	for _, t := range valueTables() {
		for shard, st := range w.states {
			w.rollUp(t, shard, st.Next)
		}
	}
}

// closedContents are the CSV files that were put and recorded, by the names of their
// archives.
func (w *dayWorld) closedContents() map[string]string {
	w.t.Helper()
	files, err := w.registry.ExportsWithin(w.t.Context(), "0000-01-01", "9999-12-31")
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range files {
		var text bytes.Buffer
		if err := readZip(bytes.NewReader(w.bucket.objects[f.Key]), &text); err != nil {
			w.t.Fatalf("%s: %v", f.Key, err)
		}
		out[f.Key[strings.LastIndexByte(f.Key, '/')+1:]] = text.String()
	}
	return out
}

// randomEvent is an event of one of products at about an instant.
func randomEvent(r *rand.Rand, n int, at time.Time, products []int64) schemas.Event {
	e := schemas.Event{
		Product: products[r.IntN(1+r.IntN(len(products)))], Client: 1 + r.Int64N(12), Time: at.UnixMilli() - r.Int64N(3_600_000),
		Name: fmt.Sprint("e", n), RandomID: fmt.Sprint("r", n), Properties: []byte(fmt.Sprintf(`{"n":%d,"text":"a \"b\", %d"}`, n, n%7)),
	}
	switch r.IntN(8) {
	case 0:
		e.Name = schemas.SessionStart
	case 1:
		e.Exception = &schemas.Exception{Class: e.Name, Stack: "at a\r\nat b"}
	case 2:
		e.Time -= r.Int64N(4 * dayMS)
	case 3:
		e.Time -= r.Int64N(300 * dayMS)
	}
	switch r.IntN(5) {
	case 0:
		e.ClientProps = fmt.Appendf(nil, `{"prodVersion":"%d","ram":%d,"geography.country":"IT"}`, r.IntN(4), 1+r.IntN(3))
	case 1:
		e.ClientProps = fmt.Appendf(nil, `{"prodVersion":null,"C%02d":"own %d"}`, r.IntN(20), r.IntN(4))
	case 2:
		e.ClientProps = fmt.Appendf(nil, `{"os.version":"Win %d"}`, r.IntN(3))
	}
	return e
}
