package registry

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAccountsAndProducts(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		a := must[Account](t)(r.CreateAccount(ctx, "Acme"))
		given := must[Product](t)(r.CreateProduct(ctx, Product{ID: 1<<62 + 1, Account: a.ID, Name: "Anvil"}))
		random := must[Product](t)(r.CreateProduct(ctx, Product{Account: a.ID}))
		if random.ID < 1e9 || random.ID >= 1e10 || random.Name != fmt.Sprint(random.ID) {
			t.Errorf("random product %d %q, want ten digits and its id as name", random.ID, random.Name)
		}
		_, err := r.CreateProduct(ctx, Product{ID: given.ID, Account: a.ID})
		wantErr(t, "the same id again", err, ErrExists)
		_, err = r.CreateProduct(ctx, Product{ID: -1, Account: a.ID})
		wantErr(t, "a negative id", err, ErrInvalid)
		_, err = r.CreateProduct(ctx, Product{ID: 7, Account: "acc_nobody"})
		wantErr(t, "an unknown account", err, ErrNotFound)
		_, err = r.CreateAccount(ctx, "nul\x00")
		wantErr(t, "a name with NUL", err, ErrInvalid)

		got := must[Product](t)(r.Product(ctx, given.ID))
		if diff := cmp.Diff(given, got); diff != "" {
			t.Errorf("product: -made +read\n%s", diff)
		}
		if diff := cmp.Diff([]Product{given, random}, must[[]Product](t)(r.ListProducts(ctx, a.ID))); diff != "" {
			t.Errorf("list of the account: -want +got\n%s", diff)
		}
		if got := must[[]Product](t)(r.ListProducts(ctx, "acc_other")); len(got) != 0 {
			t.Errorf("list of another account: %v", got)
		}

		if err := r.RevokeProduct(ctx, given.ID); err != nil {
			t.Fatal(err)
		}
		_, err = r.Product(ctx, given.ID)
		wantErr(t, "a revoked product", err, ErrNotFound)
		wantErr(t, "revoke twice", r.RevokeProduct(ctx, given.ID), ErrNotFound)
		if err := r.RevokeAccount(ctx, a.ID); err != nil {
			t.Fatal(err)
		}
		_, err = r.Product(ctx, random.ID)
		wantErr(t, "a product of a revoked account", err, ErrNotFound)
		for _, p := range must[[]Product](t)(r.ListProducts(ctx, "")) {
			if p.Revoked.IsZero() {
				t.Errorf("product %d is listed as active", p.ID)
			}
		}
	})
}
