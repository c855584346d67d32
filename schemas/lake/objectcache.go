package lake

import (
	"context"
	"strconv"
)

// maxCachedBytes is the largest object, or part of one, that is kept: a larger
// one costs more to decode than to fetch.
const maxCachedBytes = 512 << 10

// objectCache is an ObjectStore that keeps small objects, and small parts of
// large ones, in memory; the least recently used go first. Objects never
// change, so what it keeps is never stale. Until compaction has merged them, a
// question over years reads hundreds of small data files; afterwards it reads
// some columns of fewer large ones, and the next question reads much the same.
// A body is shared by all readers, so nobody may write to it.
type objectCache struct {
	ObjectStore

	bodies *lruCache[[]byte]
}

// newObjectCache returns a cache of up to limit bytes in front of store.
func newObjectCache(store ObjectStore, limit int64) *objectCache {
	return &objectCache{ObjectStore: store, bodies: newLRUCache[[]byte](limit)}
}

// Get returns the object at key, which the caller must not write to.
func (c *objectCache) Get(ctx context.Context, key string) ([]byte, error) {
	return c.body(key, func() ([]byte, error) { return c.ObjectStore.Get(ctx, key) })
}

// GetRange returns n bytes of the object at key from off on; the caller must
// not write to them.
func (c *objectCache) GetRange(ctx context.Context, key string, off, n int64) ([]byte, error) {
	part := key + "@" + strconv.FormatInt(off, 10) + "+" + strconv.FormatInt(n, 10)
	return c.body(part, func() ([]byte, error) { return c.ObjectStore.GetRange(ctx, key, off, n) })
}

// body returns what is kept under name, or else what get returns.
func (c *objectCache) body(name string, get func() ([]byte, error)) ([]byte, error) {
	if body, ok := c.bodies.lookup(name); ok {
		return body, nil
	}
	body, err := get()
	if err == nil && len(body) <= maxCachedBytes {
		c.bodies.add(name, body, int64(len(body)))
	}
	return body, err
}
