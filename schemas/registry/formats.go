package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// firstFormat is the version at which formats begin in schema_version; migrations have
// the numbers below. So a version of before the gate, which compares the highest number
// with that of its last migration, does not open a database in which one is recorded.
const firstFormat = 1_000_000

// understoodBy precedes a processor in the key of the setting that says which formats
// it understands. It is no column of the table processors: that would take a migration,
// and with it the way back to the version before while no format has been adopted.
const understoodBy = "understood_by."

// formats are the layouts of the lake and the kinds of records that this version
// understands, beyond those that all versions do. They are only appended: the position of
// one is its number in the database.
func formats() []string { return []string{Runs} }

// Runs is the format of a lake whose data files are runs: see lake.EvolveLayout.
const Runs = "runs"

// AdoptFormat reports whether format may be written: it is recorded in the database, by
// this call if need be, which takes that each living processor understands it. From then
// on no process of a version that does not know it opens the database, and a processor
// of one that has opened it before stops at its next heartbeat.
// See schemas/DESIGN.md "The gate of formats".
func AdoptFormat(ctx context.Context, r *Registry, format string) (adopted bool, err error) {
	at := slices.Index(r.formats, format)
	if at < 0 {
		return false, fmt.Errorf("adopt format %s: %w", format, ErrInvalid)
	}
	err = r.inTransaction(ctx, func(tx *sql.Tx) error {
		if err := r.lockSchema(ctx, tx); err != nil {
			return err
		}
		version := int64(firstFormat + at)
		err := tx.QueryRowContext(ctx, `SELECT COUNT(*) > 0 FROM schema_version WHERE version = $1`, version).Scan(&adopted)
		if err != nil || adopted {
			return err
		}
		if adopted, err = allUnderstand(ctx, r, tx, format); err != nil || !adopted {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO schema_version (version, applied) VALUES ($1, $2)`, version, toMicros(time.Now()))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("adopt format %s: %w", format, err)
	}
	return adopted, nil
}

// AllUnderstand reports whether all living processors understand format; it is true when
// there are none.
func AllUnderstand(ctx context.Context, r *Registry, format string) (bool, error) {
	return allUnderstand(ctx, r, r.db, format)
}

func allUnderstand(ctx context.Context, r *Registry, q querier, format string) (bool, error) {
	now, err := r.clock(ctx, q)
	if err != nil {
		return false, fmt.Errorf("read what processors understand: %w", err)
	}
	old, err := queryAll(ctx, q, func(row *sql.Rows) (bool, error) {
		var expires int64
		var stated string
		err := row.Scan(&expires, &stated)
		return !understands(stated, expires, format), err
	}, `SELECT p.expires, COALESCE(s.value, '') FROM processors p LEFT JOIN settings s ON s.key = '`+understoodBy+`' || p.id
		WHERE p.expires > $1`, toMicros(now))
	if err != nil {
		return false, fmt.Errorf("read what processors understand: %w", err)
	}
	return !slices.Contains(old, true), nil
}

// stateFormats records with a heartbeat, which lets processor live until expires, what it
// understands. An older version that goes on under the same id moves expires alone, by
// which it is recognised.
func stateFormats(ctx context.Context, tx *sql.Tx, processor string, expires int64, understood []string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		understoodBy+processor, strings.Join(append([]string{strconv.FormatInt(expires, 10)}, understood...), " "))
	return err
}

// understands reads what stateFormats has recorded.
func understands(stated string, expires int64, format string) bool {
	words := strings.Fields(stated)
	return len(words) > 0 && words[0] == strconv.FormatInt(expires, 10) && slices.Contains(words[1:], format)
}

// checkFormats returns ErrNewer if a format is recorded that this version does not know.
func checkFormats(ctx context.Context, q querier, understood []string) error {
	var highest int64
	if err := q.QueryRowContext(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`).Scan(&highest); err != nil {
		return fmt.Errorf("read formats: %w", err)
	}
	if known := firstFormat + int64(len(understood)) - 1; highest > known {
		return fmt.Errorf("%w: it uses format %d, this one knows %d", ErrNewer, highest-firstFormat+1, len(understood))
	}
	return nil
}

// forgetFormats deletes what processors stated that are not registered any more.
func forgetFormats(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE key LIKE '`+understoodBy+`%'
		AND NOT EXISTS (SELECT 1 FROM processors p WHERE settings.key = '`+understoodBy+`' || p.id)`)
	return err
}
