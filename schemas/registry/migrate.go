package registry

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the advisory lock that serializes migrating processes in
// PostgreSQL; the number only has to be the same for all of them.
const migrationLock = 0x77656972 // "weir"

// migration is one numbered file in migrations/.
type migration struct {
	version    int64
	statements []string
}

// migrations reads the embedded files in order. Their numbers must run from 1 without
// a gap, so that two branches that both add the next one are noticed.
func migrations() ([]migration, error) {
	files, err := migrationFiles.ReadDir("migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var all []migration
	for i, f := range files {
		number, _, _ := strings.Cut(f.Name(), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("migration %s: want number %d", f.Name(), i+1)
		}
		text, err := migrationFiles.ReadFile("migrations/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		all = append(all, migration{version, statements(string(text))})
	}
	return all, nil
}

// statements splits a file at each semicolon that ends a line.
func statements(text string) []string {
	var all []string
	for part := range strings.SplitSeq(text, ";\n") {
		if strings.TrimSpace(part) != "" {
			all = append(all, part)
		}
	}
	return all
}

// migrate applies the migrations of list that the database lacks in one transaction.
// Processes that start together wait for each other: SQLite allows one writing
// transaction at a time, and in PostgreSQL the lock lasts until the transaction ends.
func (r *Registry) migrate(ctx context.Context, list []migration) error {
	return r.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := r.lockSchema(ctx, tx); err != nil {
			return err
		}
		have, err := schemaVersion(ctx, tx)
		if err != nil {
			return err
		}
		if known := int64(len(list)); have > known {
			return fmt.Errorf("%w: its schema is version %d, this one knows up to %d", ErrNewer, have, known)
		}
		if err := checkFormats(ctx, tx, r.formats); err != nil {
			return err
		}
		for _, m := range list[have:] {
			if err := m.apply(ctx, tx); err != nil {
				return fmt.Errorf("migrate to version %d: %w", m.version, err)
			}
			r.log.InfoContext(ctx, "migrated registry", "version", m.version)
		}
		if have == 0 && len(list) > 0 {
			return skipNotices(ctx, tx)
		}
		return nil
	})
}

func (r *Registry) lockSchema(ctx context.Context, tx *sql.Tx) error {
	if r.dialect == "sqlite" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("lock schema: %w", err)
	}
	return nil
}

// schemaVersion returns the number of the last applied migration, 0 for an empty database.
func schemaVersion(ctx context.Context, tx *sql.Tx) (int64, error) {
	_, err := tx.ExecContext(ctx,
		`CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, applied BIGINT NOT NULL)`)
	if err != nil {
		return 0, fmt.Errorf("create schema_version: %w", err)
	}
	var have int64
	if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version WHERE version < $1`, int64(firstFormat)).Scan(&have); err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return have, nil
}

// apply runs the statements of m and records its version.
func (m migration) apply(ctx context.Context, tx *sql.Tx) error {
	for _, s := range m.statements {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO schema_version (version, applied) VALUES ($1, $2)`,
		m.version, toMicros(time.Now()))
	return err
}
