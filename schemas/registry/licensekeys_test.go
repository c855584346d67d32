package registry

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// keysOf lists the license keys of a product with a zero Added.
func keysOf(t *testing.T, r *Registry, product int64, from string, limit int) []LicenseKey {
	t.Helper()
	all := must[[]LicenseKey](t)(r.LicenseKeys(t.Context(), product, from, limit))
	for i, k := range all {
		if since := time.Since(k.Added); since < 0 || since > time.Minute {
			t.Errorf("key %q was added %v ago", k.Key, since)
		}
		all[i].Added = time.Time{}
	}
	return all
}

func TestLicenseKeys(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		if n := must[int](t)(r.UpdateLicenseKeys(ctx, 1001, []LicenseKeyUpdate{
			{Key: "b", Type: new("purchased"), Activated: new(true), Expiry: new("2030-01-31"), Quota: new(int64(5))},
			{Key: "B"},
			{Key: "ä"},
		})); n != 3 {
			t.Errorf("%d keys are new, want 3", n)
		}
		if err := r.CollectLicenseKeys(ctx, 1001, []string{"z", "b", "z", "", strings.Repeat("x", MaxLicenseKey+1), "\xff"}); err != nil {
			t.Fatal(err)
		}
		fresh := func(key string) LicenseKey { return LicenseKey{Key: key, Type: "unknown", Quota: 1} }
		bought := LicenseKey{Key: "b", Type: "purchased", Status: LicenseStatus{Activated: true}, Expiry: "2030-01-31", Quota: 5}
		reported := fresh("z")
		reported.Collected = true
		want := []LicenseKey{fresh("B"), bought, reported, fresh("ä")}
		if diff := cmp.Diff(want, keysOf(t, r, 1001, "", 10)); diff != "" {
			t.Errorf("keys by their bytes: -want +got\n%s", diff)
		}
		if diff := cmp.Diff(want[1:3], keysOf(t, r, 1001, "b", 2)); diff != "" {
			t.Errorf("two keys from b on: -want +got\n%s", diff)
		}
		if got := keysOf(t, r, 2001, "", 10); len(got) != 0 {
			t.Errorf("another product has %v", got)
		}

		if n := must[int](t)(r.UpdateLicenseKeys(ctx, 1001, []LicenseKeyUpdate{
			{Key: "b", Blocked: new(true), Expiry: new("")}, {Key: "z", Activated: new(false), Quota: new(int64(0))}, {Key: "new"},
		})); n != 1 {
			t.Errorf("%d keys are new, want 1", n)
		}
		bought.Status.Blocked, bought.Expiry, reported.Quota = true, "", 0
		want = []LicenseKey{fresh("B"), bought, fresh("new"), reported, fresh("ä")}
		if diff := cmp.Diff(want, keysOf(t, r, 1001, "", 10)); diff != "" {
			t.Errorf("keys after an update (fields not sent must stay): -want +got\n%s", diff)
		}
	})
}

func TestUpdateLicenseKeysIsAtomic(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		for what, bad := range map[string]LicenseKeyUpdate{
			"no key":        {},
			"a long key":    {Key: strings.Repeat("x", MaxLicenseKey+1)},
			"a key of NUL":  {Key: "\x00"},
			"an empty type": {Key: "k", Type: new("")},
			"a bad type":    {Key: "k", Type: new("\xff")},
			"no day":        {Key: "k", Expiry: new("2030-02-30")},
			"a quota":       {Key: "k", Quota: new(int64(-1))},
		} {
			_, err := r.UpdateLicenseKeys(ctx, 1001, []LicenseKeyUpdate{{Key: "good"}, bad})
			wantErr(t, what, err, ErrInvalid)
		}
		if _, err := r.UpdateLicenseKeys(ctx, 4711, []LicenseKeyUpdate{{Key: "good"}}); err == nil {
			t.Error("an unknown product accepted a key")
		}
		if got := keysOf(t, r, 1001, "", 10); len(got) != 0 {
			t.Errorf("refused updates left %v", got)
		}
	})
}

// TestUpdateLicenseKeysConcurrently updates the same keys in opposite orders.
func TestUpdateLicenseKeysConcurrently(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		const batches, keys = 8, 20
		inserted := make([]int, batches)
		var wg sync.WaitGroup
		for b := range batches {
			wg.Go(func() {
				var batch []LicenseKeyUpdate
				for k := range keys {
					if b%2 == 0 {
						k = keys - 1 - k
					}
					batch = append(batch, LicenseKeyUpdate{Key: fmt.Sprint("k", k), Quota: new(int64(b))})
				}
				var err error
				if inserted[b], err = r.UpdateLicenseKeys(ctx, 1001, batch); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all, sum := keysOf(t, r, 1001, "", 100), 0
		for _, n := range inserted {
			sum += n
		}
		if len(all) != keys || sum != keys {
			t.Fatalf("%d keys exist and %d were reported as new, want %d", len(all), sum, keys)
		}
		for _, k := range all {
			if k.Quota != all[0].Quota {
				t.Errorf("key %s is of update %d, %s of %d: want all of one", k.Key, k.Quota, all[0].Key, all[0].Quota)
			}
		}
	})
}
