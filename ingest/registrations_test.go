package ingest

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas"
	"weir/schemas/registry"
)

// TestNamesAreSpentLikeEvents: each name is spent of the key's rate, and a neighbour
// finds a place while one account has many registrations.
func TestNamesAreSpentLikeEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := newRegistrations(4, 5*time.Second, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		refused := func(err error, status int) {
			t.Helper()
			if re, ok := errors.AsType[*schemas.RequestError](err); !ok || re.Status != status || re.RetryAfter == 0 {
				t.Errorf("%v, want %d with Retry-After", err, status)
			}
		}
		slow := &request{limiter: new(keyLimiter), source: registry.Source{Account: "slow", RatePerSecond: 10}}
		for range 10 {
			place, err := r.begin(t.Context(), slow, time.Now(), 100)
			if err != nil {
				t.Fatal(err)
			}
			place.Release()
		}
		_, err = r.begin(t.Context(), slow, time.Now(), 100)
		refused(err, http.StatusTooManyRequests)

		greedy := &request{limiter: new(keyLimiter), source: registry.Source{Account: "greedy"}}
		for range 3 {
			if _, err := r.begin(t.Context(), greedy, time.Now(), 100); err != nil {
				t.Fatal(err)
			}
		}
		_, err = r.begin(t.Context(), greedy, time.Now(), 100)
		refused(err, http.StatusServiceUnavailable)
		if _, err := r.begin(t.Context(), &request{limiter: new(keyLimiter), source: registry.Source{Account: "neighbour"}}, time.Now(), 1); err != nil {
			t.Errorf("neighbour: %v", err)
		}
		refused(r.overQuota(registry.ErrQuota), http.StatusTooManyRequests)
	})
}
