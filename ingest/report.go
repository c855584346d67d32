package ingest

import (
	"context"
	"log/slog"
)

// report stores the events of one request. A nil error means that Kafka has
// acknowledged every one of them.
func (s *Service) report(ctx context.Context, in *request) (any, error) {
	events, err := in.decodeEvents()
	if err != nil {
		return nil, err
	}
	if err := in.limiter.reserve(s.now(), in.source.RatePerSecond, len(events)); err != nil {
		return nil, err
	}
	n, size := len(events), len(in.body.bytes)
	if err := s.publish(ctx, in, events); err != nil {
		return nil, err
	}
	s.metrics.events.Add(float64(n))
	if s.deps.Log.Enabled(ctx, slog.LevelDebug) {
		s.deps.Log.DebugContext(ctx, "events accepted", "request_id", requestID(ctx), "key", in.source.Key,
			"product", in.source.Product, "events", n, "body_bytes", size)
	}
	return nil, nil
}
