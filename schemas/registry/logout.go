package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// logoutMemory is the time for which an ended session is recorded.
const logoutMemory = time.Hour

// Logout ends the session id. It ends all sessions of its user if all is true, or if
// this session was logged out less than logoutMemory ago: a repeated logout counts as
// a request to end them all. An unknown session is ErrUnauthorized.
func (r *Registry) Logout(ctx context.Context, id string, all bool) error {
	who, err := r.Session(ctx, id)
	if errors.Is(err, ErrUnauthorized) {
		return r.logoutAgain(ctx, id)
	}
	if err != nil {
		return err
	}
	if err := r.recordLogout(ctx, id, who.User); err != nil {
		return err
	}
	if all {
		return r.EndSessions(ctx, who.User)
	}
	return r.EndSession(ctx, id)
}

// logoutAgain handles the logout of a session that does not exist: it ends all sessions of
// its user if it was logged out recently.
func (r *Registry) logoutAgain(ctx context.Context, id string) error {
	var user string
	err := r.db.QueryRowContext(ctx, `SELECT user_id FROM ended_sessions WHERE id_hash = $1 AND ended > $2`,
		hashSecret(id), toMicros(time.Now().Add(-logoutMemory))).Scan(&user)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("end session: %w", ErrUnauthorized)
	}
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return r.EndSessions(ctx, user)
}

// recordLogout stores the hash of an ended session and deletes outdated ones.
func (r *Registry) recordLogout(ctx context.Context, id, user string) error {
	now := time.Now()
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM ended_sessions WHERE ended <= $1`, toMicros(now.Add(-logoutMemory))); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO ended_sessions (id_hash, user_id, ended) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			hashSecret(id), user, toMicros(now))
		return err
	})
	if err != nil {
		return fmt.Errorf("record logout: %w", err)
	}
	return nil
}
