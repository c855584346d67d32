package registry

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAuthenticateSource(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r, ctx := db.open(t), t.Context()
		owner := account(t, r, 1001)
		made, secret, err := r.CreateSource(ctx, Source{Product: 1001, Name: "edge", RatePerSecond: 12.5})
		if err != nil {
			t.Fatal(err)
		}
		made.Account = owner.ID
		for range 2 { // from the database, then from memory
			got, err := r.AuthenticateSource(ctx, made.Key, secret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(made, got); diff != "" {
				t.Errorf("source: -made +authenticated\n%s", diff)
			}
		}
		for what, pair := range map[string][2]string{
			"another secret":     {made.Key, secret + "x"},
			"no secret":          {made.Key, ""},
			"unknown key":        {newID(sourcePrefix), secret},
			"no key":             {"", ""},
			"a key of bad bytes": {sourcePrefix + "\x00\xff", secret},
			"the hash":           {made.Key, hashSecret(secret)},
			"key in upper case":  {strings.ToUpper(made.Key), secret},
			"a quote":            {made.Key + "' OR ''='", secret},
		} {
			_, err := r.AuthenticateSource(ctx, pair[0], pair[1])
			wantErr(t, what, err, ErrUnauthorized)
		}
		if err := r.RevokeSource(ctx, made.Key); err != nil {
			t.Fatal(err)
		}
		_, err = r.AuthenticateSource(ctx, made.Key, secret)
		wantErr(t, "a revoked source, in the process that revoked it", err, ErrUnauthorized)
		wantErr(t, "revoke twice", r.RevokeSource(ctx, made.Key), ErrNotFound)
		if got := must[[]Source](t)(r.ListSources(ctx, 1001)); len(got) != 1 || got[0].Revoked.IsZero() {
			t.Errorf("sources = %+v, want the one, revoked", got)
		}
	})
}

func TestCreateSourceRefuses(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r := db.open(t)
		account(t, r, 1001)
		_, _, err := r.CreateSource(t.Context(), Source{Product: 1002})
		wantErr(t, "unknown product", err, ErrNotFound)
		_, _, err = r.CreateSource(t.Context(), Source{Product: 1001, RatePerSecond: -1})
		wantErr(t, "negative rate", err, ErrInvalid)
	})
}

// TestRevocationActsElsewhereWithin5s runs in fake time, so its limit is exact.
func TestRevocationActsElsewhereWithin5s(t *testing.T) {
	revocations := map[string]func(ctx context.Context, r *Registry, k keys) error{
		"source":  func(ctx context.Context, r *Registry, k keys) error { return r.RevokeSource(ctx, k.source.Key) },
		"token":   func(ctx context.Context, r *Registry, k keys) error { return r.RevokeToken(ctx, k.tokenID) },
		"user":    func(ctx context.Context, r *Registry, k keys) error { return r.RevokeUser(ctx, k.user) },
		"session": func(ctx context.Context, r *Registry, k keys) error { return r.EndSession(ctx, k.session) },
		"product": func(ctx context.Context, r *Registry, _ keys) error { return r.RevokeProduct(ctx, 1001) },
		"account": func(ctx context.Context, r *Registry, k keys) error { return r.RevokeAccount(ctx, k.account) },
	}
	ends := map[string]string{ // which of source, token, session it ends
		"source": "source", "token": "token", "user": "session", "session": "session",
		"product": "source", "account": "source token session",
	}
	for name, revoke := range revocations {
		t.Run(name, func(t *testing.T) {
			path := "sqlite:" + filepath.Join(t.TempDir(), "weir.db")
			synctest.Test(t, func(t *testing.T) {
				here := must[*Registry](t)(Open(t.Context(), path, slog.New(slog.DiscardHandler)))
				defer here.Close()
				there := must[*Registry](t)(Open(t.Context(), path, slog.New(slog.DiscardHandler)))
				defer there.Close()
				k := makeKeys(t, here)
				if got := k.accepted(t.Context(), there); got != "source token session" {
					t.Fatalf("before: accepted %q", got)
				}
				if err := revoke(t.Context(), here, k); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				for ended := range strings.FieldsSeq(ends[name]) {
					if got := k.accepted(t.Context(), there); strings.Contains(got, ended) {
						t.Errorf("5s after: still accepted %q", got)
					}
				}
				who, err := there.AuthenticateToken(t.Context(), k.token)
				if name == "product" && (err != nil || who.May(1001)) {
					t.Errorf("5s after: token sees %v (%v), want no product", who.Products, err)
				}
			})
		})
	}
}

// keys holds one credential of each kind.
type keys struct {
	account, user, session, tokenID, token, secret string
	source                                         Source
}

func makeKeys(t *testing.T, r *Registry) keys {
	t.Helper()
	k := keys{account: account(t, r, 1001).ID}
	var err error
	if k.source, k.secret, err = r.CreateSource(t.Context(), Source{Product: 1001}); err != nil {
		t.Fatal(err)
	}
	tok, token, err := r.CreateToken(t.Context(), Token{Account: k.account})
	if err != nil {
		t.Fatal(err)
	}
	k.tokenID, k.token = tok.ID, token
	k.user = must[User](t)(r.CreateUser(t.Context(), User{Account: k.account, Email: "ann@example.org"}, "pw")).ID
	k.session = must[Session](t)(r.NewSession(t.Context(), k.user)).ID
	return k
}

func (k keys) accepted(ctx context.Context, r *Registry) string {
	var all []string
	if _, err := r.AuthenticateSource(ctx, k.source.Key, k.secret); err == nil {
		all = append(all, "source")
	}
	if _, err := r.AuthenticateToken(ctx, k.token); err == nil {
		all = append(all, "token")
	}
	if _, err := r.Session(ctx, k.session); err == nil {
		all = append(all, "session")
	}
	return strings.Join(all, " ")
}

func BenchmarkAuthenticateSource(b *testing.B) {
	ctx := b.Context()
	r, err := Open(ctx, "sqlite:"+filepath.Join(b.TempDir(), "weir.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	a, err := r.CreateAccount(ctx, "Acme")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := r.CreateProduct(ctx, Product{ID: 1001, Account: a.ID}); err != nil {
		b.Fatal(err)
	}
	s, secret, err := r.CreateSource(ctx, Source{Product: 1001})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.AuthenticateSource(ctx, s.Key, secret); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
