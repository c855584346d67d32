package conns

import (
	"log/slog"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// Reasons for which a connection is cut off, a label of metrics.
const (
	lateHeader = "header"
	lateIdle   = "idle"
	lateBody   = "body"
	lateAnswer = "answer"
)

type metrics struct {
	open     *prometheus.GaugeVec
	refused  *prometheus.CounterVec
	timeouts *prometheus.CounterVec
	errors   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_connections_open", Help: "Connections that are open, without those of the process to itself.",
		}, []string{"listener"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_connections_refused_total",
			Help: "Connections, and requests that a proxy passed on, that were refused: too many in all, at the listener, or of one address.",
		}, []string{"listener", "reason"}),
		timeouts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_connections_timed_out_total",
			Help: "Connections that were ended because the client did not send a header or a body, did not read an answer, or was idle.",
		}, []string{"listener", "reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_connections_accept_errors_total", Help: "Failed attempts to accept a connection; each is tried again.",
		}, []string{"listener"}),
	}
	if reg != nil {
		reg.MustRegister(m.open, m.refused, m.timeouts, m.errors)
	}
	return m
}

// New returns an empty set. It opens nothing. reg may be nil.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) *Set {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Set{
		cfg: cfg.withDefaults(), log: log, metrics: newMetrics(reg), lingering: rate.NewLimiter(lingerRate, lingerBuffer),
		addresses: map[netip.Addr]int{}, requests: map[netip.Addr]int{}, own: map[uint16]struct{}{},
	}
}
