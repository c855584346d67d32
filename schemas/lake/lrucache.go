package lake

import (
	"container/list"
	"sync"
)

// lruCache keeps values in memory up to a total size; the least recently used go
// first. It is safe for concurrent use.
type lruCache[V any] struct {
	limit int64 // bytes that are kept at most

	mu           sync.Mutex // guards the fields below
	size         int64
	hits, misses int64
	byKey        map[string]*list.Element
	recency      *list.List // of lruEntry, the last used in front
}

// lruEntry is a value in memory, and how many bytes it counts.
type lruEntry[V any] struct {
	key   string
	value V
	size  int64
}

// newLRUCache returns a cache of up to limit bytes; a negative limit keeps nothing.
func newLRUCache[V any](limit int64) *lruCache[V] {
	return &lruCache[V]{limit: limit, byKey: map[string]*list.Element{}, recency: list.New()}
}

// lookup returns the value kept under key and marks it as used.
func (c *lruCache[V]) lookup(key string) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.byKey[key]
	if !ok {
		c.misses++
		return value, false
	}
	c.hits++
	c.recency.MoveToFront(at)
	return at.Value.(lruEntry[V]).value, true //nolint:errcheck,forcetypeassert // nothing else is in the list
}

// add keeps value under key and drops the least recently used values beyond the
// limit, value too if it is larger than that.
func (c *lruCache[V]) add(key string, value V, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byKey[key]; ok || size > c.limit {
		return // another request has added it in the meantime
	}
	c.byKey[key] = c.recency.PushFront(lruEntry[V]{key, value, size})
	for c.size += size; c.size > c.limit; {
		last := c.recency.Remove(c.recency.Back()).(lruEntry[V]) //nolint:errcheck,forcetypeassert // as above
		delete(c.byKey, last.key)
		c.size -= last.size
	}
}
