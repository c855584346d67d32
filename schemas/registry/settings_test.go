package registry

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestLocks(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		lock := func(owner string) error { return r.Lock(ctx, "export 1", owner, time.Minute) }
		wantErr(t, "free", lock("a"), nil)
		wantErr(t, "held", lock("b"), ErrHeld)
		wantErr(t, "another name", r.Lock(ctx, "export 2", "b", time.Minute), nil)
		db.pass(40 * time.Second)
		wantErr(t, "again by its owner", lock("a"), nil)
		db.pass(40 * time.Second)
		wantErr(t, "held after it was extended", lock("b"), ErrHeld)
		wantErr(t, "unlock by another", r.Unlock(ctx, "export 1", "b"), nil)
		wantErr(t, "held after that", lock("b"), ErrHeld)
		wantErr(t, "unlock", r.Unlock(ctx, "export 1", "a"), nil)
		wantErr(t, "freed", lock("b"), nil)
		db.pass(time.Minute)
		wantErr(t, "free after expiry", lock("a"), nil)
	})
}

func TestSettingOnceConcurrently(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		_, err := r.Setting(ctx, "k")
		wantErr(t, "not set", err, ErrNotFound)
		var mu sync.Mutex
		results := map[string]bool{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				stored, err := r.SettingOnce(ctx, "k", fmt.Sprint(i))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				results[stored] = true
			})
		}
		wg.Wait()
		stored := must[string](t)(r.Setting(ctx, "k"))
		if len(results) != 1 || !results[stored] {
			t.Errorf("writers got %v, stored is %q", results, stored)
		}

		if got := must[string](t)(r.TopicLayout(ctx)); got != "" {
			t.Errorf("layout = %q before one is recorded", got)
		}
		must[string](t)(r.PutTopicLayout(ctx, "{1}"))
		if got := must[string](t)(r.PutTopicLayout(ctx, "{2}")); got != "{1}" {
			t.Errorf("layout = %q, want the first", got)
		}
		if got := must[string](t)(r.TopicLayout(ctx)); got != "{1}" {
			t.Errorf("layout = %q, want the first", got)
		}
	})
}
