package registry

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"weir/schemas/property"
)

// keysOf lists the license keys of a product without the time they were made.
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
			t.Errorf("what was not sent stays: -want +got\n%s", diff)
		}
	})
}

func TestLicenseKeysAreAllOrNone(t *testing.T) {
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
			t.Error("a product that is not there took a key")
		}
		if got := keysOf(t, r, 1001, "", 10); len(got) != 0 {
			t.Errorf("of refused batches stayed %v", got)
		}
	})
}

// TestLicenseKeysOfManyAtOnce has batches that touch the same keys in opposite
// orders.
func TestLicenseKeysOfManyAtOnce(t *testing.T) {
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
			t.Fatalf("%d keys are there and %d were said to be new, want %d", len(all), sum, keys)
		}
		for _, k := range all {
			if k.Quota != all[0].Quota {
				t.Errorf("key %s is of batch %d, %s of %d: want all of one", k.Key, k.Quota, all[0].Key, all[0].Quota)
			}
		}
	})
}

func TestEventFlags(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		none, empty, file := EventName{Name: "Open"}, EventName{HasCategory: true, Name: "Open"}, EventName{true, "File", "Open"}
		set := func(updates ...EventFlagsUpdate) {
			t.Helper()
			if err := r.UpdateEventFlags(ctx, 1001, updates); err != nil {
				t.Fatal(err)
			}
		}
		want := func(want map[EventName]EventFlags) {
			t.Helper()
			if diff := cmp.Diff(want, must[map[EventName]EventFlags](t)(r.EventFlags(ctx, 1001)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("flags: -want +got\n%s", diff)
			}
		}
		want(nil)
		set(EventFlagsUpdate{file, nil, new(false)}, EventFlagsUpdate{empty, new(false), nil}, EventFlagsUpdate{none, new(true), nil})
		want(map[EventName]EventFlags{file: {true, false}, empty: {false, true}})
		set(EventFlagsUpdate{file, new(false), nil}, EventFlagsUpdate{empty, new(true), nil}, EventFlagsUpdate{none, new(false), new(false)})
		want(map[EventName]EventFlags{file: {false, false}, none: {false, false}})
		if got := must[map[EventName]EventFlags](t)(r.EventFlags(ctx, 2001)); len(got) != 0 {
			t.Errorf("another product has %v", got)
		}
		if err := r.UpdateEventFlags(ctx, 1001, []EventFlagsUpdate{{empty, new(false), nil}, {EventName{Name: "x"}, new(false), nil}}); err != nil {
			t.Error(err)
		}
		if err := r.UpdateEventFlags(ctx, 4711, []EventFlagsUpdate{{none, nil, nil}}); err == nil {
			t.Error("a product that is not there took flags")
		}
	})
}

func TestPropertyLabels(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		label := func(name, text string) error { return r.LabelProperty(ctx, 1001, name, text) }
		for _, err := range []error{label("C01", "Colour"), label("C20", "Size"), label("C20", "Width"), label("C02", "Gone"), label("C02", " ")} {
			if err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(map[string]string{"C01": "Colour", "C20": "Width"}, must[map[string]string](t)(r.PropertyLabels(ctx, 1001))); diff != "" {
			t.Errorf("labels: -want +got\n%s", diff)
		}
		if got := must[map[string]string](t)(r.PropertyLabels(ctx, 2001)); len(got) != 0 {
			t.Errorf("another product has %v", got)
		}
		wantErr(t, "C21", label("C21", "x"), ErrInvalid)
		wantErr(t, "C1", label("C1", "x"), ErrInvalid)
		wantErr(t, "a label of NUL", label("C01", "\x00"), ErrInvalid)
		wantErr(t, "no product", r.LabelProperty(ctx, 4711, "C01", "x"), ErrNotFound)
	})
}

func TestPropertyTypes(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		account(t, r, 1001)
		account(t, r, 2001)
		set := func(name string, kind int) error { return r.SetPropertyType(ctx, 1001, name, kind) }
		for _, err := range []error{set("C01", 3), set("C20", 2), set("C20", 3), set("C02", 3), set("C02", 1)} {
			if err != nil {
				t.Error(err)
			}
		}
		want := map[string]int{}
		for _, name := range property.CustomNames() {
			want[name] = 1
		}
		if diff := cmp.Diff(want, must[map[string]int](t)(r.PropertyTypes(ctx, 2001))); diff != "" {
			t.Errorf("a product that nobody gave types: -want +got\n%s", diff)
		}
		want["C01"], want["C20"] = 3, 3
		if diff := cmp.Diff(want, must[map[string]int](t)(r.PropertyTypes(ctx, 1001))); diff != "" {
			t.Errorf("types: -want +got\n%s", diff)
		}
		wantErr(t, "C21", set("C21", 3), ErrInvalid)
		wantErr(t, "type 0", set("C01", 0), ErrInvalid)
		wantErr(t, "type 4", set("C01", 4), ErrInvalid)
		wantErr(t, "no product", r.SetPropertyType(ctx, 4711, "C01", 3), ErrNotFound)
	})
}
