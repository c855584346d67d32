package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// User is a person who can log in and read every product of their account.
type User struct {
	ID      string
	Account string
	Email   string // lower case; unique among active users
	Created time.Time
	Revoked time.Time // zero while the user is active
}

// CreateUser creates u with a password.
func (r *Registry) CreateUser(ctx context.Context, u User, password string) (User, error) {
	u.Email = foldEmail(u.Email)
	if err := validEmail(u.Email); err != nil {
		return User{}, fmt.Errorf("create user: %w", err)
	}
	if err := requireAccount(ctx, r.db, u.Account); err != nil {
		return User{}, fmt.Errorf("create user: %w", err)
	}
	hash, err := r.hashPassword(ctx, password)
	if err != nil {
		return User{}, fmt.Errorf("create user %s: %w", u.Email, err)
	}
	debug.FreeOSMemory() // returns the 64 MiB of argon2id, which an idle server would keep for minutes
	u.ID, u.Created, u.Revoked = newID(userPrefix), currentTime(), time.Time{}
	err = execRequired(ctx, r.db, ErrExists, `INSERT INTO users (id, account_id, email, password_hash, created)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, u.ID, u.Account, u.Email, hash, toMicros(u.Created))
	if err != nil {
		return User{}, fmt.Errorf("create user %s: %w", u.Email, err)
	}
	return u, nil
}

// AuthenticateUser returns the principal with this email and password, or
// ErrUnauthorized. It is slow on purpose, takes the same time for an unknown email, and
// runs at most PasswordHashes times at once; the caller must throttle attempts.
func (r *Registry) AuthenticateUser(ctx context.Context, email, password string) (Principal, error) {
	var id, hash string
	err := r.db.QueryRowContext(ctx, `SELECT u.id, u.password_hash FROM users u JOIN accounts a ON a.id = u.account_id
		WHERE u.email = $1 AND u.revoked = 0 AND a.revoked = 0`, toStorableText(foldEmail(email))).Scan(&id, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		id, hash, err = "", unmatchablePassword, nil
	}
	if err != nil {
		return Principal{}, fmt.Errorf("read user: %w", err)
	}
	matches, err := r.matchPassword(ctx, hash, password)
	if err != nil {
		return Principal{}, fmt.Errorf("authenticate user: %w", err)
	}
	if !matches || id == "" {
		return Principal{}, ErrUnauthorized
	}
	who, err := r.loadPrincipal(ctx, `SELECT u.account_id, u.id, p.id FROM users u
		JOIN accounts a ON a.id = u.account_id
		LEFT JOIN products p ON p.account_id = u.account_id AND p.revoked = 0
		WHERE u.id = $1 AND u.revoked = 0 AND a.revoked = 0 ORDER BY p.id`, id)
	if err != nil {
		return Principal{}, fmt.Errorf("read user: %w", err)
	}
	return who, nil
}

// ListUsers lists the users of account, or of all accounts if it is "".
func (r *Registry) ListUsers(ctx context.Context, account string) ([]User, error) {
	all, err := queryAll(ctx, r.db, func(row *sql.Rows) (User, error) {
		var u User
		var created, revoked int64
		err := row.Scan(&u.ID, &u.Account, &u.Email, &created, &revoked)
		u.Created, u.Revoked = fromMicros(created), fromMicros(revoked)
		return u, err
	}, `SELECT id, account_id, email, created, revoked FROM users
		WHERE $1 = '' OR account_id = $1 ORDER BY created, id`, account)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return all, nil
}

// RevokeUser revokes a user, given by id or email, and ends all their sessions.
func (r *Registry) RevokeUser(ctx context.Context, idOrEmail string) error {
	err := r.inTransaction(ctx, func(tx *sql.Tx) error {
		var id string
		err := tx.QueryRowContext(ctx, `SELECT id FROM users WHERE (id = $1 OR email = $2) AND revoked = 0`,
			idOrEmail, foldEmail(idOrEmail)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE users SET revoked = $1 WHERE id = $2`, toMicros(currentTime()), id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM sessions WHERE user_id = $1`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("revoke user %q: %w", idOrEmail, err)
	}
	r.invalidateCaches()
	return nil
}

// foldEmail returns the form of an email in which users are stored and looked up.
func foldEmail(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

func validEmail(email string) error {
	if email == "" || strings.ContainsAny(email, " \t\r\n") {
		return fmt.Errorf("%w: an email has no spaces and is not empty", ErrInvalid)
	}
	return validText("email", email)
}
