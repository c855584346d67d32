package registry

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// silentPostgres accepts connections, logs every client in if greet is set, and from
// then on reads and never answers.
func silentPostgres(t *testing.T, greet bool) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go greetAndHang(c, greet)
		}
	}()
	return "postgres://u:p@" + l.Addr().String() + "/db?sslmode=disable"
}

func greetAndHang(c net.Conn, greet bool) {
	defer func() { _ = c.Close() }()
	b := pgproto3.NewBackend(c, c)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	if greet {
		b.Send(&pgproto3.AuthenticationOk{})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if err := b.Flush(); err != nil {
			return
		}
	}
	for {
		if _, err := b.Receive(); err != nil {
			return
		}
	}
}

// TestSilentDatabase lets a database hang where a client can wait for it. Each call
// fails with the setting's name, long before its context would have ended.
func TestSilentDatabase(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, greet := range []bool{false, true} {
		r, err := open(silentPostgres(t, greet), &deadlines{within: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		for name, call := range map[string]func() error{
			"ping":        func() error { return r.Ping(ctx) },
			"statement":   func() error { _, err := r.DB().ExecContext(ctx, `SELECT 1`); return err },
			"query":       func() error { var n int; return r.DB().QueryRowContext(ctx, `SELECT 1`).Scan(&n) },
			"transaction": func() error { return r.inTransaction(ctx, func(*sql.Tx) error { return nil }) },
		} {
			err := call()
			if err == nil || ctx.Err() != nil || !Unreachable(err) {
				t.Errorf("greeted %t, %s: %v, want the deadline of a call", greet, name, err)
			}
			if name != "ping" && !strings.Contains(err.Error(), "database.call_timeout") {
				t.Errorf("greeted %t, %s: %v, want the name of the setting", greet, name, err)
			}
		}
		if n := CallsTimedOut(r); n < 4 {
			t.Errorf("greeted %t: %d calls counted, want 4 or more", greet, n)
		}
	}
}

// TestDeadlineOfRowsAndTransactions lets a query, and a transaction that nobody ends,
// outlast the deadline in SQLite. Rows that are read in time are all there.
func TestDeadlineOfRowsAndTransactions(t *testing.T) {
	const endless = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n`
	r, err := Connect(t.Context(), Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "r.db"), CallTimeout: 200 * time.Millisecond}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var n int
	if err := r.DB().QueryRowContext(ctx, endless).Scan(&n); !errors.Is(err, errCallTimeout) {
		t.Errorf("endless query: %v, want %v", err, errCallTimeout)
	}
	err = r.inTransaction(ctx, func(tx *sql.Tx) error { return tx.QueryRowContext(ctx, endless).Scan(&n) })
	if !errors.Is(err, errCallTimeout) {
		t.Errorf("endless transaction: %v, want %v", err, errCallTimeout)
	}
	rows, err := queryAll(ctx, r.DB(), func(row *sql.Rows) (n int, err error) { return n, row.Scan(&n) },
		`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n`)
	if err != nil || len(rows) != 1000 {
		t.Errorf("%d rows, %v; want 1000", len(rows), err)
	}
}

// TestMigrationsHaveNoDeadline migrates although the deadline of a call has passed
// before it begins.
func TestMigrationsHaveNoDeadline(t *testing.T) {
	r, err := open("sqlite:"+filepath.Join(t.TempDir(), "r.db"), &deadlines{within: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	r.log = slog.New(slog.DiscardHandler)
	list, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.migrate(withoutDeadline(t.Context()), list); err != nil {
		t.Errorf("migrate: %v", err)
	}
}

// testDeadlines never get in the way of a test.
func testDeadlines() *deadlines { return &deadlines{within: time.Minute} }
