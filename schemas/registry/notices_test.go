package registry

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
)

// TestNoticesAreTakenOnce: a database of an earlier version with a product is told
// once, whoever asks; a new one never, whatever it gets later.
func TestNoticesAreTakenOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		if must[bool](t)(TakeNotice(ctx, r, NoticeEUIDAsRef)) {
			t.Error("a new database is told what has changed")
		}
		forgetNotice(t, r)
		again := db.open(t)
		var told atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for _, r := range []*Registry{r, again} {
					due, err := TakeNotice(ctx, r, NoticeEUIDAsRef)
					if err != nil {
						t.Error(err)
					}
					if due {
						told.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if told.Load() != 1 {
			t.Errorf("told %d times, want once", told.Load())
		}
	})
}

// forgetNotice makes a database one of before the notice.
func forgetNotice(t *testing.T, r *Registry) {
	t.Helper()
	err := execRequired(t.Context(), r.db, ErrNotFound, `DELETE FROM settings WHERE key = $1`, string(NoticeEUIDAsRef))
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoticesWithoutProducts(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r := must[*Registry](t)(open(db.url, testDeadlines()))
		defer r.Close()
		r.log = slog.New(slog.DiscardHandler)
		list := must[[]migration](t)(migrations())
		if err := r.migrate(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		forgetNotice(t, r)
		if must[bool](t)(TakeNotice(t.Context(), r, NoticeEUIDAsRef)) {
			t.Error("a database without products is told what has changed")
		}
	})
}
