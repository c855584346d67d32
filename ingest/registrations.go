package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas"
	"weir/schemas/places"
	"weir/schemas/registry"
)

// registrations bound what requests that register names of clients take of the
// database: places for a few at once, of which no account has more than a quarter
// while others wait, and the rate of the key, of which each name is spent like an
// event. The registry keeps the quota of a product.
type registrations struct {
	places  *places.Places
	refused *prometheus.CounterVec
}

// quotaRetry is when a client may ask again for a product that has no room for
// names: an operator has to make some.
const quotaRetry = 3600

func newRegistrations(most int, wait time.Duration, reg prometheus.Registerer) (*registrations, error) {
	r := &registrations{
		places: places.New(places.Config{Places: most, Wait: wait}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_ingest_registrations_refused_total", Help: "Requests to register names that were refused, by reason: rate, busy or quota.",
		}, []string{"reason"}),
	}
	if reg == nil {
		return r, nil
	}
	running := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_ingest_registrations", Help: "Requests to register names that are with the database.",
	}, func() float64 { return float64(r.places.Usage().Taken) })
	if err := errors.Join(reg.Register(r.refused), reg.Register(running)); err != nil {
		return nil, fmt.Errorf("register metrics of registrations: %w", err)
	}
	return r, nil
}

// begin spends n names of the key's rate and waits for a place, which the caller
// releases.
func (r *registrations) begin(ctx context.Context, in *request, now time.Time, n int) (*places.Place, error) {
	if err := in.limiter.reserve(now, in.source.RatePerSecond, n); err != nil {
		r.refused.WithLabelValues("rate").Inc()
		return nil, err
	}
	place, err := r.places.Acquire(ctx, in.source.Account)
	if errors.Is(err, places.ErrBusy) {
		r.refused.WithLabelValues("busy").Inc()
		return nil, &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: codeUnavailable, RetryAfter: 2,
			Detail: "too many names are being registered just now, send the request again",
		}
	}
	return place, err
}

// overQuota returns the 429 of a product that has no room for more names, or nil
// if err is another.
func (r *registrations) overQuota(err error) error {
	if !errors.Is(err, registry.ErrQuota) {
		return nil
	}
	r.refused.WithLabelValues("quota").Inc()
	return &schemas.RequestError{
		Status: http.StatusTooManyRequests, Code: codeTooMany, RetryAfter: quotaRetry,
		Detail: "this product has as many names of clients as it may have",
	}
}
