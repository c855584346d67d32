package registry

import (
	"fmt"
	"sync"
	"testing"
)

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
