package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/schemas"
	"weir/schemas/registry"
	"weir/schemas/topic"
)

// oneEventPerShard is a body with one event in each shard, whose random ids begin with
// prefix and end with the shard.
func oneEventPerShard(prefix string) string {
	var items []string
	for client, seen := int64(1), map[int32]bool{}; len(items) < topic.DefaultShards; client++ {
		if shard := topic.Shard(1001, client, topic.DefaultShards); !seen[shard] {
			seen[shard] = true
			items = append(items, fmt.Sprintf(`{"euid":%d,"event_name":"a","itime":1,"random_id":"%s%d"}`, client, prefix, shard))
		}
	}
	return `{"data":[` + strings.Join(items, ",") + `]}`
}

func randomIDs(events []schemas.Event) []string {
	var got []string
	for _, e := range events {
		got = append(got, e.RandomID)
	}
	slices.Sort(got)
	return got
}

func TestSuccessMeansDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		// The broker answers in five seconds; the client hears nothing before it.
		e.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			e.cluster.KeepControl()
			e.cluster.SleepControl(func() { time.Sleep(5 * time.Second) })
			return nil, nil, false
		})
		start := time.Now()
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if took := time.Since(start); took < 5*time.Second {
			t.Errorf("answered after %v, before the broker had", took)
		}
		e.cluster.DropControl()
		if got, want := randomIDs(e.storedEvents()), []string{"a0", "a1", "a2", "a3"}; !slices.Equal(got, want) {
			t.Errorf("stored %q, want %q", got, want)
		}
	})
}

// TestPartialFailure: one shard refuses for good. The answer asks to send all
// of it again, and then all of it is there; what was there twice has the same
// random id.
func TestPartialFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		fault := e.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{2}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		w := e.report(oneEventPerShard("p"))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("with one shard down: %d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		if got := decodeEnvelope(t, w.Body.Bytes()); got.Code != 90503 {
			t.Errorf("code %d, want 90503", got.Code)
		}
		if got, want := randomIDs(e.storedEvents()), []string{"p0", "p1", "p3"}; !slices.Equal(got, want) {
			t.Errorf("stored %q, want %q", got, want)
		}
		fault.Remove()
		if w := e.report(oneEventPerShard("p")); w.Code != http.StatusOK {
			t.Errorf("sent again: %d %s", w.Code, w.Body)
		}
		if got, want := randomIDs(e.storedEvents()), []string{"p0", "p0", "p1", "p1", "p2", "p3", "p3"}; !slices.Equal(got, want) {
			t.Errorf("stored %q, want %q", got, want)
		}
		if got := e.counter("weir_ingest_events_total"); got != 4 {
			t.Errorf("weir_ingest_events_total = %v, want the 4 that were answered with success", got)
		}
	})
}

// TestRetriesInside: a fault that passes costs the client nothing, and the
// broker's memory of sequences keeps the record single.
func TestRetriesInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		e.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicasAfterAppend, Count: 2})
		if w := e.report(oneEventPerShard("r")); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if got, want := randomIDs(e.storedEvents()), []string{"r0", "r1", "r2", "r3"}; !slices.Equal(got, want) {
			t.Errorf("stored %q, want %q", got, want)
		}
	})
}

// TestBrokerDown: no answer from Kafka is a 503 after PublishTimeout; the next
// ones do not even wait; and when Kafka is back, so are we.
func TestBrokerDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{PublishTimeout: 3 * time.Second})
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		down := e.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: -1})
		start := time.Now()
		w := e.report(oneEventPerShard("b"))
		if took := time.Since(start); w.Code != http.StatusServiceUnavailable || took > 10*time.Second {
			t.Errorf("%d after %v: %s", w.Code, took, w.Body)
		}
		if w.Header().Get("Retry-After") == "" {
			t.Error("a 503 without Retry-After")
		}
		if !strings.Contains(e.log.String(), "requests refused for now") {
			t.Errorf("the log does not say why: %s", e.log)
		}
		down.Remove()
		time.Sleep(time.Minute)
		if w := e.report(oneEventPerShard("c")); w.Code != http.StatusOK {
			t.Errorf("with the broker back: %d %s", w.Code, w.Body)
		}
		got := randomIDs(e.storedEvents())
		for _, id := range []string{"a0", "a1", "a2", "a3", "c0", "c1", "c2", "c3"} {
			if !slices.Contains(got, id) {
				t.Errorf("acknowledged event %s is not in the log: %q", id, got)
			}
		}
	})
}

