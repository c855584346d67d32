package processor

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

// breakStore makes every step fail until it is called again.
func (w *harness) breakStore() (mend func()) {
	w.backend.Faults.Set(func(laketest.Step) laketest.Kind { return laketest.Lost })
	return func() { w.backend.Faults.Set(nil) }
}

// TestStoreOutageStopsFetching: the store is away for an hour. The shard holds
// what its memory may take, answers the tail meanwhile, and then has all.
func TestStoreOutageStopsFetching(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{GatherBytes: 3 * 20_000})
		mend := w.breakStore()
		w.post(0, numbered(5000)...)
		time.Sleep(time.Hour)
		buffer := p.service.owned()[0].worker.buffer
		buffer.mu.Lock()
		sum := buffer.rows.Bytes()
		for _, piece := range buffer.cuts {
			sum += piece.bytes
		}
		next := buffer.gathered.next
		buffer.mu.Unlock()
		if next == 5000 || sum > 2*60_000+recordsPerStep*300 {
			t.Errorf("held %d bytes up to offset %d, want that it waits at its memory", sum, next)
		}
		if _, offsets, err := p.tailOf(0, 0); err != nil || len(offsets) == 0 {
			t.Errorf("tail meanwhile: %v, %v", offsets, err)
		}
		mend()
		time.Sleep(5 * time.Minute)
		p.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 5000})
		w.checkDone()
	})
}

func TestCutBySize(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{CutAge: time.Hour, GatherBytes: 3 * 20_000})
		w.post(0, numbered(5000)...)
		time.Sleep(30 * time.Second)
		if got := w.shardStates(lake.Events)[0].Next; got < 4000 {
			t.Errorf("events stands at %d long before the cut's age, want most of 5000", got)
		}
		p.stopAndWait()
		w.checkDone()
	})
}

// TestDrainTimeout: what cannot be committed in time is taken in again by the
// next process.
func TestDrainTimeout(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{DrainTimeout: 10 * time.Second})
		w.post(0, "a")
		time.Sleep(time.Second)
		mend, began := w.breakStore(), time.Now()
		p.stopAndWait()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("drain took %s, want the timeout of 10s", took)
		}
		mend()
		w.start("q", Config{}).stopAfter(func() { time.Sleep(time.Second) })
		w.wantCounters(0, lake.Counters{Stored: 1})
		w.checkDone()
	})
}

// TestLostRecordsNeedAcceptance: Kafka has lost what the lake has not taken in. The shard
// stops until an operator accepts, and then the balance shows it.
func TestLostRecordsNeedAcceptance(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a", "b") })
		w.post(0, "c", "d", "e")
		offsets := kadm.Offsets{}
		offsets.AddOffset(topic.Name, 0, 4, -1)
		_, err := kadm.NewClient(w.producer).DeleteRecords(t.Context(), offsets)
		w.must(err)
		p := w.start("q", Config{})
		time.Sleep(10 * time.Second)
		if err := p.service.Ready(); err == nil || !strings.Contains(err.Error(), `"0@2:OFFSET"`) {
			t.Errorf("ready = %v, want how to accept the loss", err)
		}
		p.stopAndWait()
		for range 2 { // the same text at a later start does no harm
			w.start("r", Config{AcceptLoss: "0@2:4"}).stopAfter(func() { time.Sleep(10 * time.Second) })
		}
		w.wantCounters(0, lake.Counters{Stored: 3, Lost: 2})
	})
}

// TestRecreatedTopic: the lake goes on with another log, whose offsets are behind
// its own.
func TestRecreatedTopic(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() { w.post(0, "a", "b", "c") })
		w.commitForeignLog(0) // stands at 4 now, of a log that is gone
		accept := Config{AcceptLoss: "0@4:2"}
		w.start("q", accept).stopAfter(func() { w.post(0, "d") })
		w.start("r", accept).stopAfter(func() { w.post(0, "a", "e") })
		w.wantCounters(0, lake.Counters{Stored: 5, Duplicates: 2, Lost: 1}) // c was taken in again
		if got := w.shardStates(lake.Events)[0]; got.Next != 8 || got.Position.Base != 2 {
			t.Errorf("events stands at %d with base %d, want 8 and 2", got.Next, got.Position.Base)
		}
		committed, err := CommittedOffsets(t.Context(), w.reader)
		if diff := cmp.Diff(map[int32]int64{0: 6}, committed); diff != "" || err != nil {
			t.Errorf("committed offsets of the log, %v (-want +got):\n%s", err, diff)
		}
	})
}

// TestGroupOffsetsAreCommitted: for those who watch lag there.
func TestGroupOffsetsAreCommitted(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{CutAge: time.Second})
		w.post(0, "a", "b")
		time.Sleep(20 * time.Second)
		offsets, err := kadm.NewClient(w.producer).FetchOffsets(t.Context(), groupID)
		if o, ok := offsets.Lookup(topic.Name, 0); err != nil || !ok || o.At != 2 {
			t.Errorf("offset of group %s = %+v, %v; want 2", groupID, o, err)
		}
		p.stopAndWait()
	})
}

func TestTailRequiresSecret(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{Secret: "s"})
		time.Sleep(time.Second)
		ask := func(secret string) int {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, tail.Path, strings.NewReader(`{"from":{"0":0}}`))
			r.Header.Set("Authorization", "Bearer "+secret)
			answer := httptest.NewRecorder()
			p.service.Handler().ServeHTTP(answer, r)
			return answer.Code
		}
		if got := [2]int{ask("s"), ask("other")}; got != [2]int{http.StatusOK, http.StatusUnauthorized} {
			t.Errorf("status with the secret and with another = %v, want 200 and 401", got)
		}
		if err := p.service.Ready(); err != nil {
			t.Errorf("ready = %v, want nil", err)
		}
		p.stopAndWait()
	})
}

func TestNewRejectsBadConfig(t *testing.T) {
	for _, cfg := range []Config{{DedupeWindow: time.Minute}, {DedupeWindow: 31 * 24 * time.Hour}, {AcceptLoss: "nonsense"}} {
		if _, err := New(cfg, Deps{}); err == nil {
			t.Errorf("New accepts %+v", cfg)
		}
	}
}
