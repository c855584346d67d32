package registry

import (
	"errors"
	"slices"
	"testing"
)

func TestProductSwitches(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		a := account(t, r, 1001)
		must[Product](t)(r.CreateProduct(ctx, Product{ID: 10010, Account: a.ID}))
		on, off := true, false
		check := func(what string, want bool) {
			t.Helper()
			p := must[Product](t)(r.Product(ctx, 1001))
			if other := must[Product](t)(r.Product(ctx, 10010)); p.RawExport != want || !other.RawExport {
				t.Errorf("%s: raw export of 1001 is %v and of 10010 %v, want %v and true", what, p.RawExport, other.RawExport, want)
			}
			for _, p := range must[[]Product](t)(r.ListProducts(ctx, a.ID)) {
				if p.RawExport != (want || p.ID != 1001) {
					t.Errorf("%s: raw export of %d is %v in the list", what, p.ID, p.RawExport)
				}
			}
		}
		check("new", true)
		for _, change := range []struct {
			what string
			to   *bool
			want bool
		}{{"off", &off, false}, {"off again", &off, false}, {"left as it is", nil, false}, {"on", &on, true}, {"on again", &on, true}} {
			p := must[Product](t)(SetProduct(ctx, r, 1001, ProductChange{RawExport: change.to}))
			if p.RawExport != change.want {
				t.Errorf("%s: returned %v", change.what, p.RawExport)
			}
			check(change.what, change.want)
		}
		if _, err := SetProduct(ctx, r, 4711, ProductChange{RawExport: &off}); !errors.Is(err, ErrNotFound) {
			t.Errorf("a product that is not there: %v, want not found", err)
		}
		if p := must[Product](t)(r.CreateProduct(ctx, Product{ID: 7, Account: a.ID})); !p.RawExport {
			t.Error("raw export of a new product is off")
		}
	})
}

func TestEUIDAsRefSwitch(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		a := account(t, r, 1001)
		must[Product](t)(r.CreateProduct(ctx, Product{ID: 10010, Account: a.ID}))
		on, off := true, false
		for _, to := range []*bool{nil, &on, &on, nil, &off, &off} {
			want := to == &on || to == nil && must[Product](t)(r.Product(ctx, 1001)).EUIDAsRef
			p := must[Product](t)(SetProduct(ctx, r, 1001, ProductChange{EUIDAsRef: to}))
			if p.EUIDAsRef != want || !p.RawExport {
				t.Errorf("set to %v: %+v", to, p)
			}
			all := must[[]int64](t)(ProductsWithEUIDAsRef(ctx, r, []int64{10010, 1001, 7}))
			if wanted := []int64{1001}; want != slices.Equal(all, wanted) || !want && len(all) > 0 {
				t.Errorf("set to %v: on for %v", to, all)
			}
		}
		must[Product](t)(SetProduct(ctx, r, 1001, ProductChange{EUIDAsRef: &on}))
		if all := must[[]int64](t)(ProductsWithEUIDAsRef(ctx, r, []int64{10010})); len(all) > 0 {
			t.Errorf("on for %v, which was not asked about", all)
		}
	})
}
