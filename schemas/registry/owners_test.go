package registry

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestLeaseOfAShard(t *testing.T) {
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
		wantErr(t, "claim what is held", err, ErrHeld)

		db.pass(50 * time.Second)
		if err := r.Renew(ctx, 3, first, time.Minute); err != nil {
			t.Fatal(err)
		}
		db.pass(50 * time.Second)
		_, err = r.Claim(ctx, 3, b, time.Minute)
		wantErr(t, "claim what was renewed", err, ErrHeld)

		db.pass(time.Minute)
		owners()
		if err := r.Renew(ctx, 3, first, time.Minute); err != nil {
			t.Errorf("renew what ran out and nobody claimed: %v", err)
		}
		db.pass(time.Minute)
		second := claim(b)
		if second <= first {
			t.Errorf("epoch %d after %d", second, first)
		}
		wantErr(t, "renew by a zombie", r.Renew(ctx, 3, first, time.Minute), ErrFenced)
		wantErr(t, "release by a zombie", r.Release(ctx, 3, first), ErrFenced)
		owners(OwnerRow{Shard: 3, Epoch: second, ID: "b", Addr: "127.0.0.1:2"})

		third := claim(b) // its own lease is alive
		if third <= second {
			t.Errorf("epoch %d after %d", third, second)
		}
		wantErr(t, "renew its own past", r.Renew(ctx, 3, second, time.Minute), ErrFenced)

		if err := r.Release(ctx, 3, third); err != nil {
			t.Fatal(err)
		}
		owners()
		wantErr(t, "renew what it released", r.Renew(ctx, 3, third, time.Minute), ErrFenced)
		wantErr(t, "release twice", r.Release(ctx, 3, third), ErrFenced)
		if fourth := claim(a); fourth <= third {
			t.Errorf("epoch %d after %d: a release lost the count", fourth, third)
		}
		wantErr(t, "renew what nobody ever claimed", r.Renew(ctx, 4, 1, time.Minute), ErrFenced)
		_, err = r.Claim(ctx, 4, Owner{}, time.Minute)
		wantErr(t, "claim by nobody", err, ErrInvalid)
	})
}

// TestClaimsOfManyAtOnce: of all that claim a free shard at the same time one
// gets it, and each epoch is given once.
func TestClaimsOfManyAtOnce(t *testing.T) {
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
				t.Fatalf("round %d: epochs %v were won after %d, want one greater", round, won, last)
			}
			last = won[0]
			db.pass(2 * time.Minute)
		}
	})
}

func TestProcessors(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		alive := func(want ...string) {
			t.Helper()
			if got := must[[]string](t)(r.Processors(ctx)); !slices.Equal(got, want) {
				t.Errorf("processors = %q, want %q", got, want)
			}
		}
		beat := func(id string) {
			t.Helper()
			if err := r.Heartbeat(ctx, id, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		alive()
		beat("b")
		db.pass(40 * time.Second)
		beat("a")
		alive("a", "b")
		db.pass(40 * time.Second)
		alive("a")
		beat("a")
		db.pass(2 * processorRetention)
		beat("c")
		alive("c")
		var rows int
		if err := r.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM processors`).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d processors are remembered (%v), want 1", rows, err)
		}
		if err := r.DeregisterProcessor(ctx, "c"); err != nil {
			t.Fatal(err)
		}
		alive()
	})
}

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
		wantErr(t, "held on", lock("b"), ErrHeld)
		wantErr(t, "unlock by another", r.Unlock(ctx, "export 1", "b"), nil)
		wantErr(t, "held after that", lock("b"), ErrHeld)
		wantErr(t, "unlock", r.Unlock(ctx, "export 1", "a"), nil)
		wantErr(t, "freed", lock("b"), nil)
		db.pass(time.Minute)
		wantErr(t, "ran out", lock("a"), nil)
	})
}

func TestSettingsStandOnce(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		_, err := r.Setting(ctx, "k")
		wantErr(t, "not set", err, ErrNotFound)
		var mu sync.Mutex
		heard := map[string]bool{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				stands, err := r.SettingOnce(ctx, "k", fmt.Sprint(i))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				heard[stands] = true
			})
		}
		wg.Wait()
		stands := must[string](t)(r.Setting(ctx, "k"))
		if len(heard) != 1 || !heard[stands] {
			t.Errorf("writers heard %v, %q stands", heard, stands)
		}

		if got := must[string](t)(r.TopicLayout(ctx)); got != "" {
			t.Errorf("layout = %q before there is one", got)
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
