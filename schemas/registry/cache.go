package registry

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	cacheFor    = 2 * time.Second // a revocation takes effect in other processes within this time plus one load
	loadTimeout = 2 * time.Second // of one query
	sweepEvery  = time.Minute
)

// cache holds positive results for cacheFor, and nothing else. Refusals are not
// cached, so a new key works at once and invented keys take no memory.
type cache[V any] struct {
	entries sync.Map // string → *entry[V]
	flights singleflight.Group
	swept   atomic.Int64 // when sweep last ran; nanoseconds
}

type entry[V any] struct {
	value  V
	loaded time.Time // taken before the query, so the result is at most this old
}

func (e *entry[V]) fresh() bool { return time.Since(e.loaded) < cacheFor }

// get returns the cached result or that of load. Concurrent callers with the same
// key share one load, so the load does not end with the context of any of them.
func (c *cache[V]) get(ctx context.Context, key string, load func(context.Context) (V, error)) (V, error) {
	if e, ok := c.peek(key); ok {
		return e.value, nil
	}
	shared, err, _ := c.flights.Do(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return c.loadAndStore(ctx, key, load)
	})
	value, _ := shared.(V)
	return value, err
}

// peek returns the entry of key unless it is missing or expired. It does not allocate.
func (c *cache[V]) peek(key string) (*entry[V], bool) {
	found, ok := c.entries.Load(key)
	if !ok {
		return nil, false
	}
	e, ok := found.(*entry[V])
	return e, ok && e.fresh()
}

// loadAndStore runs load and stores its result. An error drops the entry, so that a
// refusal takes effect at once.
func (c *cache[V]) loadAndStore(ctx context.Context, key string, load func(context.Context) (V, error)) (V, error) {
	e := &entry[V]{loaded: time.Now()}
	var err error
	if e.value, err = load(ctx); err != nil {
		c.entries.Delete(key)
		return e.value, err
	}
	c.entries.Store(key, e)
	c.sweep(e.loaded)
	return e.value, nil
}

// sweep removes expired entries at most once per sweepEvery, so that entries of
// ended sessions do not pile up.
func (c *cache[V]) sweep(now time.Time) {
	last := c.swept.Load()
	if now.UnixNano()-last < int64(sweepEvery) || !c.swept.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	c.entries.Range(func(key, found any) bool {
		if e, ok := found.(*entry[V]); ok && !e.fresh() {
			c.entries.CompareAndDelete(key, found)
		}
		return true
	})
}

// invalidate drops all entries. A load in flight may still store an old result, which
// then lives for cacheFor.
func (c *cache[V]) invalidate() { c.entries.Clear() }

// invalidateCaches makes a revocation take effect at once in this process.
func (r *Registry) invalidateCaches() {
	r.sources.invalidate()
	r.tokens.invalidate()
	r.sessions.invalidate()
}
