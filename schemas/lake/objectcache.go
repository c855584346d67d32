package lake

import (
	"container/list"
	"context"
	"strconv"
	"sync"
)

// maxCachedBytes is the size up to which a data file, or a part of one, is worth
// keeping: what is larger costs more to decode than to fetch.
const maxCachedBytes = 512 << 10

// objectCache is an ObjectStore that keeps small objects and small parts of large
// ones in memory, those asked for last. Objects never change, so what it keeps
// is never wrong. Until compaction has merged them, a question over years reads
// hundreds of small data files; afterwards the ends and some columns of fewer
// large ones, and the next question reads much the same.
type objectCache struct {
	ObjectStore
	limit int64 // bytes kept at most

	mu      sync.Mutex // guards what follows
	size    int64
	byKey   map[string]*list.Element
	recency *list.List // of kept, the last one used in front
}

// cacheEntry is an object, or a part of one, in memory. Nobody writes to its body.
type cacheEntry struct {
	key  string
	body []byte
}

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

// GetRange returns n bytes from off of the object at key, which the caller must
// not write to.
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

func (c *objectCache) add(key string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok {
		return // two asked at once
	}
	c.byKey[key] = c.recency.PushFront(cacheEntry{key, body})
	for c.size += int64(len(body)); c.size > c.limit; {
		last := c.recency.Remove(c.recency.Back()).(cacheEntry) //nolint:errcheck,forcetypeassert // as above
		delete(c.byKey, last.key)
		c.size -= int64(len(last.body))
	}
}
