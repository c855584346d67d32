package processor

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// TestLateCutIsNotReady has a store that is down for longer than a cut may wait. Ready
// says so, and no longer when the cut is committed.
func TestLateCutIsNotReady(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{CutAge: cutAge, MaxCutWait: time.Minute})
		defer p.stopAndWait()
		w.post(0, "a")
		w.backend.Faults.Set(func(laketest.Step) laketest.Kind { return laketest.Lost })
		time.Sleep(cutAge + 50*time.Second)
		if err := p.service.Ready(); err != nil {
			t.Errorf("ready = %v although the cut has waited for less than a minute", err)
		}
		time.Sleep(20 * time.Second)
		if err := p.service.Ready(); err == nil || !strings.Contains(err.Error(), "processor.max_cut_wait") {
			t.Errorf("ready = %v, want that a cut waits", err)
		}
		if got := oldestSealedCut(p.service); got < time.Minute {
			t.Errorf("oldest sealed cut: %s", got)
		}
		w.backend.Faults.Set(nil)
		time.Sleep(time.Minute)
		if err := p.service.Ready(); err != nil {
			t.Errorf("ready = %v, want nil after the cut was committed", err)
		}
		if got := oldestSealedCut(p.service); got != 0 {
			t.Errorf("oldest sealed cut: %s, want none", got)
		}
		w.wantCounters(0, lake.Counters{Stored: 1})
	})
}

// TestCommitsHaveADeadline lets one commit hang for longer than it may take. It fails
// then as one of unknown result, and the shard's cut is committed all the same.
func TestCommitsHaveADeadline(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{CutAge: cutAge, CommitTimeout: time.Minute})
		var hung atomic.Bool
		w.backend.Faults.Set(func(s laketest.Step) laketest.Kind {
			if s == laketest.PutMetadata && hung.CompareAndSwap(false, true) {
				time.Sleep(2 * time.Minute)
			}
			return laketest.None
		})
		w.post(0, "a")
		time.Sleep(5 * time.Minute)
		p.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 1})
		if !hung.Load() {
			t.Fatal("no commit hung")
		}
		c := &committer{lake: w.reader, timeout: time.Minute}
		hung.Store(false)
		s := &submission{cut: &sealedCut{id: "late", from: 1, to: lake.ShardState{Next: 2}, sealedAt: time.Now()}}
		if _, err := c.commitOnce(t.Context(), lake.DeadLetters, []*submission{s}); !errors.Is(err, errCommitTimeout) {
			t.Errorf("commit that hangs: %v, want %v", err, errCommitTimeout)
		}
	})
}

// TestCutWaitMetric finds the metric of the oldest sealed cut.
func TestCutWaitMetric(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		reg := prometheus.NewRegistry()
		_, err := New(Config{}, Deps{Registry: w.registry, Lake: w.reader, Kafka: w.kafka, Layout: w.layout, Log: w.log, Metrics: reg})
		w.must(err)
		families, err := reg.Gather()
		w.must(err)
		for _, f := range families {
			if f.GetName() == "weir_processor_oldest_sealed_cut_seconds" {
				return
			}
		}
		t.Error("no metric of the oldest sealed cut")
	})
}
