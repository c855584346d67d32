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
	"modernc.org/sqlite" // registers the driver "sqlite"
)

const (
	sqliteConns   = 8  // connections of one process to the file; readers do not wait for a writer
	postgresConns = 16 // connections of one process to the server

	sqliteBusy    = 5               // SQLITE_BUSY
	maxReachPause = 4 * time.Second // doubled from a millisecond on: 4 s in all
)

// open opens the pool and touches nothing but the file's existence. The url
// may hold a password, so no error repeats it.
func open(address string) (*Registry, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	switch scheme {
	case "sqlite":
		return connectSQLite(rest)
	case "postgres", "postgresql":
		return connectPostgres(address)
	}
	return nil, errors.New(`open registry: the URL begins with neither "sqlite:" nor "postgres://"`)
}

// connectSQLite makes the file readable by its owner alone, as it holds hashes;
// its WAL inherits that. Transactions begin IMMEDIATE: one that reads first and
// writes later could not wait for another writer, it would fail.
func connectSQLite(path string) (*Registry, error) {
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
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	db.SetMaxOpenConns(sqliteConns)
	db.SetMaxIdleConns(sqliteConns)
	return &Registry{db: db, dialect: "sqlite", clock: localClock}, nil
}

// waitUntilReachable makes the first connection. SQLite waits for every lock but the one
// under which another process turns a new file into a WAL one, so a busy file
// is tried again here.
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

func connectPostgres(address string) (*Registry, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("open registry: the PostgreSQL URL cannot be parsed: " +
			"write postgres://user:password@host:port/database?sslmode=…, with special characters escaped")
	}
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return &Registry{db: db, dialect: "postgres", clock: databaseClock}, nil
}

func localClock(context.Context, querier) (time.Time, error) { return time.Now(), nil }

func databaseClock(ctx context.Context, q querier) (time.Time, error) {
	var us int64
	err := q.QueryRowContext(ctx, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`).Scan(&us)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the database's clock: %w", err)
	}
	return fromMicros(us), nil
}
