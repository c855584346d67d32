package registry

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

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
			t.Errorf("Open(%q): the error contains the password: %v", address, err)
		}
	}
}

func TestOpenAcceptsAnyFolderName(t *testing.T) {
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
