package registry

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

const (
	sessionIdle  = 12 * time.Hour      // a session ends after this time without use
	sessionMax   = 30 * 24 * time.Hour // and at the latest after this time
	sessionSlide = 5 * time.Minute     // its expiry is written at most this often
)

// Session is a session of a user who logged in.
type Session struct {
	ID      string // the secret of the cookie; kept only as its hash
	Csrf    string // Csrf(ID)
	Expires time.Time
}

// NewSession creates a session of a user, given by id. It also deletes expired
// sessions.
func (r *Registry) NewSession(ctx context.Context, user string) (Session, error) {
	s := Session{ID: newSecret()}
	s.Csrf = Csrf(s.ID)
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		now, err := r.clock(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires <= $1`, toMicros(now)); err != nil {
			return err
		}
		s.Expires = now.Add(sessionIdle).UTC()
		return execRequired(ctx, tx, ErrNotFound, `INSERT INTO sessions (id_hash, user_id, created, expires)
			SELECT CAST($1 AS TEXT), id, CAST($2 AS BIGINT), CAST($3 AS BIGINT) FROM users WHERE id = $4 AND revoked = 0`,
			hashSecret(s.ID), toMicros(now), toMicros(s.Expires), user)
	})
	if err != nil {
		return Session{}, fmt.Errorf("begin session of user %q: %w", user, err)
	}
	return s, nil
}

// Session returns the principal of a session and extends it, or returns
// ErrUnauthorized.
func (r *Registry) Session(ctx context.Context, id string) (Principal, error) {
	hash := hashSecret(id)
	return r.sessions.get(ctx, hash, func(ctx context.Context) (Principal, error) { return r.loadSession(ctx, hash) })
}

// loadSession extends a session and reads its principal.
func (r *Registry) loadSession(ctx context.Context, hash string) (Principal, error) {
	if err := r.extendSession(ctx, hash); err != nil {
		return Principal{}, fmt.Errorf("read session: %w", err)
	}
	who, err := r.loadPrincipal(ctx, `SELECT u.account_id, u.id, p.id FROM sessions s
		JOIN users u ON u.id = s.user_id JOIN accounts a ON a.id = u.account_id
		LEFT JOIN products p ON p.account_id = u.account_id AND p.revoked = 0
		WHERE s.id_hash = $1 AND u.revoked = 0 AND a.revoked = 0 ORDER BY p.id`, hash)
	if err != nil {
		return Principal{}, fmt.Errorf("read session: %w", err)
	}
	return who, nil
}

// extendSession moves the expiry of an active session, or returns ErrUnauthorized.
func (r *Registry) extendSession(ctx context.Context, hash string) error {
	var created, expires int64
	err := r.db.QueryRowContext(ctx, `SELECT created, expires FROM sessions WHERE id_hash = $1`, hash).
		Scan(&created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrUnauthorized
	}
	if err != nil {
		return err
	}
	now, err := r.clock(ctx, r.db)
	if err != nil {
		return err
	}
	if expires <= toMicros(now) {
		return ErrUnauthorized
	}
	end := min(toMicros(now.Add(sessionIdle)), toMicros(fromMicros(created).Add(sessionMax)))
	if end-expires < sessionSlide.Microseconds() {
		return nil
	}
	_, err = r.db.ExecContext(ctx, `UPDATE sessions SET expires = $1 WHERE id_hash = $2`, end, hash)
	return err
}

// EndSession deletes one session. It is no error if the session does not exist.
func (r *Registry) EndSession(ctx context.Context, id string) error {
	if _, err := r.db.ExecContext(ctx, `DELETE FROM sessions WHERE id_hash = $1`, hashSecret(id)); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	r.sessions.invalidate()
	return nil
}

// EndSessions deletes all sessions of user.
func (r *Registry) EndSessions(ctx context.Context, user string) error {
	if _, err := r.db.ExecContext(ctx, `DELETE FROM sessions WHERE user_id = $1`, user); err != nil {
		return fmt.Errorf("end sessions of user %q: %w", user, err)
	}
	r.sessions.invalidate()
	return nil
}

// Csrf returns the CSRF token of a session. It is derived from the session's id, so it
// needs no storage, and it does not reveal the id.
func Csrf(session string) string {
	mac := hmac.New(sha256.New, []byte(session))
	mac.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
