package registry

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSessions(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		a := account(t, r, 1001)
		u := must[User](t)(r.CreateUser(ctx, User{Account: a.ID, Email: "ann@example.org"}, "pw"))
		begin := func() Session { return must[Session](t)(r.NewSession(ctx, u.ID)) }
		accepted := func(s Session) bool {
			t.Helper()
			r.sessions.invalidate() // as if its two seconds had passed
			who, err := r.Session(ctx, s.ID)
			if err != nil && !errors.Is(err, ErrUnauthorized) {
				t.Fatal(err)
			}
			if err == nil && !cmp.Equal(who, Principal{Account: a.ID, Products: []int64{1001}, User: u.ID}) {
				t.Errorf("principal = %+v", who)
			}
			return err == nil
		}

		used, left := begin(), begin()
		if used.Csrf == "" || used.Csrf != Csrf(used.ID) || used.Csrf == left.Csrf {
			t.Errorf("csrf %q and %q: want each session its own", used.Csrf, left.Csrf)
		}
		for range 3 {
			db.pass(sessionIdle - time.Minute)
			if !accepted(used) {
				t.Fatal("a session in use ended")
			}
		}
		if accepted(left) {
			t.Error("an unused session did not end")
		}
		for spent := 3 * sessionIdle; spent < sessionMax; spent += sessionIdle - time.Minute {
			accepted(used)
			db.pass(sessionIdle - time.Minute)
		}
		if accepted(used) {
			t.Error("a session outlived sessionMax")
		}

		one, two, three := begin(), begin(), begin()
		if err := r.EndSession(ctx, one.ID); err != nil {
			t.Fatal(err)
		}
		if accepted(one) || !accepted(two) {
			t.Error("logging one session out ended another, or not itself")
		}
		if err := r.EndSessions(ctx, u.ID); err != nil {
			t.Fatal(err)
		}
		if accepted(two) || accepted(three) {
			t.Error("logging all sessions out left one")
		}
		if err := r.EndSession(ctx, one.ID); err != nil {
			t.Errorf("logging out twice: %v", err)
		}
		var n int
		if err := r.db.QueryRowContext(ctx, `SELECT COUNT(*) FROM sessions`).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d sessions are stored (%v), want none", n, err)
		}
		_, err := r.NewSession(ctx, "usr_nobody")
		wantErr(t, "a session of an unknown user", err, ErrNotFound)
	})
}
