package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

const (
	sqliteConns   = 8  // connections of one process to the file; with a WAL readers do not wait for a writer
	postgresConns = 16 // connections of one process to the server

	sqliteBusy    = 5               // SQLITE_BUSY
	maxReachPause = 4 * time.Second // the pause doubles from 1 ms up to this; about 4 s in all
)

// open opens the pool; apart from creating an SQLite file it does not contact the
// database. The URL may contain a password, so no error quotes it.
func open(address string, d *deadlines) (*Registry, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		return connectSQLite(rest, d)
	case "postgres", "postgresql":
		return connectPostgres(address, d)
	}
	return nil, errors.New(`open registry: the URL begins with neither "sqlite:" nor "postgres://"`)
}

// connectSQLite creates the file readable only by its owner, as it holds hashes; the
// WAL inherits the mode. Transactions begin IMMEDIATE, because SQLite fails a
// transaction that reads first and writes later instead of letting it wait for
// another writer.
func connectSQLite(path string, d *deadlines) (*Registry, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("open registry: path %q is not absolute", path)
	}
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_busy_timeout": {"10000"}, // milliseconds
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"1"},
		"_txlock":       {"immediate"},
	}.Encode()}
	file, err := sqlite.NewConnector(dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	db := sql.OpenDB(connector{file, d})
	db.SetMaxOpenConns(sqliteConns)
	db.SetMaxIdleConns(sqliteConns)
	return &Registry{db: db, dialect: "sqlite", clock: localClock, deadlines: d, names: newNamesLane(sql.OpenDB(connector{file, d}), 1, true)}, nil
}

// waitUntilReachable makes the first connection. SQLite waits for all locks except the
// one under which another process switches a new file to WAL, so this retries while
// the file is busy.
func (r *Registry) waitUntilReachable(ctx context.Context) error {
	for pause := time.Millisecond; ; pause *= 2 {
		err := r.db.PingContext(ctx)
		busy, ok := errors.AsType[*sqlite.Error](err)
		if !ok || busy.Code()&0xff != sqliteBusy || pause > maxReachPause {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connectPostgres opens a pool. The error of pgx would quote the URL with its password,
// so it is replaced.
func connectPostgres(address string, d *deadlines) (*Registry, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("open registry: the PostgreSQL URL cannot be parsed: " +
			"write postgres://user:password@host:port/database?sslmode=…, with special characters escaped")
	}
	db := sql.OpenDB(connector{stdlib.GetConnector(*cfg), d})
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return &Registry{db: db, dialect: "postgres", clock: databaseClock, deadlines: d, names: newNamesLane(sql.OpenDB(connector{stdlib.GetConnector(*cfg), d}), nameWriters, false)}, nil
}

// localClock serves SQLite: its processes share the clock of one machine.
func localClock(context.Context, querier) (time.Time, error) { return time.Now(), nil }

// databaseClock serves PostgreSQL: its server has the only clock that all processes of a
// cluster share. clock_timestamp moves on within a transaction, unlike now.
func databaseClock(ctx context.Context, q querier) (time.Time, error) {
	var us int64
	err := q.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`).Scan(&us)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return fromMicros(us), nil
}
