package export

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/places"
	"weir/schemas/registry"
)

// metrics are the figures of exports.
type metrics struct {
	files   *prometheus.CounterVec
	rows    *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	seconds prometheus.Histogram
	through prometheus.Gauge

	building, waiting prometheus.GaugeFunc
	rejected          *prometheus.CounterVec
}

// newMetrics registers the figures with reg, unless that is nil.
func newMetrics(reg prometheus.Registerer, builds func() places.Usage) (*metrics, error) {
	m := &metrics{
		files: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_export_files_total", Help: "Export files built, by kind.",
		}, []string{"kind"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_export_rows_total", Help: "Events written to export files, by kind.",
		}, []string{"kind"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_export_csv_bytes_total", Help: "Bytes of CSV written to export files before compression, by kind.",
		}, []string{"kind"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_query_export_build_seconds", Help: "Time to build one export file and put it to the object store.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}),
		through: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_query_export_closed_through_timestamp_seconds",
			Help: "End of the last day whose export files this process has built, in seconds since 1970.",
		}),
		building: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_query_export_builds", Help: "Files of open days that are being built for a client that waits.",
		}, func() float64 { return float64(builds().Taken) }),
		waiting: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_query_export_builds_waiting", Help: "Downloads that wait for a place to build their file.",
		}, func() float64 { return float64(builds().Waiting) }),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_export_turned_away_total", Help: "Downloads of open days that were refused, by reason: busy (503), or quota (429) where a product has too many of them.",
		}, []string{"reason"}),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.files, m.rows, m.bytes, m.seconds, m.through, m.building, m.waiting, m.rejected} {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register export metrics: %w", err)
	}
	return m, nil
}

// built counts one file that was built in the time took.
func (m *metrics) built(f registry.ExportFile, took time.Duration) {
	m.files.WithLabelValues(f.Kind).Inc()
	m.rows.WithLabelValues(f.Kind).Add(float64(f.Rows))
	m.bytes.WithLabelValues(f.Kind).Add(float64(f.CSVBytes))
	m.seconds.Observe(took.Seconds())
}
