package ingest

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"weir/schemas"
)

// keyLimiters holds one keyLimiter per key, so that one data source cannot use
// up what another needs. A limiter is made only after the key has been
// authenticated: the map is bounded by the number of data sources, however many
// invented keys are tried.
type keyLimiters struct {
	byKey sync.Map // string → *keyLimiter
}

func (l *keyLimiters) get(key string) *keyLimiter {
	if found, ok := l.byKey.Load(key); ok {
		return found.(*keyLimiter) //nolint:errcheck // nothing else is stored
	}
	found, _ := l.byKey.LoadOrStore(key, new(keyLimiter))
	return found.(*keyLimiter) //nolint:errcheck // nothing else is stored
}

// keyLimiter limits the requests in flight and the events per second of one
// key. Each process counts for itself.
type keyLimiter struct {
	inFlight atomic.Int64
	share    share // of the memory, what its requests hold

	mu      sync.Mutex
	limiter *rate.Limiter // nil until the key has a rate
}

// acquire counts one more request in flight and reports whether the limit
// allows it. After true the caller must call release.
func (l *keyLimiter) acquire(limit int64) bool {
	if l.inFlight.Add(1) <= limit {
		return true
	}
	l.inFlight.Add(-1)
	return false
}

func (l *keyLimiter) release() { l.inFlight.Add(-1) }

// reserve takes n events out of the key's token bucket. When the bucket holds
// fewer it takes none and returns a 429 with the time to wait. With n = 0 it
// only checks that the bucket is not empty; this refuses a request before its
// body is read.
//
// The bucket holds at least one full request, or a full request of a slow key
// would be refused permanently.
func (l *keyLimiter) reserve(now time.Time, perSecond float64, n int) error {
	if perSecond <= 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	burst := max(schemas.MaxBatchEvents, int(math.Ceil(perSecond)))
	if l.limiter == nil {
		l.limiter = rate.NewLimiter(rate.Limit(perSecond), burst)
	}
	if l.limiter.Limit() != rate.Limit(perSecond) { // an operator changed the rate of the data source
		l.limiter.SetLimitAt(now, rate.Limit(perSecond))
		l.limiter.SetBurstAt(now, burst)
	}
	missing := max(1, float64(n)) - l.limiter.TokensAt(now)
	if missing <= 0 && l.limiter.AllowN(now, n) {
		return nil
	}
	return &schemas.RequestError{
		Status: http.StatusTooManyRequests, Code: codeTooMany,
		RetryAfter: max(1, int(math.Ceil(missing/perSecond))),
		Detail:     fmt.Sprintf("this key may send %v events a second", perSecond),
	}
}
