package registry

import (
	"errors"
	"testing"
)

func TestLogout(t *testing.T) {
	r, ctx := openTemporary(t), t.Context()
	account, err := r.CreateAccount(ctx, "A")
	if err != nil {
		t.Fatal(err)
	}
	user, err := r.CreateUser(ctx, User{Account: account.ID, Email: "a@example.org"}, "a long password")
	if err != nil {
		t.Fatal(err)
	}
	login := func() string {
		s, err := r.NewSession(ctx, user.ID)
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	alive := func(want bool, ids ...string) {
		t.Helper()
		for n, id := range ids {
			if _, err := r.Session(ctx, id); (err == nil) != want {
				t.Errorf("session %d: %v, want alive %v", n, err, want)
			}
		}
	}
	one, two, three := login(), login(), login()
	if err := r.Logout(ctx, one, false); err != nil {
		t.Fatal(err)
	}
	alive(false, one)
	alive(true, two, three)
	if err := r.Logout(ctx, one, false); err != nil {
		t.Fatalf("second logout: %v", err)
	}
	alive(false, two, three)
	if err := r.Logout(ctx, "unknown", true); !errors.Is(err, ErrUnauthorized) {
		t.Errorf("unknown session: %v, want %v", err, ErrUnauthorized)
	}
	four, five := login(), login()
	if err := r.Logout(ctx, four, true); err != nil {
		t.Fatal(err)
	}
	alive(false, four, five)
}
