package ingest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"weir/schemas"
)

// unavailable returns the 503 for a temporary fault of the server. The cause
// goes to the log alone, since it may name internal hosts. The log gets one
// line per second with the number of answers since the last: a line per request
// would fill a disk that may be full already.
func (s *Service) unavailable(ctx context.Context, cause error) error {
	now, last := s.now().UnixNano(), s.lastWarning.Load()
	s.suppressed.Add(1)
	if now-last >= int64(time.Second) && s.lastWarning.CompareAndSwap(last, now) {
		s.deps.Log.WarnContext(ctx, "requests answered 503, clients will retry", "request_id", requestID(ctx),
			"requests", s.suppressed.Swap(0), "err", cause)
	}
	return &schemas.RequestError{
		Status: http.StatusServiceUnavailable, Code: codeUnavailable, RetryAfter: 2,
		Detail: "events cannot be kept just now, send the request again; " +
			"what was kept of it already counts once only if the event carries a random_id",
	}
}

// countOver counts a request that was refused for the memory or the turns of
// others. Over the whole is the fault of no single sender: it is a 503, and a line
// in the log.
func (s *Service) countOver(ctx context.Context, err error) error {
	over, ok := errors.AsType[*overError](err)
	if !ok {
		return err
	}
	s.metrics.over.WithLabelValues(over.who, over.what).Inc()
	if over.who == overWhole {
		return s.unavailable(ctx, err)
	}
	return err
}
