package registry

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCacheSharesOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[int]
		var loads atomic.Int64
		load := func(ctx context.Context) (int, error) {
			time.Sleep(time.Millisecond)
			return int(loads.Add(1)), ctx.Err()
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if v, err := c.get(t.Context(), "k", load); v != 1 || err != nil {
					t.Errorf("get = %d, %v; want 1", v, err)
				}
			})
		}
		wg.Wait()
		time.Sleep(cacheFor)
		if v, _ := c.get(t.Context(), "k", load); v != 2 {
			t.Errorf("after expiry: load %d, want the second", v)
		}
	})
}

func TestCacheSweepsUnusedEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[int]
		load := func(context.Context) (int, error) { return 1, nil }
		refuse := func(context.Context) (int, error) { return 0, ErrUnauthorized }
		for i := range 100 {
			c.get(t.Context(), string(rune('a'+i)), load)
			c.get(t.Context(), "no"+string(rune('a'+i)), refuse)
		}
		time.Sleep(2 * sweepEvery)
		c.get(t.Context(), "new", load)
		left := 0
		c.entries.Range(func(any, any) bool { left++; return true })
		if left != 1 {
			t.Errorf("%d entries are left, want the new one", left)
		}
	})
}
