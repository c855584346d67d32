package registry

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTokenSeesItsProducts(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		ours, theirs := account(t, r, 1001), account(t, r, 2001)
		must[Product](t)(r.CreateProduct(ctx, Product{ID: 1002, Account: ours.ID}))
		token := func(products ...int64) string {
			_, secret, err := r.CreateToken(ctx, Token{Account: ours.ID, Name: "reports", Products: products})
			if err != nil {
				t.Fatal(err)
			}
			return secret
		}
		all, one, both := token(), token(1002), token(1002, 1001, 1002)
		check := func(what, secret string, want ...int64) {
			t.Helper()
			got, err := r.AuthenticateToken(ctx, secret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Principal{Account: ours.ID, Products: want}, got); diff != "" {
				t.Errorf("%s: -want +got\n%s", what, diff)
			}
			if got.May(2001) || !got.May(want[0]) {
				t.Errorf("%s: May is wrong", what)
			}
		}
		check("all", all, 1001, 1002)
		check("one", one, 1002)
		check("both", both, 1001, 1002)

		must[Product](t)(r.CreateProduct(ctx, Product{ID: 1000, Account: ours.ID}))
		check("all, with a later product", all, 1000, 1001, 1002)
		check("one, with a later product", one, 1002)

		_, _, err := r.CreateToken(ctx, Token{Account: ours.ID, Products: []int64{1001, 2001}})
		wantErr(t, "a product of another account", err, ErrNotFound)
		if got := len(must[[]Token](t)(r.ListTokens(ctx, ours.ID))); got != 3 {
			t.Errorf("%d tokens after a refused one, want 3", got)
		}
		if got := must[[]Token](t)(r.ListTokens(ctx, theirs.ID)); len(got) != 0 {
			t.Errorf("tokens of the other account: %v", got)
		}
	})
}

func TestTokenWithoutProducts(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r := db.open(t)
		a := must[Account](t)(r.CreateAccount(t.Context(), "Empty"))
		_, secret, err := r.CreateToken(t.Context(), Token{Account: a.ID})
		if err != nil {
			t.Fatal(err)
		}
		who, err := r.AuthenticateToken(t.Context(), secret)
		if err != nil || len(who.Products) != 0 || who.Account != a.ID {
			t.Errorf("principal = %+v, %v; want the account without products", who, err)
		}
	})
}

func TestTokenIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		a := account(t, r, 1001)
		made, secret, err := r.CreateToken(ctx, Token{Account: a.ID, Products: []int64{1001}})
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"", "weir_", secret[:len(secret)-1], secret + "A", made.ID, hashSecret(secret), "weir_\x00\xff"} {
			_, err := r.AuthenticateToken(ctx, token)
			wantErr(t, token, err, ErrUnauthorized)
		}
		must[Principal](t)(r.AuthenticateToken(ctx, secret))
		if err := r.RevokeToken(ctx, secret); err != nil { // by the token itself
			t.Fatal(err)
		}
		_, err = r.AuthenticateToken(ctx, secret)
		wantErr(t, "revoked", err, ErrUnauthorized)
		wantErr(t, "revoke twice", r.RevokeToken(ctx, made.ID), ErrNotFound)
		got := must[[]Token](t)(r.ListTokens(ctx, ""))
		if len(got) != 1 || got[0].Revoked.IsZero() || !slices.Equal(got[0].Products, []int64{1001}) {
			t.Errorf("tokens = %+v, want the one, revoked, of product 1001", got)
		}
	})
}

// TestCreateTokenConcurrently checks that a transaction that reads before it writes
// waits for the others instead of failing.
func TestCreateTokenConcurrently(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r := db.open(t)
		a := account(t, r, 1001)
		const callers, each = 8, 20
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					if _, _, err := r.CreateToken(t.Context(), Token{Account: a.ID, Products: []int64{1001}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if got := len(must[[]Token](t)(r.ListTokens(t.Context(), a.ID))); got != callers*each {
			t.Errorf("%d tokens, want %d", got, callers*each)
		}
	})
}
