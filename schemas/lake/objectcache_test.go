package lake

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"testing"
)

// countingStore is a store that only gets, and counts the calls.
type countingStore struct {
	ObjectStore
	objects map[string][]byte
	gets    int
}

func (s *countingStore) Get(_ context.Context, key string) ([]byte, error) {
	s.gets++
	body, ok := s.objects[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return body, nil
}

func TestCacheKeepsSmallObjectsWithinItsLimit(t *testing.T) {
	store := &countingStore{objects: map[string][]byte{"large": make([]byte, maxCachedBytes+1)}}
	for i := range 10 {
		store.objects[fmt.Sprint(i)] = bytes.Repeat([]byte{byte(i)}, 100)
	}
	c := newObjectCache(store, 350)
	get := func(key string, want int) {
		t.Helper()
		before := store.gets
		body, err := c.Get(t.Context(), key)
		if err != nil || !bytes.Equal(body, store.objects[key]) {
			t.Fatalf("Get(%s) = %d bytes, %v", key, len(body), err)
		}
		if got := store.gets - before; got != want {
			t.Errorf("Get(%s): %d gets of the store, want %d", key, got, want)
		}
		if b := c.bodies; b.size > max(0, b.limit) || len(b.byKey) != b.recency.Len() {
			t.Errorf("after %s: %d bytes in %d objects and %d places", key, c.bodies.size, len(c.bodies.byKey), c.bodies.recency.Len())
		}
	}
	for _, key := range []string{"1", "2", "3"} {
		get(key, 1)
	}
	get("1", 0)
	get("4", 1) // 2 was not used for longest
	get("1", 0)
	get("2", 1)
	get("large", 1)
	get("large", 1)
	c = newObjectCache(store, -1)
	get("1", 1)
	get("1", 1)
	if _, err := c.Get(t.Context(), "missing"); err == nil {
		t.Error("Get(missing): no error")
	}
}
