package view

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of one Reader.
type metrics struct {
	scanned  *prometheus.CounterVec
	fetched  *prometheus.CounterVec
	replans  prometheus.Counter
	scanning prometheus.Gauge
	rejected prometheus.Counter
}

// newMetrics registers the figures with reg, unless that is nil.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		scanned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_scanned_rows_total", Help: "Rows that scans yielded to queries, by source: lake or tail.",
		}, []string{"from"}),
		fetched: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_tail_shards_total",
			Help: "Shards whose owner was asked for its tail, by outcome: ok, behind, gone, not_owner, stale, failed.",
		}, []string{"outcome"}),
		replans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_query_replans_total",
			Help: "Plans made again because an owner had committed and dropped the rows, or had lost its shard.",
		}),
		scanning: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_query_scans", Help: "Queries that are scanning now.",
		}),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_query_turned_away_total", Help: "Queries answered 503 because too many were scanning.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.scanned, m.fetched, m.replans, m.scanning, m.rejected} {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register view metrics: %w", err)
	}
	return m, nil
}
