package registry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUsersLogIn(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		a := account(t, r, 1001)
		account(t, r, 2001)
		u := must[User](t)(r.CreateUser(ctx, User{Account: a.ID, Email: " Ann@Example.ORG"}, "correct horse"))
		want := Principal{Account: a.ID, Products: []int64{1001}, User: u.ID}
		got := must[Principal](t)(r.AuthenticateUser(ctx, "ann@example.org", "correct horse"))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("principal: -want +got\n%s", diff)
		}
		for what, pair := range map[string][2]string{
			"wrong password": {"ann@example.org", "correct horsf"},
			"long password":  {"ann@example.org", strings.Repeat("x", 1<<20)},
			"unknown email":  {"bob@example.org", "correct horse"},
			"empty email":    {"", ""},
			"bad bytes":      {"ann\x00\xff", "correct horse"},
		} {
			_, err := r.AuthenticateUser(ctx, pair[0], pair[1])
			wantErr(t, what, err, ErrUnauthorized)
		}

		_, err := r.CreateUser(ctx, User{Account: a.ID, Email: "ANN@example.org"}, "other")
		wantErr(t, "the same email again", err, ErrExists)
		_, err = r.CreateUser(ctx, User{Account: a.ID, Email: "bob@example.org"}, "")
		wantErr(t, "no password", err, ErrInvalid)
		_, err = r.CreateUser(ctx, User{Account: a.ID, Email: "a b"}, "pw")
		wantErr(t, "an email with a space", err, ErrInvalid)

		if err := r.RevokeUser(ctx, "ANN@example.org"); err != nil {
			t.Fatal(err)
		}
		_, err = r.AuthenticateUser(ctx, "ann@example.org", "correct horse")
		wantErr(t, "revoked", err, ErrUnauthorized)
		must[User](t)(r.CreateUser(ctx, User{Account: a.ID, Email: "ann@example.org"}, "new")) // the email is free again
		if got := must[[]User](t)(r.ListUsers(ctx, a.ID)); len(got) != 2 || got[0].Revoked.IsZero() || !got[1].Revoked.IsZero() {
			t.Errorf("users = %+v, want a revoked one and an active one", got)
		}
	})
}
