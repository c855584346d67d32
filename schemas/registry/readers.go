package registry

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// readBy precedes a process in the key of the setting that says which snapshots of the
// lake it reads: when its statement ends, and when the oldest was committed, in
// microseconds. It is no table of its own, so that it takes no migration.
const readBy = "reads."

// StateRead records for ttl that process reads snapshots of the lake that were
// committed at oldest or later; zero oldest takes the statement back.
func StateRead(ctx context.Context, r *Registry, process string, oldest time.Time, ttl time.Duration) error {
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		if oldest.IsZero() {
			_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE key = $1`, readBy+process)
			return err
		}
		now, err := r.clock(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
			readBy+process, fmt.Sprintf("%d %d", toMicros(now.Add(ttl)), toMicros(oldest)))
		return err
	})
	if err != nil {
		return fmt.Errorf("state which snapshots %s reads: %w", process, err)
	}
	return nil
}

// OldestRead returns when the oldest snapshot was committed that a living process reads;
// zero if none does. It forgets what dead ones have stated.
func OldestRead(ctx context.Context, r *Registry) (oldest time.Time, err error) {
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask which snapshots are read: %w", err)
	}
	var dead []string
	_, err = queryAll(ctx, r.db, func(row *sql.Rows) (bool, error) {
		var key, stated string
		if err := row.Scan(&key, &stated); err != nil {
			return false, err
		}
		at, alive := readStatement(stated, now)
		switch {
		case !alive:
			dead = append(dead, key)
		case oldest.IsZero() || at.Before(oldest):
			oldest = at
		}
		return alive, nil
	}, `SELECT key, value FROM settings WHERE key LIKE '`+readBy+`%'`)
	for _, key := range dead {
		if err == nil {
			_, err = r.db.ExecContext(ctx, `DELETE FROM settings WHERE key = $1`, key)
		}
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("ask which snapshots are read: %w", err)
	}
	return oldest, nil
}

// readStatement reads what StateRead has recorded, and whether it holds at now.
func readStatement(stated string, now time.Time) (oldest time.Time, alive bool) {
	expires, at, _ := strings.Cut(stated, " ")
	until, err1 := strconv.ParseInt(expires, 10, 64)
	from, err2 := strconv.ParseInt(at, 10, 64)
	return time.UnixMicro(from), err1 == nil && err2 == nil && until > toMicros(now)
}
