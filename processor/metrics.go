package processor

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/lake"
)

// metrics is what a processor tells of itself.
type metrics struct {
	lag, logTimeAge                               *prometheus.GaugeVec
	records                                       *prometheus.CounterVec
	cuts, restarts, retries                       *prometheus.CounterVec
	cutSeconds, cutWaited, cutRows, commitSeconds *prometheus.HistogramVec
	commits                                       *prometheus.CounterVec
	compacted                                     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "weir_processor_" + name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_processor_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, first float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_processor_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(first, 4, 9),
		}, labels)
	}
	m := &metrics{
		lag:           gauge("lag_records", "Records of a shard that are in the log and not gathered yet.", "shard"),
		logTimeAge:    gauge("log_time_age_seconds", "How far the log time of a shard was behind the clock when it was last gathered.", "shard"),
		records:       counter("records_total", "Records by verdict: stored, duplicate, dead, control or lost. Counted when their cut is committed.", "shard", "verdict"),
		cuts:          counter("cuts_total", "Cuts by what became of them: committed or dropped.", "shard", "outcome"),
		restarts:      counter("shard_restarts_total", "How often a shard was taken over anew after it had to stop.", "shard"),
		retries:       counter("cut_retries_total", "How often a step of a cut was tried again.", "shard"),
		cutSeconds:    histogram("cut_seconds", "Time from sealing a cut to all tables showing it.", 0.01, "shard"),
		cutWaited:     histogram("cut_waited_seconds", "Time from the first record of a cut to its sealing.", 0.1, "shard"),
		cutRows:       histogram("cut_rows", "Rows of a cut: events and changes of clients.", 10, "shard"),
		commitSeconds: histogram("commit_seconds", "Time of one commit to one table, whatever came of it.", 0.002, "table"),
		commits:       counter("commits_total", "Cuts committed to a table by outcome: committed, already_applied, conflict or unknown.", "table", "outcome"),
		compacted:     counter("compacted_files_total", "Data files that compaction has replaced.", "table"),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.lag, m.logTimeAge, m.records, m.cuts, m.restarts, m.retries, m.cutSeconds, m.cutWaited, m.cutRows,
		m.commitSeconds, m.commits, m.compacted,
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// shardMetrics is the part of metrics that tells of one shard.
type shardMetrics struct {
	*metrics
	name              string
	restarts, retries prometheus.Counter
}

func (m *metrics) shard(shard int32) *shardMetrics {
	name := strconv.Itoa(int(shard))
	return &shardMetrics{metrics: m, name: name, restarts: m.restarts.WithLabelValues(name), retries: m.retries.WithLabelValues(name)}
}

// deleteShard forgets the gauges of a shard that is somebody else's now.
func (m *metrics) deleteShard(shard int32) {
	name := strconv.Itoa(int(shard))
	m.lag.DeleteLabelValues(name)
	m.logTimeAge.DeleteLabelValues(name)
}

func (m *shardMetrics) observeGathered(s *lake.ShardState, end int64) {
	if end > 0 {
		m.lag.WithLabelValues(m.name).Set(float64(max(end-s.Next, 0)))
	}
	m.logTimeAge.WithLabelValues(m.name).Set(time.Since(time.UnixMilli(s.LogTime)).Seconds())
}

func (m *shardMetrics) observeCut(c *sealedCut, r cutResult) {
	if r.err != nil {
		m.cuts.WithLabelValues(m.name, "dropped").Inc()
		return
	}
	m.cuts.WithLabelValues(m.name, "committed").Inc()
	m.cutSeconds.WithLabelValues(m.name).Observe(r.took.Seconds())
	m.cutWaited.WithLabelValues(m.name).Observe(c.sealedAt.Sub(c.openedAt).Seconds())
	m.cutRows.WithLabelValues(m.name).Observe(float64(c.counts.Stored))
	for verdict, n := range map[string]int64{
		"stored": c.counts.Stored, "duplicate": c.counts.Duplicates, "dead": c.counts.Dead,
		"control": c.counts.Control, "lost": c.counts.Lost,
	} {
		m.records.WithLabelValues(m.name, verdict).Add(float64(n))
	}
}
