package query

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of one Service.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	scanned  *prometheus.CounterVec
	asked    *prometheus.CounterVec
	replans  prometheus.Counter
	scanning prometheus.Gauge
	turned   prometheus.Counter
}

// newMetrics registers the figures with reg, unless that is nil.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_requests_total", Help: "Questions answered, by endpoint and HTTP status.",
		}, []string{"endpoint", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_query_request_seconds", Help: "Time from a question to the last byte of its answer, by endpoint.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 11),
		}, []string{"endpoint"}),
		scanned: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_scanned_rows_total", Help: "Rows that scans gave to questions, by where they lay: lake or tail.",
		}, []string{"from"}),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_tail_shards_total",
			Help: "Shards whose owner was asked for its tail, by outcome: ok, behind, gone, not_owner, stale, failed.",
		}, []string{"outcome"}),
		replans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_query_replans_total", Help: "Plans made again because an owner had dropped what was asked for or was none any more.",
		}),
		scanning: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_query_scans", Help: "Questions that are scanning now.",
		}),
		turned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_query_turned_away_total", Help: "Questions answered 503 because too many were scanning.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.scanned, m.asked, m.replans, m.scanning, m.turned} {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register query metrics: %w", err)
	}
	return m, nil
}
