package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas"
	"weir/schemas/openapi/openapitest"
	"weir/schemas/registry"
	"weir/schemas/topic"
)

// today is the clock of the tests that run in a synctest bubble; it is later than
// the examples of the published document.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fakeRegistry is a Registry in memory. Its identities are linked in a registry on
// disk, which is opened when it is first needed.
type fakeRegistry struct {
	t       testing.TB
	mu      sync.Mutex
	sources map[string]registry.Source // by key; the secret of K is K-secret
	euids   map[string]int64
	fault   error
	disk    *registry.Registry
}

func newFakeRegistry(t testing.TB) *fakeRegistry {
	return &fakeRegistry{
		t: t,
		sources: map[string]registry.Source{
			"key1":  {Key: "key1", Product: 1001, Account: "A"},
			"key2":  {Key: "key2", Product: 2002, Account: "B"},
			"slow":  {Key: "slow", Product: 1001, Account: "A", RatePerSecond: 10},
			"limit": {Key: "limit", Product: 1001, Account: "A"},
		},
		euids: make(map[string]int64),
	}
}

func (d *fakeRegistry) AuthenticateSource(_ context.Context, key, secret string) (registry.Source, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		return registry.Source{}, d.fault
	}
	source, ok := d.sources[key]
	if !ok || secret != key+"-secret" {
		return registry.Source{}, registry.ErrUnauthorized
	}
	return source, nil
}

func (d *fakeRegistry) RegisterIdentities(_ context.Context, product int64, name string, values []string) ([]int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		return nil, d.fault
	}
	ids := make([]int64, len(values))
	for i, v := range values {
		key := fmt.Sprint(product, name, "\x00", v)
		if d.euids[key] == 0 {
			d.euids[key] = product*100 + int64(len(d.euids)) + 1
		}
		ids[i] = d.euids[key]
	}
	return ids, nil
}

func (d *fakeRegistry) LinkIdentities(ctx context.Context, product int64, items []registry.ClientNames) (registry.Linked, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fault != nil {
		return registry.Linked{}, d.fault
	}
	if d.disk == nil {
		d.disk = d.openDisk()
	}
	return d.disk.LinkIdentities(ctx, product, items)
}

// openDisk opens a registry that has the products of the sources.
func (d *fakeRegistry) openDisk() *registry.Registry {
	ctx := d.t.Context()
	r, err := registry.Open(ctx, "sqlite:"+filepath.Join(d.t.TempDir(), "registry.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { r.Close() })
	account, err := r.CreateAccount(ctx, "A")
	for _, product := range []int64{1001, 2002} {
		if err == nil {
			_, err = r.CreateProduct(ctx, registry.Product{ID: product, Account: account.ID})
		}
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

func (d *fakeRegistry) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = err
}

// testEdge is a Service with an in-process Kafka of its own.
type testEdge struct {
	*Service
	t        testing.TB
	registry *fakeRegistry
	cluster  *kfake.Cluster
	network  *kfake.VirtualNetwork
	metrics  *prometheus.Registry
	log      *strings.Builder
}

// Handler wraps the service's handler: every request and answer is checked against
// the OpenAPI document.
func (e *testEdge) Handler() http.Handler { return openapitest.Wrap(e.t, e.Service.Handler()) }

// newTestEdge starts a service with four shards. In a synctest bubble it first
// moves the clock to today.
func newTestEdge(t testing.TB, cfg Config, opts ...kfake.Opt) *testEdge {
	t.Helper()
	if now := time.Now(); now.Year() == 2000 { // a bubble's clock starts there
		time.Sleep(today.Sub(now))
	}
	e := &testEdge{t: t, registry: newFakeRegistry(t), network: new(kfake.VirtualNetwork), metrics: prometheus.NewRegistry(), log: new(strings.Builder)}
	var err error
	e.cluster, err = kfake.NewCluster(append([]kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(9092), kfake.ListenFn(e.network.Listen),
		kfake.SeedTopics(topic.DefaultShards, topic.Name),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.cluster.Close)
	e.Service, err = New(cfg, Deps{
		Registry: e.registry,
		Kafka:    e.client(KafkaOpts()...),
		Layout:   topic.Layout{Topic: topic.Name, Shards: topic.DefaultShards, Hash: topic.HashName},
		Log:      slog.New(slog.NewTextHandler(&lockedWriter{b: e.log}, &slog.HandlerOptions{Level: slog.LevelWarn})),
		Metrics:  e.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

type lockedWriter struct {
	mu sync.Mutex
	b  *strings.Builder
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (e *testEdge) client(opts ...kgo.Opt) *kgo.Client {
	e.t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(e.cluster.ListenAddrs()...), kgo.Dialer(e.network.DialContext))...)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(cl.Close)
	return cl
}

// post sends body to path as key, with more headers as pairs.
func (e *testEdge) post(path, key, body string, headers ...string) *httptest.ResponseRecorder {
	e.t.Helper()
	r := httptest.NewRequestWithContext(e.t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.SetBasicAuth(key, key+"-secret")
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r)
	return w
}

func (e *testEdge) report(body string, headers ...string) *httptest.ResponseRecorder {
	e.t.Helper()
	return e.post(pathReport, "key1", body, headers...)
}

// storedEvents returns all events in the log, ordered by time and random id.
func (e *testEdge) storedEvents() []schemas.Event {
	e.t.Helper()
	events, _ := e.storedRecords()
	return events
}

// storedRecords reads the whole log: events ordered by time and random id, changes
// in the order of each shard.
func (e *testEdge) storedRecords() ([]schemas.Event, []schemas.Change) {
	e.t.Helper()
	var want int
	for _, p := range e.cluster.PartitionInfos(topic.Name) {
		want += int(p.HighWatermark)
	}
	cl := e.client(kgo.ConsumeTopics(topic.Name), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	var events []schemas.Event
	var changes []schemas.Change
	for len(events)+len(changes) < want {
		fetches := cl.PollFetches(e.t.Context())
		if err := errors.Join(fetches.Err()); err != nil {
			e.t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			var event schemas.Event
			kind, err := topic.Decode(r.Value, &event)
			if kind == topic.Tick || err != nil {
				e.t.Fatalf("record %d/%d: %v, %v", r.Partition, r.Offset, kind, err)
			}
			if want := topic.Shard(event.Product, event.Client, topic.DefaultShards); r.Partition != want {
				e.t.Errorf("client %d is in shard %d, want %d", event.Client, r.Partition, want)
			}
			if want := topic.Key(nil, event.Product, event.Client); string(r.Key) != string(want) {
				e.t.Errorf("key %x, want %x", r.Key, want)
			}
			if kind != topic.Event {
				changes = append(changes, kind.Change(&event))
				return
			}
			events = append(events, event)
		})
	}
	slices.SortStableFunc(events, func(a, b schemas.Event) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Time, b.Time), cmp.Compare(a.RandomID, b.RandomID))
	})
	return events, changes
}

// counter returns a counter or gauge, summed over the labels that are not given.
func (e *testEdge) counter(name string, labels ...string) float64 {
	e.t.Helper()
	families, err := e.metrics.Gather()
	if err != nil {
		e.t.Fatal(err)
	}
	var sum float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			match := true
			for i := 0; i < len(labels); i += 2 {
				for _, l := range m.GetLabel() {
					match = match && (l.GetName() != labels[i] || l.GetValue() == labels[i+1])
				}
			}
			if match {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
