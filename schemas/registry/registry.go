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
// Leases (shard owners, heartbeats, locks) are told by one clock: PostgreSQL's
// own, as the processors of a cluster need not agree on the time; with SQLite
// the caller's, as all processes of one machine share it. A lease decides who
// should work. It never decides what is true: the commit of the lake does.
package registry

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
)

// What a caller can branch on.
var (
	ErrNotFound     = errors.New("not found")
	ErrExists       = errors.New("exists already")
	ErrInvalid      = errors.New("not valid")
	ErrUnauthorized = errors.New("unauthorized")
	ErrHeld         = errors.New("held by another owner")
	ErrFenced       = errors.New("lease is no longer ours")
)

var errStub = errors.New("not built yet")

// Registry is safe for use by many goroutines.
type Registry struct {
	db      *sql.DB
	dialect string
	log     *slog.Logger
}

// Open connects to url, "sqlite:/abs/path.db" or "postgres://…", and brings
// its schema to this version.
func Open(ctx context.Context, url string, log *slog.Logger) (*Registry, error) {
	return nil, errStub
}

// Close releases the database.
func (r *Registry) Close() error { return r.db.Close() }

// DB is the database itself, for the Iceberg catalog that lives beside us.
func (r *Registry) DB() *sql.DB { return r.db }

// Dialect is "sqlite" or "postgres".
func (r *Registry) Dialect() string { return r.dialect }
