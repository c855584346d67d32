package registry

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

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
				old := must[*Registry](t)(open(db.url, testDeadlines()))
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

func TestMigrateIsAtomic(t *testing.T) {
	onEach(t, func(t *testing.T, db database) {
		r := db.open(t)
		list := must[[]migration](t)(migrations())
		broken := append(list, migration{int64(len(list) + 1), []string{"CREATE TABLE half (a BIGINT)", "CREATE GARBAGE"}})
		if err := r.migrate(t.Context(), broken); err == nil {
			t.Fatal("a broken migration succeeded")
		}
		if _, err := r.db.ExecContext(t.Context(), `SELECT a FROM half`); err == nil {
			t.Error("the table of the broken migration exists")
		}
		db.open(t) // at its version still
	})
}
