package registry

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
)

var (
	postgres = flag.String("postgres", "", "run the suite on the PostgreSQL at this URL as well")
	child    = flag.String("child", "", "for the tests' own child processes: what to open")
)

// database is one empty database and a clock that a test can advance.
type database struct {
	url   string
	ahead *atomic.Int64 // how far the leases' clock is ahead; nanoseconds
}

// onEach runs test on SQLite, and on PostgreSQL if the flag is set.
func onEach(t *testing.T, test func(t *testing.T, db database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		test(t, database{"sqlite:" + filepath.Join(t.TempDir(), "weir.db"), new(atomic.Int64)})
	})
	if *postgres != "" {
		t.Run("postgres", func(t *testing.T) {
			test(t, database{postgresSchema(t), new(atomic.Int64)})
		})
	}
}

// postgresSchema creates a schema for one test and returns the URL that selects it.
func postgresSchema(t *testing.T) string {
	t.Helper()
	admin, err := sql.Open("pgx", *postgres)
	if err != nil {
		t.Fatal(err)
	}
	name := "weir_test_" + strings.ToLower(rand.Text())
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatalf("PostgreSQL was requested and is not reachable: %v", err)
	}
	t.Cleanup(func() {
		admin.ExecContext(context.WithoutCancel(t.Context()), "DROP SCHEMA "+name+" CASCADE")
		admin.Close()
	})
	u, err := url.Parse(*postgres)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

func (d database) open(t *testing.T) *Registry {
	t.Helper()
	r, err := Open(t.Context(), d.url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	original := r.clock
	r.clock = func(ctx context.Context, q querier) (time.Time, error) {
		now, err := original(ctx, q)
		return now.Add(time.Duration(d.ahead.Load())), err
	}
	return r
}

func (d database) pass(by time.Duration) { d.ahead.Add(int64(by)) }

// must fails the test if a preparatory step fails.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// account creates an account with one product.
func account(t *testing.T, r *Registry, product int64) Account {
	t.Helper()
	a := must[Account](t)(r.CreateAccount(t.Context(), "Acme"))
	must[Product](t)(r.CreateProduct(t.Context(), Product{ID: product, Account: a.ID, Name: "Anvil"}))
	return a
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

func TestOpenRefusesNewerDatabase(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r := db.open(t)
		if _, err := r.db.ExecContext(t.Context(), `INSERT INTO schema_version VALUES (4711, 0)`); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), db.url, slog.New(slog.DiscardHandler))
		wantErr(t, "open a newer database", err, ErrNewer)
		if err != nil && !strings.Contains(err.Error(), "4711") {
			t.Errorf("error %q does not name the version", err)
		}
	})
}

// TestChild is the body of the processes that TestOpenByManyProcesses starts.
func TestChild(t *testing.T) {
	if *child == "" {
		return
	}
	r := must[*Registry](t)(Open(t.Context(), *child, slog.New(slog.DiscardHandler)))
	defer r.Close()
	for range 20 {
		must[Account](t)(r.CreateAccount(t.Context(), "of a child"))
	}
}

func TestOpenByManyProcesses(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		const processes = 6
		var wg sync.WaitGroup
		for range processes {
			wg.Go(func() {
				out, err := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$", "-child="+db.url).CombinedOutput()
				if err != nil {
					t.Errorf("child: %v\n%s", err, out)
				}
			})
		}
		wg.Wait()
		if got := len(must[[]Account](t)(db.open(t).ListAccounts(t.Context()))); got != processes*20 {
			t.Errorf("%d accounts, want %d", got, processes*20)
		}
	})
}

func TestNoSecretIsStoredOrLogged(t *testing.T) {
	dir := t.TempDir()
	var logs bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := must[*Registry](t)(Open(t.Context(), "sqlite:"+filepath.Join(dir, "weir.db"), log))
	a := account(t, r, 1001)
	_, secret, err := r.CreateSource(t.Context(), Source{Product: 1001})
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := r.CreateToken(t.Context(), Token{Account: a.ID})
	if err != nil {
		t.Fatal(err)
	}
	u := must[User](t)(r.CreateUser(t.Context(), User{Account: a.ID, Email: "ann@example.org"}, "correct horse"))
	s := must[Session](t)(r.NewSession(t.Context(), u.ID))
	_, errs := r.AuthenticateSource(t.Context(), "src_nobody", secret)
	errToken := r.RevokeToken(t.Context(), token+"x")
	fmt.Fprint(&logs, errs, errToken)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	stored := allBytes(t, dir)
	if !bytes.Contains(stored, []byte("ann@example.org")) {
		t.Fatal("the scan does not find what is stored in clear text")
	}
	for what, text := range map[string]string{"secret": secret, "token": token, "password": "correct horse", "session": s.ID, "csrf": s.Csrf} {
		bare := strings.TrimPrefix(text, secretPrefix)
		raw, err := base64.RawURLEncoding.DecodeString(bare)
		if err != nil {
			raw = []byte(bare)
		}
		if bytes.Contains(stored, []byte(bare)) || bytes.Contains(stored, raw) {
			t.Errorf("the %s is stored in clear text", what)
		}
		if strings.Contains(logs.String(), bare) {
			t.Errorf("the %s is in a log or an error", what)
		}
	}
}

func allBytes(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	for _, f := range must[[]os.DirEntry](t)(os.ReadDir(dir)) {
		all = append(all, must[[]byte](t)(os.ReadFile(filepath.Join(dir, f.Name())))...)
	}
	return all
}

var _ = stdlib.GetDefaultDriver // registers the driver "pgx"
