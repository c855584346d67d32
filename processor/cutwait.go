package processor

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// cutWait is since when a shard has a sealed cut that is not in all tables yet. A cut
// that waits is retried for a day, in which nothing else of the shard is stuck or
// lost, so nobody notices unless this is shown.
type cutWait struct {
	mu    sync.Mutex // guards since
	since time.Time  // zero: no cut waits
}

func (w *cutWait) begin(sealedAt time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = sealedAt
}

func (w *cutWait) end() { w.begin(time.Time{}) }

// waited returns how long the cut has waited, 0 when none does.
func (w *cutWait) waited() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return 0
	}
	return time.Since(w.since)
}

// lateCut reports a cut that waits too long to be committed.
func (w *worker) lateCut() error {
	if waited := w.cutWait.waited(); waited > w.cfg.MaxCutWait {
		return fmt.Errorf("a sealed cut waits for %s to be committed, more than processor.max_cut_wait (%s)",
			waited.Round(time.Second), w.cfg.MaxCutWait)
	}
	return nil
}

// oldestSealedCut returns how long the oldest sealed cut of all shards has waited.
func oldestSealedCut(s *Service) (oldest time.Duration) {
	for _, o := range s.owned() {
		oldest = max(oldest, o.worker.cutWait.waited())
	}
	return oldest
}

// exportCutWait registers the metric of oldestSealedCut.
func exportCutWait(s *Service, reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_processor_oldest_sealed_cut_seconds",
		Help: "How long the oldest sealed cut of this process has waited to be in all tables; 0 when none waits.",
	}, func() float64 { return oldestSealedCut(s).Seconds() }))
}
