package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func namesRegistry(t *testing.T, most int64) *Registry {
	t.Helper()
	r, err := Connect(t.Context(), Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "r.db"), MaxNames: most}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	account, err := r.CreateAccount(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for id := range int64(2) {
		if _, err := r.CreateProduct(t.Context(), Product{ID: id + 1, Account: account.ID}); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// TestNamesOfAProductAreBounded: names beyond the quota are refused, however they
// come; known ones and other products go on.
func TestNamesOfAProductAreBounded(t *testing.T) {
	r := namesRegistry(t, 3)
	ids, err := r.RegisterIdentities(t.Context(), 1, "user_id", []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.RegisterIdentities(t.Context(), 1, "user_id", []string{"b", "c", "d"}); !errors.Is(err, ErrQuota) {
		t.Errorf("four names: %v, want ErrQuota", err)
	}
	if _, err := r.LinkIdentities(t.Context(), 1, []ClientNames{{EUID: ids[0], Names: map[string]string{"ref_id": "x", "customer_id": "y"}}}); !errors.Is(err, ErrQuota) {
		t.Errorf("links: %v, want ErrQuota", err)
	}
	if _, err := r.RegisterIdentities(t.Context(), 1, "user_id", []string{"a", "b", "c"}); err != nil {
		t.Errorf("the third name: %v", err)
	}
	if _, err := r.RegisterIdentities(t.Context(), 1, "user_id", []string{"a", "c", "b"}); err != nil {
		t.Errorf("known names: %v", err)
	}
	if _, err := r.RegisterIdentities(t.Context(), 2, "user_id", []string{"a", "b"}); err != nil {
		t.Errorf("another product: %v", err)
	}
}

// TestRegistrationsKeepNobodyWaiting: while many registrations wait for the writer of
// SQLite, others read: the registrations wait on a connection of their own.
func TestRegistrationsKeepNobodyWaiting(t *testing.T) {
	r := namesRegistry(t, 0)
	writer, err := r.db.BeginTx(t.Context(), nil) // takes the lock of the file
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n := range 4 * sqliteConns {
		wg.Go(func() {
			if _, err := r.RegisterIdentities(t.Context(), 1, "user_id", []string{fmt.Sprint(n)}); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 50 {
		if _, err := r.Product(ctx, 1); err != nil {
			t.Errorf("read beside registrations that wait: %v", err)
			break
		}
	}
	if err := writer.Rollback(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}
