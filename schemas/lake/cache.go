package lake

import (
	"container/list"
	"context"
	"strconv"
	"sync"
)

// cachedBytes is the size up to which a data file, or a part of one, is worth
// keeping: what is larger costs more to decode than to fetch.
const cachedBytes = 512 << 10

// cache is an ObjectStore that keeps small objects and small parts of large
// ones in memory, those asked for last. Objects never change, so what it keeps
// is never wrong. Until compaction has merged them, a question over years reads
// hundreds of small data files; afterwards the ends and some columns of fewer
// large ones, and the next question reads much the same.
type cache struct {
	ObjectStore
	limit int64 // bytes kept at most

	mu    sync.Mutex // guards what follows
	size  int64
	byKey map[string]*list.Element
	order *list.List // of kept, the last one used in front
}

// kept is an object, or a part of one, in memory. Nobody writes to its body.
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

// GetRange returns n bytes from off of the object at key, which the caller must
// not write to.
func (c *cache) GetRange(ctx context.Context, key string, off, n int64) ([]byte, error) {
	part := key + "@" + strconv.FormatInt(off, 10) + "+" + strconv.FormatInt(n, 10)
	if body, ok := c.find(part); ok {
		return body, nil
	}
	body, err := c.ObjectStore.GetRange(ctx, key, off, n)
	if err == nil && int64(len(body)) <= min(cachedBytes, c.limit) {
		c.keep(part, body)
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
