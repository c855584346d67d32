package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Notice is something that a database of an earlier version is told once, at the
// first start of a version that answers otherwise.
type Notice string

// NoticeEUIDAsRef is due where products were made while every EUID was a refId of
// the User Events API.
const NoticeEUIDAsRef Notice = "notice.euid_as_ref"

// notices are those that a new database is not told.
func notices() []Notice { return []Notice{NoticeEUIDAsRef} }

// TakeNotice reports whether a notice is due, which it is to one caller and once:
// the caller writes it to its log. A database without products is told nothing.
func TakeNotice(ctx context.Context, r *Registry, n Notice) (bool, error) {
	err := execRequired(ctx, r.db, ErrNotFound, `INSERT INTO settings (key, value)
		SELECT CAST($1 AS TEXT), 'taken' WHERE EXISTS (SELECT 1 FROM products WHERE revoked = 0)
		ON CONFLICT DO NOTHING`, string(n))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take %s: %w", n, err)
	}
	return true, nil
}

// skipNotices marks every notice as taken, in a database that is new.
func skipNotices(ctx context.Context, tx *sql.Tx) error {
	for _, n := range notices() {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, 'new') ON CONFLICT DO NOTHING`, string(n))
		if err != nil {
			return fmt.Errorf("skip %s: %w", n, err)
		}
	}
	return nil
}
