package processor

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/lake"
)

// metrics holds the metrics of a processor.
type metrics struct {
	lag, logTimeAge                               *prometheus.GaugeVec
	records                                       *prometheus.CounterVec
	cuts, restarts, retries                       *prometheus.CounterVec
	cutSeconds, cutWaited, cutRows, commitSeconds *prometheus.HistogramVec
	commits                                       *prometheus.CounterVec
	compacted                                     *prometheus.CounterVec
	propertiesLeftOut                             *prometheus.CounterVec
	unreadable, snapshots, waiting, files         *prometheus.GaugeVec
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
		lag:           gauge("lag_records", "Records of a shard that are in the log but not gathered yet.", "shard"),
		logTimeAge:    gauge("log_time_age_seconds", "How far the log time of a shard was behind the clock when its records were last gathered.", "shard"),
		records:       counter("records_total", "Records by verdict (stored, duplicate, dead, control, lost or hole: a record that is missing in the log), counted when their cut is committed.", "shard", "verdict"),
		cuts:          counter("cuts_total", "Cuts by outcome: committed to all tables, or dropped to be gathered again.", "shard", "outcome"),
		restarts:      counter("shard_restarts_total", "How often a shard was taken over again after an error or a conflict.", "shard"),
		retries:       counter("cut_retries_total", "How often writing or committing a cut was retried.", "shard"),
		cutSeconds:    histogram("cut_seconds", "Time from sealing a cut until all tables have it.", 0.01, "shard"),
		cutWaited:     histogram("cut_waited_seconds", "Time from the first record of a cut until it was sealed.", 0.1, "shard"),
		cutRows:       histogram("cut_rows", "Rows of a cut: events and client changes.", 10, "shard"),
		commitSeconds: histogram("commit_seconds", "Duration of one commit to one table, successful or not.", 0.002, "table"),
		commits:       counter("commits_total", "Cuts by outcome of their commit to a table: committed, already_applied (the table was at the end of the cut already), conflict (another owner has moved the shard) or unknown.", "table", "outcome"),
		unreadable:    gauge("unreadable_files", "Data files that the last compaction could not read, 1 for each, at most 20 a table.", "table", "file"),
		snapshots:     gauge("live_snapshots", "Live snapshots of a table as of the last commit. Past 100 this process pauses between commits, up to 10 s.", "table"),
		files:         gauge("live_files", "Data files of the newest snapshot of a table, when compaction last looked.", "table"),
		waiting:       gauge("runs_waiting", "Data files of a table that waited to be merged when compaction last looked. Past 256 of a table this process pauses between commits, up to 10 s.", "table"),
		compacted:     counter("compacted_files_total", "Data files that compaction has replaced with larger ones.", "table"),
	}
	m.propertiesLeftOut = counter("client_properties_left_out_total",
		"Client properties that rollups did not take, since their clients have more outside the catalogue than a row keeps; each text of $client and each row counts them once a cut. They stay in the events.", "shard")
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		m.lag, m.logTimeAge, m.records, m.cuts, m.restarts, m.retries, m.cutSeconds, m.cutWaited, m.cutRows,
		m.commitSeconds, m.commits, m.compacted, m.propertiesLeftOut, m.unreadable, m.snapshots, m.waiting, m.files,
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// shardMetrics is the part of metrics that is about one shard.
type shardMetrics struct {
	*metrics
	name              string
	restarts, retries prometheus.Counter
}

func (m *metrics) shard(shard int32) *shardMetrics {
	name := strconv.Itoa(int(shard))
	return &shardMetrics{metrics: m, name: name, restarts: m.restarts.WithLabelValues(name), retries: m.retries.WithLabelValues(name)}
}

// deleteShard removes the gauges of a shard that this process no longer owns: they
// would otherwise show its last values as long as the process runs.
func (m *metrics) deleteShard(shard int32) {
	name := strconv.Itoa(int(shard))
	m.lag.DeleteLabelValues(name)
	m.logTimeAge.DeleteLabelValues(name)
}

// observeUnreadable shows the data files that the last compaction of t could not read,
// and no longer those of the one before.
func (m *metrics) observeUnreadable(t lake.Table, paths []string) {
	m.unreadable.DeletePartialMatch(prometheus.Labels{"table": string(t)})
	for _, path := range paths {
		m.unreadable.WithLabelValues(string(t), path).Set(1)
	}
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
	m.propertiesLeftOut.WithLabelValues(m.name).Add(float64(c.propertiesLeftOut))
	for verdict, n := range map[string]int64{
		"stored": c.counts.Stored, "duplicate": c.counts.Duplicates, "dead": c.counts.Dead,
		"control": c.counts.Control, "lost": c.counts.Lost, "hole": c.counts.Holes,
	} {
		m.records.WithLabelValues(m.name, verdict).Add(float64(n))
	}
}
