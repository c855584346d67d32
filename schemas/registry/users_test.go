package registry

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

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
			"nobody":         {"bob@example.org", "correct horse"},
			"nobody, empty":  {"", ""},
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
			t.Errorf("users = %+v, want a revoked one and a living one", got)
		}
	})
}

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
				t.Fatal("a session that is used ended")
			}
		}
		if accepted(left) {
			t.Error("a session that nobody used lived on")
		}
		for spent := 3 * sessionIdle; spent < sessionMax; spent += sessionIdle - time.Minute {
			accepted(used)
			db.pass(sessionIdle - time.Minute)
		}
		if accepted(used) {
			t.Error("a session outlived its longest time")
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
		wantErr(t, "a session of nobody", err, ErrNotFound)
	})
}

func TestPasswordsWaitForAPlace(t *testing.T) {
	r := &Registry{passwords: make(chan struct{}, maxPasswords)}
	for range maxPasswords {
		r.passwords <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.hashPassword(ctx, "pw")
	wantErr(t, "no place before the caller left", err, context.Canceled)
	<-r.passwords
	if _, err := r.hashPassword(t.Context(), "pw"); err != nil {
		t.Errorf("with a free place: %v", err)
	}
	if len(r.passwords) != maxPasswords-1 {
		t.Errorf("%d places are taken, want %d", len(r.passwords), maxPasswords-1)
	}
}

func FuzzParseArgon(f *testing.F) {
	f.Add(unmatchablePassword)
	f.Add("$argon2id$v=19$m=4294967295,t=1,p=1$AA$AA")
	f.Add("$argon2id$v=19$m=1,t=0,p=0$$")
	f.Fuzz(func(t *testing.T, stored string) {
		a, err := parseArgon(stored)
		if err == nil && (a.memory > 4*argonMemory || a.time < 1 || a.time > 100 || a.threads < 1 || len(a.key) != argonKey) {
			t.Errorf("%q was read as %+v", stored, a)
		}
	})
}
