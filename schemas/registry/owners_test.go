package registry

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestShardLease(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		a, b := Owner{"a", "127.0.0.1:1"}, Owner{"b", "127.0.0.1:2"}
		claim := func(o Owner) int64 { t.Helper(); return must[int64](t)(r.Claim(ctx, 3, o, time.Minute)) }
		owners := func(want ...OwnerRow) {
			t.Helper()
			got := must[[]OwnerRow](t)(r.Owners(ctx))
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(OwnerRow{}, "Expires"), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("owners: -want +got\n%s", diff)
			}
		}

		owners()
		first := claim(a)
		owners(OwnerRow{Shard: 3, Epoch: first, ID: "a", Addr: "127.0.0.1:1"})
		_, err := r.Claim(ctx, 3, b, time.Minute)
		wantErr(t, "claim a held shard", err, ErrHeld)

		db.pass(50 * time.Second)
		if err := r.Renew(ctx, 3, first, time.Minute); err != nil {
			t.Fatal(err)
		}
		db.pass(50 * time.Second)
		_, err = r.Claim(ctx, 3, b, time.Minute)
		wantErr(t, "claim a renewed shard", err, ErrHeld)

		db.pass(time.Minute)
		owners()
		if err := r.Renew(ctx, 3, first, time.Minute); err != nil {
			t.Errorf("renew an expired lease that nobody claimed: %v", err)
		}
		db.pass(time.Minute)
		second := claim(b)
		if second <= first {
			t.Errorf("epoch %d after %d", second, first)
		}
		wantErr(t, "renew by a fenced owner", r.Renew(ctx, 3, first, time.Minute), ErrFenced)
		wantErr(t, "release by a fenced owner", r.Release(ctx, 3, first), ErrFenced)
		owners(OwnerRow{Shard: 3, Epoch: second, ID: "b", Addr: "127.0.0.1:2"})

		third := claim(b) // its own lease is alive
		if third <= second {
			t.Errorf("epoch %d after %d", third, second)
		}
		wantErr(t, "renew its own earlier epoch", r.Renew(ctx, 3, second, time.Minute), ErrFenced)

		if err := r.Release(ctx, 3, third); err != nil {
			t.Fatal(err)
		}
		owners()
		wantErr(t, "renew a released lease", r.Renew(ctx, 3, third, time.Minute), ErrFenced)
		wantErr(t, "release twice", r.Release(ctx, 3, third), ErrFenced)
		if fourth := claim(a); fourth <= third {
			t.Errorf("epoch %d after %d: Release reset the epoch", fourth, third)
		}
		wantErr(t, "renew a shard never claimed", r.Renew(ctx, 4, 1, time.Minute), ErrFenced)
		_, err = r.Claim(ctx, 4, Owner{}, time.Minute)
		wantErr(t, "claim without an owner id", err, ErrInvalid)
	})
}

// TestClaimConcurrently checks that one of several concurrent claims of a free shard
// wins, and that no epoch is assigned twice.
func TestClaimConcurrently(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		here, there := db.open(t), db.open(t)
		var last int64
		for round := range 10 {
			var mu sync.Mutex
			var won []int64
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					r := []*Registry{here, there}[i%2]
					epoch, err := r.Claim(t.Context(), 0, Owner{ID: fmt.Sprint("p", i)}, time.Minute)
					if errors.Is(err, ErrHeld) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					won = append(won, epoch)
				})
			}
			wg.Wait()
			if len(won) != 1 || won[0] <= last {
				t.Fatalf("round %d: winning epochs %v after %d, want a single greater one", round, won, last)
			}
			last = won[0]
			db.pass(2 * time.Minute)
		}
	})
}
