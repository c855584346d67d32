package query

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of the requests of one Service.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	slow     prometheus.Counter

	manyEvents prometheus.Counter
}

// newMetrics registers the figures with reg, unless that is nil.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_requests_total", Help: "Requests answered, by endpoint and HTTP status.",
		}, []string{"endpoint", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_query_request_duration_seconds", Help: "Time from a request's head to the last byte of its answer, by endpoint.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 11),
		}, []string{"endpoint"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_refused_total", Help: "Questions answered 400 because they would cost more than they may, by limit, which is a setting below query.",
		}, []string{"limit"}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_query_slow_readers_total", Help: "Answers that were cut off because their client read too slowly, or not at all.",
		}),
		manyEvents: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_query_many_events_total", Help: "Answers that counted events together as <OTHER>, because their product has more than query.max_event_names.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	if err := errors.Join(reg.Register(m.requests), reg.Register(m.duration), reg.Register(m.refused), reg.Register(m.slow), reg.Register(m.manyEvents)); err != nil {
		return nil, fmt.Errorf("register query metrics: %w", err)
	}
	return m, nil
}
