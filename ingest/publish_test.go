package ingest

import (
	"context"
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
	"weir/schemas/topic"
)

// oneEventPerShard returns a body with one event for each shard. Its random ids
// are prefix and the number of the shard.
func oneEventPerShard(prefix string) string {
	var items []string
	for client, seen := int64(1), map[int32]bool{}; len(items) < topic.DefaultShards; client++ {
		if shard := topic.Shard(1001, client, topic.DefaultShards); !seen[shard] {
			seen[shard] = true
			items = append(items, fmt.Sprintf(`{"euid":%d,"event_name":"a","itime":1700000000001,"random_id":"%s%d"}`, client, prefix, shard))
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
		// The broker answers after five seconds; the client must not get its answer earlier.
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

// TestPartialFailure lets one shard fail permanently. The answer asks for the same
// request again; afterwards all events are stored, and those stored twice have the
// same random id.
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

// TestTemporaryFaultIsRetried checks that the client does not see a temporary fault
// and that the idempotent producer stores each record once.
func TestTemporaryFaultIsRetried(t *testing.T) {
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

// TestBrokerDown checks that a request without an acknowledgement gets 503 after
// PublishTimeout, and that requests succeed again once the broker does.
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
		if !strings.Contains(e.log.String(), "requests answered 503") {
			t.Errorf("the log has no line for the 503: %s", e.log)
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

// TestSilentBroker has a broker that accepts requests and never answers. While every
// shard has an undecided batch, all other requests get 503 at once.
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
			t.Errorf("while a batch is undecided: %d %s after %v", w.Code, w.Body, time.Since(start))
		}
		if err := e.Ready(t.Context()); err == nil {
			t.Error("ready while a batch is undecided")
		}
		if held := e.memory.held.Load(); held < 4*recordBytes || e.memory.records.inside == 0 {
			t.Errorf("%d bytes are charged for records that Kafka may still have", held)
		}
		close(release)
		time.Sleep(time.Minute)
		synctest.Wait()
		if held := e.memory.held.Load(); held != 0 || e.memory.records.inside != 0 {
			t.Errorf("%d bytes are charged after the last acknowledgement", held)
		}
		e.wantNoLateShards()
		if w := e.report(oneEventPerShard("d")); w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if got := randomIDs(e.storedEvents()); !slices.Contains(got, "d3") || slices.Contains(got, "c0") {
			t.Errorf("stored %q", got)
		}
	})
}

// wantNoLateShards checks that nothing is counted as slow or late any more.
func (e *testEdge) wantNoLateShards() {
	e.t.Helper()
	for i := range e.lateShards.shards {
		if slow, late := e.lateShards.shards[i].slow.Load(), e.lateShards.shards[i].late.Load(); slow != 0 || late != 0 {
			e.t.Errorf("shard %d: %d batches count as slow and %d as late although Kafka has decided on all", i, slow, late)
		}
	}
	if n := e.lateShards.slowBytes.Load(); n != 0 {
		e.t.Errorf("%d bytes count as waiting for slow shards", n)
	}
}

// oneEvent returns a body with one event of a client of the shard, which is padded to
// about size bytes.
func oneEvent(shard int32, id string, size int) string {
	for client := int64(1); ; client++ {
		if topic.Shard(1001, client, topic.DefaultShards) == shard {
			return fmt.Sprintf(`{"data":[{"euid":%d,"event_name":"a","itime":1700000000001,"random_id":%q,"properties":{"pad":%q}}]}`,
				client, id, strings.Repeat("x", size))
		}
	}
}

// TestLateShardCostsNoOther has a partition that acknowledges nothing for two minutes,
// in which the Kafka client gives records up and begins anew. What goes there alone, or
// with others, gets 503: after PublishTimeout, and then at once. All else is taken
// without waiting.
func TestLateShardCostsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{PublishTimeout: 3 * time.Second})
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		fault := e.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{2}, Err: kerr.NotEnoughReplicas, Count: -1})
		start := time.Now()
		if w := e.report(oneEvent(2, "b", 0)); w.Code != http.StatusServiceUnavailable || time.Since(start) != 3*time.Second {
			t.Errorf("to the late shard: %d %s after %v", w.Code, w.Body, time.Since(start))
		}
		if got := e.counter("weir_ingest_late_shards"); got != 1 {
			t.Errorf("weir_ingest_late_shards = %v, want 1", got)
		}
		for _, body := range []string{oneEvent(2, "c", 0), oneEventPerShard("c")} {
			start = time.Now()
			if w := e.report(body); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || time.Since(start) != 0 {
				t.Errorf("while the shard is late: %d %s after %v", w.Code, w.Body, time.Since(start))
			}
		}
		for i := range 120 {
			for _, shard := range []int32{0, 1, 3} {
				start := time.Now()
				if w := e.report(oneEvent(shard, fmt.Sprintf("ok-%d-%03d", shard, i), 0)); w.Code != http.StatusOK || time.Since(start) > time.Second {
					t.Fatalf("to shard %d after %d s: %d %s after %v", shard, i, w.Code, w.Body, time.Since(start))
				}
			}
			if err := e.Ready(t.Context()); err != nil {
				t.Errorf("ready = %v although three of four shards are written to", err)
			}
			time.Sleep(time.Second)
		}
		fault.Remove()
		time.Sleep(time.Minute)
		e.wantNoLateShards()
		if w := e.report(oneEventPerShard("d")); w.Code != http.StatusOK {
			t.Errorf("afterwards: %d %s", w.Code, w.Body)
		}
		got := slices.DeleteFunc(randomIDs(e.storedEvents()), func(id string) bool { return strings.HasPrefix(id, "a") || strings.HasPrefix(id, "d") })
		if n := len(slices.Compact(slices.Clone(got))); n != len(got) || len(got) < 360 || slices.Contains(got, "c0") {
			t.Errorf("stored %d events of shards that are not late, %d different ones, want 360 each once, and none of what was refused", len(got), n)
		}
	})
}

