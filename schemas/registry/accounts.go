package registry

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Account is a customer of the operator: it owns products, users and tokens.
type Account struct {
	ID      string
	Name    string
	Created time.Time
	Revoked time.Time // zero while it is active
}

// CreateAccount creates an account with a generated id.
func (r *Registry) CreateAccount(ctx context.Context, name string) (Account, error) {
	if name == "" {
		return Account{}, fmt.Errorf("create account: %w: it needs a name", ErrInvalid)
	}
	if err := validText("name", name); err != nil {
		return Account{}, fmt.Errorf("create account: %w", err)
	}
	a := Account{ID: newID(accountPrefix), Name: name, Created: currentTime()}
	_, err := r.db.ExecContext(ctx, `INSERT INTO accounts (id, name, created) VALUES ($1, $2, $3)`,
		a.ID, a.Name, toMicros(a.Created))
	if err != nil {
		return Account{}, fmt.Errorf("create account: %w", err)
	}
	return a, nil
}

// ListAccounts lists all accounts, including revoked ones, oldest first.
func (r *Registry) ListAccounts(ctx context.Context) ([]Account, error) {
	all, err := queryAll(ctx, r.db, func(row *sql.Rows) (Account, error) {
		var a Account
		var created, revoked int64
		err := row.Scan(&a.ID, &a.Name, &created, &revoked)
		a.Created, a.Revoked = fromMicros(created), fromMicros(revoked)
		return a, err
	}, `SELECT id, name, created, revoked FROM accounts ORDER BY created, id`)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return all, nil
}

// RevokeAccount revokes an account and with it all its products, sources, tokens and
// users. It returns ErrNotFound if the account does not exist or is revoked already,
// as all Revoke methods do.
func (r *Registry) RevokeAccount(ctx context.Context, id string) error {
	err := execRequired(ctx, r.db, ErrNotFound, `UPDATE accounts SET revoked = $1 WHERE id = $2 AND revoked = 0`,
		toMicros(currentTime()), id)
	if err != nil {
		return fmt.Errorf("revoke account %q: %w", id, err)
	}
	r.invalidateCaches()
	return nil
}

// requireAccount returns ErrNotFound unless the account exists and is active.
func requireAccount(ctx context.Context, q querier, account string) error {
	var n int64
	err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM accounts WHERE id = $1 AND revoked = 0`, account).Scan(&n)
	if err != nil {
		return fmt.Errorf("read account %q: %w", account, err)
	}
	if n == 0 {
		return fmt.Errorf("account %q: %w", account, ErrNotFound)
	}
	return nil
}
