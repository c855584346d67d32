package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"weir/schemas"
	"weir/schemas/registry"
)

// authenticate returns the data source whose key and secret the request sends.
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

// admit checks the limits that do not depend on the body, and counts the
// request as in flight. That Kafka is late with some shards is judged when the shards
// of the request are known (admitShards). The caller must release the returned limiter. An error
// is a 429 or a 503: the client may send the same request later.
func (s *Service) admit(ctx context.Context, source registry.Source) (*keyLimiter, error) {
	if err := s.lateShards.allLate(); err != nil {
		return nil, s.unavailable(ctx, err)
	}
	if err := s.deps.Full(); err != nil {
		return nil, s.unavailable(ctx, fmt.Errorf("no room for events: %w", err))
	}
	limiter := s.limiters.get(source.Key)
	if !limiter.acquire(int64(s.cfg.MaxInFlight)) {
		return nil, &schemas.RequestError{
			Status: http.StatusTooManyRequests, Code: codeTooMany, RetryAfter: 1,
			Detail: fmt.Sprintf("this key has %d requests in flight already", s.cfg.MaxInFlight),
		}
	}
	if err := limiter.reserve(s.now(), source.RatePerSecond, 0); err != nil {
		limiter.release()
		return nil, err
	}
	return limiter, nil
}
