// Package registry keeps what can change in SQL: accounts, products, data
// sources, users, bearer tokens, sessions, identities, and who owns which
// shard. SQLite serves one machine (several processes may share the file),
// PostgreSQL a cluster; both run the same migrations.
//
// It promises that no secret is stored or logged in clear: secrets, tokens and
// session ids are kept as SHA-256 of 256 random bits, passwords as argon2id.
// A revocation acts at once in the process that made it and within 5 seconds
// in every other, because no positive answer is remembered for longer.
//
// Leases (shard owners, heartbeats, locks, sessions) are told by one clock:
// PostgreSQL's own, as the processes of a cluster need not agree on the time;
// with SQLite the caller's, as all processes of one machine share it. The clock
// is read before the statement that uses it, so whoever has to wait for a row
// judges a lease by a time that is too early, never too late. A lease decides
// who should work. It never decides what is true: the commit of the lake does.
//
// It fails as its database fails: nothing is answered from memory for longer
// than a moment, so without a database nobody is let in.
package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// What a caller can branch on.
var (
	ErrNotFound     = errors.New("not found")
	ErrExists       = errors.New("exists already")
	ErrInvalid      = errors.New("not valid")
	ErrUnauthorized = errors.New("unauthorized")
	ErrHeld         = errors.New("held by another owner")
	ErrFenced       = errors.New("lease is no longer ours")
	ErrNewer        = errors.New("made by a newer version of weir")
)

// Registry is safe for use by many goroutines.
type Registry struct {
	db        *sql.DB
	dialect   string
	log       *slog.Logger
	clock     clock
	sources   cache[sourceWithHash] // by key
	tokens    cache[Principal]      // by hash of the token
	sessions  cache[Principal]      // by hash of the session id
	passwords chan struct{}         // a place for each argon2id at work
}

// querier is what a statement can run on: the database or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// clock tells the time that leases are measured by.
type clock func(ctx context.Context, q querier) (time.Time, error)

// Open connects to url, "sqlite:/abs/path.db" or "postgres://…", and brings
// its schema to this version. A database of a newer version is ErrNewer.
func Open(ctx context.Context, url string, log *slog.Logger) (*Registry, error) {
	r, err := open(url)
	if err != nil {
		return nil, err
	}
	r.log, r.passwords = log, make(chan struct{}, maxPasswords)
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open registry: %w", err), r.db.Close())
	}
	return r, nil
}

func (r *Registry) start(ctx context.Context) error {
	if err := r.waitUntilReachable(ctx); err != nil {
		return fmt.Errorf("connect to %s: %w", r.dialect, err)
	}
	list, err := migrations()
	if err != nil {
		return err
	}
	return r.migrate(ctx, list)
}

// Close releases the database.
func (r *Registry) Close() error { return r.db.Close() }

// DB is the database itself, for the Iceberg catalog that lives beside us.
func (r *Registry) DB() *sql.DB { return r.db }

// Dialect is "sqlite" or "postgres".
func (r *Registry) Dialect() string { return r.dialect }

// Ping reports whether the database answers.
func (r *Registry) Ping(ctx context.Context) error { return r.db.PingContext(ctx) }

// inTransaction runs fn in one transaction: all of it happens or nothing.
func (r *Registry) inTransaction(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// queryAll collects one value of each row of a query.
func queryAll[T any](ctx context.Context, q querier, scan func(row *sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what it could tell, Err tells
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// execRequired runs a statement and turns "no row" into missing.
func execRequired(ctx context.Context, q querier, missing error, query string, args ...any) error {
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return missing
	}
	return nil
}

// toMicros is t as it is stored; the zero time is 0.
func toMicros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the time that micros stored.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
