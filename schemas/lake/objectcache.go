package lake

import (
	"container/list"
	"context"
	"strconv"
	"sync"
)

// maxCachedBytes is the largest object, or part of one, that is kept: a larger
// one costs more to decode than to fetch.
const maxCachedBytes = 512 << 10

// objectCache is an ObjectStore that keeps small objects, and small parts of
// large ones, in memory; the least recently used go first. Objects never
// change, so what it keeps is never stale. Until compaction has merged them, a
// question over years reads hundreds of small data files; afterwards it reads
// the ends and some columns of fewer large ones, and the next question reads
// much the same.
type objectCache struct {
	ObjectStore
	limit int64 // bytes that are kept at most

	mu      sync.Mutex // guards the fields below
	size    int64
	byKey   map[string]*list.Element
	recency *list.List // of cacheEntry, the last used in front
}

// cacheEntry is an object, or a part of one, in memory. Its body is shared by
// all readers, so nobody may write to it.
type cacheEntry struct {
	key  string
	body []byte
}

// newObjectCache returns a cache of up to limit bytes in front of store.
func newObjectCache(store ObjectStore, limit int64) *objectCache {
	return &objectCache{ObjectStore: store, limit: limit, byKey: map[string]*list.Element{}, recency: list.New()}
}

// Get returns the object at key, which the caller must not write to.
func (c *objectCache) Get(ctx context.Context, key string) ([]byte, error) {
	if body, ok := c.lookup(key); ok {
		return body, nil
	}
	body, err := c.ObjectStore.Get(ctx, key)
	if err == nil && int64(len(body)) <= min(maxCachedBytes, c.limit) {
		c.add(key, body)
	}
	return body, err
}

// GetRange returns n bytes of the object at key from off on; the caller must
// not write to them.
func (c *objectCache) GetRange(ctx context.Context, key string, off, n int64) ([]byte, error) {
	part := key + "@" + strconv.FormatInt(off, 10) + "+" + strconv.FormatInt(n, 10)
	if body, ok := c.lookup(part); ok {
		return body, nil
	}
	body, err := c.ObjectStore.GetRange(ctx, key, off, n)
	if err == nil && int64(len(body)) <= min(maxCachedBytes, c.limit) {
		c.add(part, body)
	}
	return body, err
}

// lookup returns the body kept under key and marks it as used.
func (c *objectCache) lookup(key string) (body []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byKey[key]
	if !ok {
		return nil, false
	}
	c.recency.MoveToFront(at)
	return at.Value.(cacheEntry).body, true //nolint:errcheck,forcetypeassert // nothing else is in the list
}

// add keeps body under key and drops the least recently used bodies beyond the
// limit.
func (c *objectCache) add(key string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok {
		return // another request has added it in the meantime
	}
	c.byKey[key] = c.recency.PushFront(cacheEntry{key, body})
	for c.size += int64(len(body)); c.size > c.limit; {
		last := c.recency.Remove(c.recency.Back()).(cacheEntry) //nolint:errcheck,forcetypeassert // as above
		delete(c.byKey, last.key)
		c.size -= int64(len(last.body))
	}
}
