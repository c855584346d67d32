package registry

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
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

// silentConn is a connection to a database that answers nothing.
type silentConn struct{ fullConn }

func silence(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (silentConn) Ping(ctx context.Context) error         { return silence(ctx) }
func (silentConn) ResetSession(ctx context.Context) error { return silence(ctx) }
func (silentConn) ExecContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Result, error) {
	return nil, silence(ctx)
}

func (silentConn) QueryContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	return nil, silence(ctx)
}

func (silentConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	return nil, silence(ctx)
}

// silentConnector connects to nothing.
type silentConnector struct{ driver.Connector }

func (silentConnector) Connect(ctx context.Context) (driver.Conn, error) { return nil, silence(ctx) }

// TestEveryCallHasADeadline makes each call that database/sql makes to a driver. None
// lasts longer than the deadline, and only calls that are exempt last as long as their
// caller waits.
func TestEveryCallHasADeadline(t *testing.T) {
	d := &deadlines{within: time.Minute}
	c := conn{silentConn{}, d}
	for name, call := range map[string]func(context.Context) error{
		"connect":       func(ctx context.Context) error { _, err := connector{silentConnector{}, d}.Connect(ctx); return err },
		"statement":     func(ctx context.Context) error { _, err := c.ExecContext(ctx, "", nil); return err },
		"query":         func(ctx context.Context) error { _, err := c.QueryContext(ctx, "", nil); return err },
		"transaction":   func(ctx context.Context) error { _, err := c.BeginTx(ctx, driver.TxOptions{}); return err },
		"ping":          c.Ping,
		"reset session": c.ResetSession,
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			began := time.Now()
			if err := call(ctx); !errors.Is(err, errCallTimeout) || time.Since(began) != time.Minute {
				t.Errorf("%s: %v after %s, want %v after a minute", name, err, time.Since(began), errCallTimeout)
			}
			began = time.Now()
			if err := call(withoutDeadline(ctx)); errors.Is(err, errCallTimeout) || time.Since(began) != 59*time.Minute {
				t.Errorf("%s without deadline: %v after %s, want it to last until its caller gives up", name, err, time.Since(began))
			}
		})
	}
	if _, err := c.Prepare("SELECT 1"); !errors.Is(err, errNoStatements) {
		t.Errorf("prepare: %v, want %v: its calls would have no deadline", err, errNoStatements)
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
