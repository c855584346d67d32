package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"weir/schemas"
	"weir/schemas/registry"
)

// authenticate says which data source sends the request.
func (s *Service) authenticate(r *http.Request) (registry.Source, error) {
	key, secret, ok := r.BasicAuth()
	if !ok || key == "" {
		return registry.Source{}, &schemas.RequestError{
			Status: http.StatusUnauthorized, Code: codeUnauthorized,
			Detail: "send Authorization: Basic base64(api_key:api_secret)",
		}
	}
	source, err := s.deps.Registry.AuthenticateSource(r.Context(), key, secret)
	if errors.Is(err, registry.ErrUnauthorized) || errors.Is(err, registry.ErrNotFound) {
		return registry.Source{}, &schemas.RequestError{
			Status: http.StatusUnauthorized, Code: codeUnauthorized,
			Detail: "API key or secret is wrong or was revoked",
		}
	}
	if err != nil {
		return registry.Source{}, s.unavailable(r.Context(), fmt.Errorf("authenticate key %s: %w", key, err))
	}
	return source, nil
}

// admit lets a request of source in, or says why it must come again later.
// Who was let in leaves by gate.leave.
func (s *Service) admit(ctx context.Context, source registry.Source) (*keyLimiter, error) {
	if n := s.timedOutBatches.Load(); n > 0 {
		return nil, s.unavailable(ctx, fmt.Errorf("%d earlier requests still wait for Kafka", n))
	}
	if err := s.deps.Full(); err != nil {
		return nil, s.unavailable(ctx, fmt.Errorf("no room for events: %w", err))
	}
	g := s.limiters.get(source.Key)
	if !g.acquire(int64(s.cfg.MaxInFlight)) {
		return nil, &schemas.RequestError{
			Status: http.StatusTooManyRequests, Code: codeTooMany, RetryAfter: 1,
			Detail: fmt.Sprintf("this key has %d requests in flight already", s.cfg.MaxInFlight),
		}
	}
	if err := g.reserve(s.now(), source.RatePerSecond, 0); err != nil {
		g.release()
		return nil, err
	}
	return g, nil
}

// unavailable is the answer to a fault that is ours and will pass. The client
// learns that it should come again, the log learns why: once a second and how
// often, or the log would fill the disk that is full already.
func (s *Service) unavailable(ctx context.Context, cause error) error {
	now, last := s.now().UnixNano(), s.lastWarning.Load()
	s.suppressed.Add(1)
	if now-last >= int64(time.Second) && s.lastWarning.CompareAndSwap(last, now) {
		s.deps.Log.WarnContext(ctx, "requests refused for now", "request_id", requestID(ctx), "requests", s.suppressed.Swap(0), "err", cause)
	}
	return &schemas.RequestError{
		Status: http.StatusServiceUnavailable, Code: codeUnavailable, RetryAfter: 2,
		Detail: "events cannot be kept just now, send the request again; " +
			"what was kept of it already counts once only if the event carries a random_id",
	}
}

// keyLimiters keep the requests of each key apart. There is one for every key that
// ever proved its secret, so there are no more than data sources.
type keyLimiters struct {
	byKey sync.Map // string → *gate
}

func (g *keyLimiters) get(key string) *keyLimiter {
	if found, ok := g.byKey.Load(key); ok {
		return found.(*keyLimiter) //nolint:errcheck // nothing else is stored
	}
	found, _ := g.byKey.LoadOrStore(key, new(keyLimiter))
	return found.(*keyLimiter) //nolint:errcheck // nothing else is stored
}

// keyLimiter counts what one key has in flight and how fast it sends.
type keyLimiter struct {
	inFlight atomic.Int64

	mu      sync.Mutex
	limiter *rate.Limiter // nil until the key has a rate
}

func (g *keyLimiter) acquire(limit int64) bool {
	if g.inFlight.Add(1) <= limit {
		return true
	}
	g.inFlight.Add(-1)
	return false
}

func (g *keyLimiter) release() { g.inFlight.Add(-1) }

// reserve takes n events out of the key's rate, or says when to come again; of 0
// it says whether the bucket is dry, before a body is read in vain. A bucket
// holds at least one full request, so that none is refused for ever.
func (g *keyLimiter) reserve(now time.Time, perSecond float64, n int) error {
	if perSecond <= 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	burst := max(schemas.MaxBatchEvents, int(math.Ceil(perSecond)))
	if g.limiter == nil {
		g.limiter = rate.NewLimiter(rate.Limit(perSecond), burst)
	}
	if g.limiter.Limit() != rate.Limit(perSecond) {
		g.limiter.SetLimitAt(now, rate.Limit(perSecond))
		g.limiter.SetBurstAt(now, burst)
	}
	missing := max(1, float64(n)) - g.limiter.TokensAt(now)
	if missing <= 0 && g.limiter.AllowN(now, n) {
		return nil
	}
	return &schemas.RequestError{
		Status: http.StatusTooManyRequests, Code: codeTooMany,
		RetryAfter: max(1, int(math.Ceil(missing/perSecond))),
		Detail:     fmt.Sprintf("this key may send %v events a second", perSecond),
	}
}
