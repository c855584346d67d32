package lake

import (
	"container/list"
	"context"
	"sync"
)

// cachedBytes is the size up to which a data file is worth keeping: one that
// is larger costs more to decode than to fetch.
const cachedBytes = 512 << 10

// cache is an ObjectStore that keeps small objects in memory, those asked for
// last. Objects never change, so what it keeps is never wrong. Until compaction
// has merged them, a question over years reads hundreds of small data files.
type cache struct {
	ObjectStore
	limit int64 // bytes kept at most

	mu    sync.Mutex // guards what follows
	size  int64
	byKey map[string]*list.Element
	order *list.List // of kept, the last one used in front
}

// kept is an object in memory. Nobody writes to its body.
type kept struct {
	key  string
	body []byte
}

func newCache(store ObjectStore, limit int64) *cache {
	return &cache{ObjectStore: store, limit: limit, byKey: map[string]*list.Element{}, order: list.New()}
}

// Get returns the object at key, which the caller must not write to.
func (c *cache) Get(ctx context.Context, key string) ([]byte, error) {
	if body, ok := c.find(key); ok {
		return body, nil
	}
	body, err := c.ObjectStore.Get(ctx, key)
	if err == nil && int64(len(body)) <= min(cachedBytes, c.limit) {
		c.keep(key, body)
	}
	return body, err
}

func (c *cache) find(key string) (body []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byKey[key]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(at)
	return at.Value.(kept).body, true //nolint:errcheck,forcetypeassert // nothing else is in the list
}

func (c *cache) keep(key string, body []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok {
		return // two asked at once
	}
	c.byKey[key] = c.order.PushFront(kept{key, body})
	for c.size += int64(len(body)); c.size > c.limit; {
		last := c.order.Remove(c.order.Back()).(kept) //nolint:errcheck,forcetypeassert // as above
		delete(c.byKey, last.key)
		c.size -= int64(len(last.body))
	}
}
