package ingest

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the Prometheus metrics of the Ingestion API.
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
	waiting  prometheus.GaugeFunc
	over     *prometheus.CounterVec
	late     prometheus.GaugeFunc
}

func newMetrics(reg prometheus.Registerer, memory *budget, late *lateShards) (*metrics, error) {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_ingest_requests_total", Help: "Requests to the Ingestion API that were answered, by endpoint and HTTP status.",
		}, []string{"endpoint", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_ingest_request_duration_seconds", Help: "Seconds from the header of a request to the Ingestion API to its answer, by endpoint.", Buckets: buckets,
		}, []string{"endpoint"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_ingest_events_total", Help: "Events that Kafka acknowledged and that were answered with success.",
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_ingest_changes_total", Help: "Changes of clients that Kafka acknowledged and that were answered with success, by kind: property or contact.",
		}, []string{"kind"}),
		badItems: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_ingest_bad_items_total", Help: "Bad fields of events and changes that were named in an answer.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_ingest_body_bytes_total", Help: "Bytes of request bodies that were read, after decompression.",
		}),
		publish: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_ingest_publish_duration_seconds", Help: "Seconds from sending the first record of a request to Kafka to the acknowledgement of its last.", Buckets: buckets,
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_ingest_in_flight_requests", Help: "Requests to the Ingestion API that are being handled.",
		}),
		held: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_ingest_held_bytes", Help: "Bytes of memory that requests to the Ingestion API hold: bodies as they arrive, decoded events, and records until Kafka has acknowledged them.",
		}, func() float64 { return float64(memory.held.Load()) }),
		waiting: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_ingest_waiting_requests", Help: "Requests to the Ingestion API that wait for their turn to be decoded or published.",
		}, func() float64 {
			return float64(memory.large.waiting() + memory.decoders.waiting() + memory.records.waiting())
		}),
		over: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_ingest_over_share_total", Help: "Requests refused because their data source, their account or all requests together were over their part: of memory, or of turns.",
		}, []string{"who", "what"}),
		late: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_ingest_late_shards", Help: "Shards of which records wait for Kafka although their request has given up: what would go there is answered with 503.",
		}, func() float64 { return float64(late.late()) }),
	}
	if reg == nil {
		return m, nil
	}
	all := []prometheus.Collector{m.requests, m.duration, m.events, m.changes, m.badItems, m.bytes, m.publish, m.inFlight, m.held, m.waiting, m.over, m.late}
	var errs []error
	for _, c := range all {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register metrics of ingest: %w", err)
	}
	return m, nil
}
