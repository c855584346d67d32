package registry_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"weir/schemas/registry"
)

func TestUnreachable(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	_, err := registry.Open(t.Context(), "postgres://u@127.0.0.1:1/db?connect_timeout=1", log)
	if !registry.Unreachable(err) {
		t.Errorf("no server: %v", err)
	}
	for want, errs := range map[bool][]error{
		true: {
			fmt.Errorf("read token: %w", context.DeadlineExceeded),
			fmt.Errorf("read token: %w", &pgconn.PgError{Code: "57P03"}),
			fmt.Errorf("read token: %w", &pgconn.PgError{Code: "53300"}),
		},
		false: {
			nil, io.ErrUnexpectedEOF, context.Canceled, registry.ErrNotFound,
			&pgconn.PgError{Code: "42P01"}, &pgconn.PgError{},
		},
	} {
		for _, err := range errs {
			if got := registry.Unreachable(err); got != want {
				t.Errorf("%v: %v", err, got)
			}
		}
	}
}

// TestBusyFileIsUnreachable holds the lock of the file for longer than the busy
// timeout.
func TestBusyFileIsUnreachable(t *testing.T) {
	r, err := registry.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "r.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	tx, err := r.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	conn, err := r.DB().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), `PRAGMA busy_timeout = 1`); err != nil {
		t.Fatal(err)
	}
	if _, err = conn.ExecContext(t.Context(), `BEGIN IMMEDIATE`); !registry.Unreachable(err) {
		t.Errorf("%v", err)
	}
}
