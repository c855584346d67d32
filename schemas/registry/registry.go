// Package registry stores mutable state in SQL: accounts, products, data sources,
// users, bearer tokens, sessions, identities, and the owners of shards. SQLite
// serves one machine, where several processes may share the file, and PostgreSQL a
// cluster. Both run the same migrations.
//
// No secret is stored or logged in clear text: secrets, tokens and session ids are
// stored as SHA-256 of 256 random bits, passwords as argon2id. A revocation takes
// effect at once in the process that made it and within 5 seconds in every other
// one, because no positive result is cached for longer.
//
// Leases (shard owners, heartbeats, locks, sessions) use one clock: PostgreSQL's
// own, as the processes of a cluster may disagree on the time, or with SQLite the
// local one, which all processes of the machine share. The clock is read before the
// statement that uses it, so a process that waits for a row lock judges leases by a
// time that is too early, never too late. A lease only decides which process should
// work; whether its work counts is decided by the commit to the lake.
//
// The registry fails when its database fails: nothing is served from a cache for
// longer than cacheFor, so without a database nobody is authenticated.
package registry

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Errors that callers can branch on.
var (
	ErrNotFound     = errors.New("not found")
	ErrTooMany      = errors.New("more than are allowed")
	ErrExists       = errors.New("exists already")
	ErrInvalid      = errors.New("not valid")
	ErrUnauthorized = errors.New("unauthorized")
	ErrHeld         = errors.New("held by another owner")
	ErrFenced       = errors.New("lease is no longer ours")
	ErrNewer        = errors.New("made by a newer version of weir")
)

// Registry is the connection to the database. It is safe for concurrent use.
type Registry struct {
	db        *sql.DB
	dialect   string
	log       *slog.Logger
	clock     clock
	deadlines *deadlines
	sources   cache[sourceWithHash] // by key
	tokens    cache[Principal]      // by hash of the token
	sessions  cache[Principal]      // by hash of the session id
	names     *namesLane
	passwords chan struct{} // a slot for each argon2id computation
	formats   []string      // that this version understands: see formats
}

// querier runs statements: the database or a transaction.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// clock returns the time by which leases expire.
type clock func(ctx context.Context, q querier) (time.Time, error)

// Config says which database to use, and how long it may take.
type Config struct {
	URL         string        // "sqlite:/abs/path.db" or "postgres://…"
	CallTimeout time.Duration // of one call: connecting, a statement with its rows, a transaction; 0 means 30s
	MaxNames    int64         // of the clients of one product that are registered or linked; 0 is no limit
}

// Open is Connect with the defaults of Config.
func Open(ctx context.Context, url string, log *slog.Logger) (*Registry, error) {
	return Connect(ctx, Config{URL: url}, log)
}

// Connect connects to the database and migrates the schema to this version. It
// returns ErrNewer if a newer version has migrated it, or writes what this one does not
// understand.
func Connect(ctx context.Context, cfg Config, log *slog.Logger) (*Registry, error) {
	r, err := open(cfg.URL, &deadlines{within: cmp.Or(cfg.CallTimeout, defaultCallTimeout)})
	if err != nil {
		return nil, err
	}
	r.log, r.passwords, r.formats = log, make(chan struct{}, PasswordHashes()), formats()
	r.names.most = cfg.MaxNames
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open registry: %w", err), r.Close())
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
	return r.migrate(withoutDeadline(ctx), list)
}

// CallsTimedOut returns how many calls were given up since r was opened, because the
// database did not answer within Config.CallTimeout.
func CallsTimedOut(r *Registry) int64 { return r.deadlines.exceeded.Load() }

// Close closes the database.
func (r *Registry) Close() error { return errors.Join(r.names.db.Close(), r.db.Close()) }

// DB returns the database, which also holds the Iceberg catalog.
func (r *Registry) DB() *sql.DB { return r.db }

// Dialect returns "sqlite" or "postgres".
func (r *Registry) Dialect() string { return r.dialect }

// Ping returns an error if the database does not answer.
func (r *Registry) Ping(ctx context.Context) error { return r.db.PingContext(ctx) }

// inTransaction runs fn in a transaction, which it commits unless fn fails.
func (r *Registry) inTransaction(ctx context.Context, fn func(tx *sql.Tx) error) error {
	return transact(ctx, r.db, fn)
}

// queryAll runs a query and returns one value for each row.
func queryAll[T any](ctx context.Context, q querier, scan func(row *sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err returns the same error
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

// execRequired runs a statement and returns missing if it affects no row.
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
