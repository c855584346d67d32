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

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/stdlib"
)

var (
	postgres = flag.String("postgres", "", "run the suite on the PostgreSQL at this URL as well")
	child    = flag.String("child", "", "for the tests' own child processes: what to open")
)

// database is one empty database and a clock that a test can move on.
type database struct {
	url   string
	ahead *atomic.Int64 // how far the leases' clock is ahead; nanoseconds
}

// onEach runs test on SQLite, and on PostgreSQL if the command asked for it.
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

// postgresSchema makes a schema of the test's own and returns the URL that
// works in it.
func postgresSchema(t *testing.T) string {
	t.Helper()
	admin, err := sql.Open("pgx", *postgres)
	if err != nil {
		t.Fatal(err)
	}
	name := "weir_test_" + strings.ToLower(rand.Text())
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatalf("PostgreSQL was asked for and is not there: %v", err)
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
	told := r.clock
	r.clock = func(ctx context.Context, q querier) (time.Time, error) {
		now, err := told(ctx, q)
		return now.Add(time.Duration(d.ahead.Load())), err
	}
	return r
}

func (d database) pass(by time.Duration) { d.ahead.Add(int64(by)) }

// must is for the steps that a test needs but is not about.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// account makes an account with one product.
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

func TestOpenRefusesAddresses(t *testing.T) {
	for _, address := range []string{
		"", "weir.db", "mysql://u:hunter2@h/db", "sqlite:relative.db", "sqlite:/no/such/folder/weir.db",
		"postgres://u:hunter2@[broken/db", "postgres://u:hun ter2@host:port/db?sslmode=hunter2",
		"postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=1",
	} {
		_, err := Open(t.Context(), address, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("Open(%q) = nil error", address)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "hun ter2") {
			t.Errorf("Open(%q): the error tells the password: %v", address, err)
		}
	}
}

func TestOpenTakesAnyFolderName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20&e=f")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "weir.db")
	r := must[*Registry](t)(Open(t.Context(), "sqlite:"+path, slog.New(slog.DiscardHandler)))
	defer r.Close()
	must[Account](t)(r.CreateAccount(t.Context(), "Acme"))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() == 0 || info.Mode().Perm() != 0o600 {
		t.Errorf("weir.db: %d bytes, mode %v; want some, and 0600", info.Size(), info.Mode())
	}
}

func TestSQLiteIsSafeAgainstPowerLoss(t *testing.T) {
	r := database{"sqlite:" + filepath.Join(t.TempDir(), "weir.db"), new(atomic.Int64)}.open(t)
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000",
	} {
		var got string
		if err := r.db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("PRAGMA %s = %q (%v), want %q", pragma, got, err, want)
		}
	}
}

func TestMigrateFromEveryFormerVersion(t *testing.T) {
	list := must[[]migration](t)(migrations())
	onEach(t, func(t *testing.T, db database) {
		for former := range len(list) {
			t.Run(fmt.Sprint(former), func(t *testing.T) {
				db := database{url: db.url, ahead: new(atomic.Int64)}
				if former > 0 && strings.HasPrefix(db.url, "sqlite:") {
					db.url = "sqlite:" + filepath.Join(t.TempDir(), "weir.db")
				}
				if former > 0 && strings.HasPrefix(db.url, "postgres") {
					db.url = postgresSchema(t)
				}
				old := must[*Registry](t)(open(db.url))
				old.log = slog.New(slog.DiscardHandler)
				if err := old.migrate(t.Context(), list[:former]); err != nil {
					t.Fatal(err)
				}
				if former > 0 {
					must[Account](t)(old.CreateAccount(t.Context(), "from before"))
				}
				old.Close()

				r := db.open(t)
				if got := len(must[[]Account](t)(r.ListAccounts(t.Context()))); got != min(former, 1) {
					t.Errorf("%d accounts after migrating, want %d", got, min(former, 1))
				}
				var version int
				if err := r.db.QueryRowContext(t.Context(), `SELECT MAX(version) FROM schema_version`).Scan(&version); err != nil {
					t.Fatal(err)
				}
				if version != len(list) {
					t.Errorf("version %d after migrating, want %d", version, len(list))
				}
			})
		}
	})
}

func TestMigrateIsAllOrNothing(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r := db.open(t)
		list := must[[]migration](t)(migrations())
		broken := append(list, migration{int64(len(list) + 1), []string{"CREATE TABLE half (a BIGINT)", "CREATE GARBAGE"}})
		if err := r.migrate(t.Context(), broken); err == nil {
			t.Fatal("a broken migration went through")
		}
		if _, err := r.db.ExecContext(t.Context(), `SELECT a FROM half`); err == nil {
			t.Error("the table of the broken migration is there")
		}
		db.open(t) // at its version still
	})
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
		t.Fatal("the scan does not see what is stored in clear")
	}
	for what, text := range map[string]string{"secret": secret, "token": token, "password": "correct horse", "session": s.ID, "csrf": s.Csrf} {
		bare := strings.TrimPrefix(text, secretPrefix)
		raw, err := base64.RawURLEncoding.DecodeString(bare)
		if err != nil {
			raw = []byte(bare)
		}
		if bytes.Contains(stored, []byte(bare)) || bytes.Contains(stored, raw) {
			t.Errorf("the %s is stored in clear", what)
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
		wantErr(t, "an account that is not there", err, ErrNotFound)
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
				t.Errorf("product %d is listed as alive", p.ID)
			}
		}
	})
}

var _ = stdlib.GetDefaultDriver // registers the driver "pgx"
