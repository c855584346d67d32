package ingest

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the figures of the edge.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	events   prometheus.Counter
	changes  *prometheus.CounterVec
	badItems prometheus.Counter
	bytes    prometheus.Counter
	publish  prometheus.Histogram
	inFlight prometheus.Gauge
	held     prometheus.GaugeFunc
}

func newMetrics(reg prometheus.Registerer, held func() float64) (*metrics, error) {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_ingest_requests_total", Help: "Requests answered, by endpoint and HTTP status.",
		}, []string{"endpoint", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_ingest_request_duration_seconds", Help: "Time from a request's head to its answer.", Buckets: buckets,
		}, []string{"endpoint"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_ingest_events_total", Help: "Events acknowledged by Kafka and answered with success.",
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_ingest_changes_total", Help: "Changes of clients acknowledged by Kafka and answered with success, by kind: property or contact.",
		}, []string{"kind"}),
		badItems: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_ingest_bad_items_total", Help: "Events, and fields of changes, that were named as bad in an answer.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_ingest_body_bytes_total", Help: "Bytes of bodies read, after decompression.",
		}),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_ingest_publish_duration_seconds", Help: "Time from the first event of a request handed to Kafka to the last acknowledged.", Buckets: buckets,
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_ingest_in_flight_requests", Help: "Requests being worked on.",
		}),
		held: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_ingest_held_bytes", Help: "Bytes of bodies held in memory.",
		}, held),
	}
	if reg == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.requests, m.duration, m.events, m.changes, m.badItems, m.bytes, m.publish, m.inFlight, m.held}
	var errs []error
	for _, c := range all {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register metrics of ingest: %w", err)
	}
	return m, nil
}
