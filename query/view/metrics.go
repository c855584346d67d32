package view

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas/lake"
	"weir/schemas/places"
)

// metrics are the figures of one Reader.
type metrics struct {
	scanned  *prometheus.CounterVec
	fetched  *prometheus.CounterVec
	replans  prometheus.Counter
	scanning prometheus.GaugeFunc
	open     prometheus.GaugeFunc
	waiting  prometheus.GaugeFunc
	rejected prometheus.Counter
	reading  []prometheus.Collector // of data files
}

// newMetrics registers the figures with reg, unless that is nil.
func newMetrics(reg prometheus.Registerer, scans func() places.Usage, l *lake.Lake) (*metrics, error) {
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
		scanning: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_query_scans", Help: "Queries that are scanning now.",
		}, func() float64 { return float64(scans().Taken) }),
		open: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_query_open_answers", Help: "Queries that are scanning or wait for their client to read.",
		}, func() float64 { return float64(scans().Open) }),
		waiting: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_query_waiting", Help: "Queries that wait for a place to scan.",
		}, func() float64 { return float64(scans().Waiting) }),
		rejected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_query_turned_away_total", Help: "Queries answered 503 because too many were scanning.",
		}),
		reading: newReadingMetrics(l),
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range append(m.reading, m.scanned, m.fetched, m.replans, m.scanning, m.open, m.waiting, m.rejected) {
		errs = append(errs, reg.Register(c))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register view metrics: %w", err)
	}
	return m, nil
}

// newReadingMetrics returns the figures of how data files are read.
func newReadingMetrics(l *lake.Lake) []prometheus.Collector {
	use := func() lake.FooterUse { return lake.FooterUseOf(l) }
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_query_decoded_rows_total",
			Help: "Rows of the pages that scans of data files decoded, counted for each column: what pruning by page indexes and dictionaries saves.",
		}, func() float64 { return float64(lake.DecodedOf(l)) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_query_footers_read_total", Help: "Footers of data files that scans fetched and parsed.",
		}, func() float64 { return float64(use().Read) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "weir_query_footers_kept_total", Help: "Footers of data files that scans found in memory.",
		}, func() float64 { return float64(use().Kept) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "weir_query_footer_bytes", Help: "Memory that parsed footers of data files take, at most lake.footer_bytes.",
		}, func() float64 { return float64(use().Bytes) }),
	}
}