// TestSlowShardLeavesPlaces sends to a partition that acknowledges nothing more than
// may be with Kafka at once, before the first request has given up. Others still find
// a place, without waiting.
func TestSlowShardLeavesPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{PublishTimeout: 10 * time.Second, MaxUnackedBytes: 64 << 10})
		if w := e.report(oneEventPerShard("a")); w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		fault := e.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Partitions: []int32{2}, Err: kerr.NotEnoughReplicas, Count: -1})
		var wg sync.WaitGroup
		send := func(i int) {
			wg.Go(func() {
				if w := e.report(oneEvent(2, fmt.Sprint(i), 10<<10)); w.Code != http.StatusServiceUnavailable {
					t.Errorf("to the slow shard: %d %s", w.Code, w.Body)
				}
			})
		}
		send(0)
		time.Sleep(slowAfter + time.Millisecond)
		for i := range 20 {
			send(1 + i)
			time.Sleep(100 * time.Millisecond)
			start := time.Now()
			if w := e.report(oneEvent(1, fmt.Sprint("ok", i), 10<<10)); w.Code != http.StatusOK || time.Since(start) > time.Second {
				t.Errorf("to another shard: %d %s after %v", w.Code, w.Body, time.Since(start))
			}
		}
		if inside := e.memory.records.inside; inside < 10<<10 || inside > 32<<10+12<<10 {
			t.Errorf("records of %d bytes wait for the slow shard, want about half of the places", inside)
		}
		wg.Wait()
		fault.Remove()
		time.Sleep(time.Minute)
		e.wantNoLateShards()
		if w := e.report(oneEventPerShard("d")); w.Code != http.StatusOK {
			t.Errorf("afterwards: %d %s", w.Code, w.Body)
		}
	})
}

// TestClientHangsUp checks that a client that disconnects while its events are
// buffered does not fail the buffered events of other requests.
func TestClientHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		if w := e.report(oneEventPerShard("first")); w.Code != http.StatusOK { // the Kafka client now knows its brokers
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
				t.Errorf("the other request: %d %s", w.Code, w.Body)
			}
		})
		time.Sleep(500 * time.Microsecond) // both are still within ProducerLinger
		hangUp()
		wg.Wait()
		if got := randomIDs(e.storedEvents()); !slices.Contains(got, "stays0") || !slices.Contains(got, "stays3") {
			t.Errorf("stored %q", got)
		}
	})
}