// TestSilentBroker: a broker that takes requests and never answers. What is on
// its way cannot be taken back, so until it is decided nobody else is let in.
func TestSilentBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{PublishTimeout: 3 * time.Second})
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		release := make(chan struct{})
		e.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			e.cluster.SleepControl(func() { <-release })
			return nil, nil, false
		})
		start := time.Now()
		if w := e.report(oneEventPerShard("b")); w.Code != http.StatusServiceUnavailable || time.Since(start) != 3*time.Second {
			t.Errorf("%d %s after %v", w.Code, w.Body, time.Since(start))
		}
		start = time.Now()
		if w := e.report(oneEventPerShard("c")); w.Code != http.StatusServiceUnavailable || time.Since(start) != 0 {
			t.Errorf("while one is stuck: %d %s after %v", w.Code, w.Body, time.Since(start))
		}
		if err := e.Ready(t.Context()); err == nil {
			t.Error("ready while one is stuck")
		}
		close(release)
		time.Sleep(time.Minute)
		if n := e.timedOutBatches.Load(); n != 0 {
			t.Errorf("%d are stuck after the broker has answered", n)
		}
		if w := e.report(oneEventPerShard("d")); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if got := randomIDs(e.storedEvents()); !slices.Contains(got, "d3") || slices.Contains(got, "c0") {
			t.Errorf("stored %q", got)
		}
	})
}

// TestClientHangsUp: a client that goes away while its events wait to be sent
// fails nobody else's events that wait with them.
func TestClientHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		if w := e.report(oneEventPerShard("first")); w.Code != http.StatusOK { // the client now knows its brokers
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		ctx, hangUp := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, pathReport, strings.NewReader(oneEventPerShard("gone")))
			r.SetBasicAuth("key1", "key1-secret")
			e.Handler().ServeHTTP(httptest.NewRecorder(), r)
		})
		time.Sleep(500 * time.Microsecond)
		wg.Go(func() {
			if w := e.report(oneEventPerShard("stays")); w.Code != http.StatusOK {
				t.Errorf("the neighbour: %d %s", w.Code, w.Body)
			}
		})
		time.Sleep(500 * time.Microsecond) // both linger still
		hangUp()
		wg.Wait()
		if got := randomIDs(e.storedEvents()); !slices.Contains(got, "stays0") || !slices.Contains(got, "stays3") {
			t.Errorf("stored %q", got)
		}
	})
}

func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{MaxInFlight: 3})
		release := make(chan struct{})
		e.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
			e.cluster.KeepControl()
			e.cluster.SleepControl(func() { <-release })
			return nil, nil, false
		})
		var wg sync.WaitGroup
		accepted := func(key, prefix string) {
			if w := e.post(pathReport, key, oneEventPerShard(prefix)); w.Code != http.StatusOK {
				t.Errorf("%s of %s: %d %s", prefix, key, w.Code, w.Body)
			}
		}
		for i := range 3 {
			wg.Go(func() { accepted("key1", fmt.Sprint("a", i)) })
		}
		time.Sleep(time.Second)
		w := e.report(oneEventPerShard("b"))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Errorf("the fourth: %d %s, Retry-After %q", w.Code, w.Body, w.Header().Get("Retry-After"))
		}
		wg.Go(func() { accepted("key2", "c") })
		time.Sleep(time.Second)
		close(release)
		wg.Wait()
		accepted("key1", "d")
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{}) // key "slow" has 10 events a second and a bucket of 1,000
		items := func(n int) string {
			return `{"data":[` + strings.TrimSuffix(strings.Repeat(goodItem+",", n), ",") + `]}`
		}
		if w := e.post(pathReport, "slow", items(1000)); w.Code != http.StatusOK {
			t.Errorf("a full bucket: %d %s", w.Code, w.Body)
		}
		refused := func(name, body, after string) {
			t.Helper()
			w := e.post(pathReport, "slow", body)
			if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != after {
				t.Errorf("%s: %d %s, Retry-After %q, want %s", name, w.Code, w.Body, w.Header().Get("Retry-After"), after)
			}
		}
		refused("an empty one, which reads no body", "not even JSON", "1")
		time.Sleep(time.Second)
		refused("one of 10 that needs 25", items(25), "2")
		time.Sleep(2 * time.Second)
		if w := e.post(pathReport, "slow", items(25)); w.Code != http.StatusOK {
			t.Errorf("after Retry-After: %d %s", w.Code, w.Body)
		}
		if w := e.report(items(1000)); w.Code != http.StatusOK {
			t.Errorf("a key without a rate: %d %s", w.Code, w.Body)
		}
	})
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		full := errors.New("disk has 1 % left")
		e.deps.Full = func() error { return full }
		w := e.report(oneEventPerShard("a"))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if strings.Contains(w.Body.String(), "disk") || !strings.Contains(e.log.String(), "disk") {
			t.Errorf("why belongs into the log (%s), not into the answer (%s)", e.log, w.Body)
		}
		if err := e.Ready(t.Context()); !errors.Is(err, full) {
			t.Errorf("Ready: %v, want %v", err, full)
		}
		e.deps.Full = func() error { return nil }
		if err := e.Ready(t.Context()); err != nil {
			t.Errorf("Ready: %v", err)
		}
	})
}

func TestRegistryDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		e.registry.fail(errors.New("connection refused by db.internal"))
		for _, path := range []string{pathReport, pathRegister} {
			w := e.post(path, "key1", oneEventPerShard("a"))
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "db.internal") {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		e.registry.fail(nil)
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{MaxHeldBytes: 1 << 20})
		pad := strings.Repeat(" ", 2<<20)
		if w := e.report(`{"data":[` + pad + goodItem + `]}`); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Errorf("a small one: %d %s", w.Code, w.Body)
		}
		if held := e.heldBytes.Load(); held != 0 {
			t.Errorf("%d bytes are still counted as held", held)
		}
	})
}

// TestAccountsApart: a key writes to its own product and to no other, whatever
// its events say.
func TestAccountsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		body := `{"product_id":1001,"product":1001,"data":[{"product_id":1001,"euid":5,"event_name":"a","itime":1,"random_id":"same",` +
			`"properties":{"$product":1001,"product_id":1001}}]}`
		for _, key := range []string{"key1", "key2"} {
			if w := e.post(pathReport, key, body); w.Code != http.StatusOK {
				t.Errorf("%s: %d %s", key, w.Code, w.Body)
			}
		}
		var products []int64
		for _, event := range e.storedEvents() {
			products = append(products, event.Product)
		}
		if want := []int64{1001, 2002}; !slices.Equal(products, want) {
			t.Errorf("products %v, want %v", products, want)
		}

		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, pathReport, strings.NewReader(body))
		r.SetBasicAuth("key1", "key2-secret")
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("the secret of another account: %d %s", w.Code, w.Body)
		}

		register := `{"identity_name":"user_id","identity_values":["alice"]}`
		mine, theirs := e.post(pathRegister, "key1", register), e.post(pathRegister, "key2", register)
		if mine.Code != http.StatusOK || theirs.Code != http.StatusOK || mine.Body.String() == theirs.Body.String() {
			t.Errorf("the same person in two products: %s, %s", mine.Body, theirs.Body)
		}
	})
}

// TestSlowBody runs over a real connection: deadlines are the connection's.
func TestSlowBody(t *testing.T) {
	e := newTestEdge(t, Config{ReadTimeout: 50 * time.Millisecond})
	server := httptest.NewServer(e.Handler())
	defer server.Close()
	body, stop := newStalledReader()
	defer stop()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+pathReport, body)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("key1", "key1-secret")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestTimeout {
		t.Errorf("status %d, want 408", answer.StatusCode)
	}
}

func TestNewNeedsItsParts(t *testing.T) {
	for name, deps := range map[string]Deps{
		"nothing":   {},
		"no layout": {Registry: newFakeRegistry(), Kafka: newTestEdge(t, Config{}).deps.Kafka, Log: newTestEdge(t, Config{}).deps.Log},
	} {
		if _, err := New(Config{}, deps); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
}

var _ Registry = (*registry.Registry)(nil)

// newStalledReader gives one byte and then nothing until stop.
func newStalledReader() (*stalledReader, func()) {
	s := &stalledReader{until: make(chan struct{})}
	return s, func() { close(s.until) }
}

type stalledReader struct {
	begun bool
	until chan struct{}
}

func (s *stalledReader) Read(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		p[0] = '{'
		return 1, nil
	}
	<-s.until
	return 0, errors.New("stopped")
}
