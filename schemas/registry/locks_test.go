package registry

import (
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
