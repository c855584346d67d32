package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Token is a bearer token of an account.
type Token struct {
	ID       string // public id; not the token itself
	Account  string
	Name     string
	Products []int64 // products it may read; empty means all of the account, including later ones
	Created  time.Time
	Revoked  time.Time // zero while it is active
}

// CreateToken creates a token with the account, name and products of t, and returns the
// token itself, of which only a hash is stored.
func (r *Registry) CreateToken(ctx context.Context, t Token) (Token, string, error) {
	if err := validText("name", t.Name); err != nil {
		return Token{}, "", fmt.Errorf("create token: %w", err)
	}
	secret := secretPrefix + newSecret()
	t.ID, t.Created, t.Revoked = newID(tokenPrefix), currentTime(), time.Time{}
	t.Products = slices.Compact(slices.Sorted(slices.Values(t.Products)))
	err := r.inTransaction(ctx, func(tx *sql.Tx) error { return insertToken(ctx, tx, t, hashSecret(secret)) })
	if err != nil {
		return Token{}, "", fmt.Errorf("create token of account %q: %w", t.Account, err)
	}
	return t, secret, nil
}

// insertToken inserts a token of an active account and its products, which must belong to
// the account.
func insertToken(ctx context.Context, tx *sql.Tx, t Token, hash string) error {
	if err := requireAccount(ctx, tx, t.Account); err != nil {
		return err
	}
	all := 0
	if len(t.Products) == 0 {
		all = 1
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO tokens (id, token_hash, account_id, name, all_products, created)
		VALUES ($1, $2, $3, $4, $5, $6)`, t.ID, hash, t.Account, t.Name, all, toMicros(t.Created))
	if err != nil {
		return err
	}
	for _, product := range t.Products {
		missing := fmt.Errorf("product %d of account %q: %w", product, t.Account, ErrNotFound)
		err := execRequired(ctx, tx, missing, `INSERT INTO token_products (token_id, product_id)
			SELECT CAST($1 AS TEXT), id FROM products WHERE id = $2 AND account_id = $3 AND revoked = 0`, t.ID, product, t.Account)
		if err != nil {
			return err
		}
	}
	return nil
}

// AuthenticateToken returns the principal of a token, or ErrUnauthorized.
func (r *Registry) AuthenticateToken(ctx context.Context, token string) (Principal, error) {
	if !strings.HasPrefix(token, secretPrefix) {
		return Principal{}, ErrUnauthorized
	}
	hash := hashSecret(token)
	return r.tokens.get(ctx, hash, func(ctx context.Context) (Principal, error) { return r.loadToken(ctx, hash) })
}

// loadToken reads a row for each product of the token, or one row without a product.
func (r *Registry) loadToken(ctx context.Context, hash string) (Principal, error) {
	who, err := r.loadPrincipal(ctx, `SELECT t.account_id, '', p.id FROM tokens t
		JOIN accounts a ON a.id = t.account_id
		LEFT JOIN products p ON p.account_id = t.account_id AND p.revoked = 0 AND (t.all_products = 1
			OR EXISTS (SELECT 1 FROM token_products tp WHERE tp.token_id = t.id AND tp.product_id = p.id))
		WHERE t.token_hash = $1 AND t.revoked = 0 AND a.revoked = 0 ORDER BY p.id`, hash)
	if err != nil {
		return Principal{}, fmt.Errorf("read token: %w", err)
	}
	return who, nil
}

// ListTokens lists the tokens of account, or of all accounts if it is "".
func (r *Registry) ListTokens(ctx context.Context, account string) ([]Token, error) {
	named, err := r.tokenProducts(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	all, err := queryAll(ctx, r.db, func(row *sql.Rows) (Token, error) {
		var t Token
		var created, revoked int64
		err := row.Scan(&t.ID, &t.Account, &t.Name, &created, &revoked)
		t.Products, t.Created, t.Revoked = named[t.ID], fromMicros(created), fromMicros(revoked)
		return t, err
	}, `SELECT id, account_id, name, created, revoked FROM tokens
		WHERE $1 = '' OR account_id = $1 ORDER BY created, id`, account)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return all, nil
}

// tokenProducts returns the products of all tokens that are limited to some.
func (r *Registry) tokenProducts(ctx context.Context) (map[string][]int64, error) {
	named := map[string][]int64{}
	_, err := queryAll(ctx, r.db, func(row *sql.Rows) (struct{}, error) {
		var token string
		var product int64
		err := row.Scan(&token, &product)
		named[token] = append(named[token], product)
		return struct{}{}, err
	}, `SELECT token_id, product_id FROM token_products ORDER BY token_id, product_id`)
	return named, err
}

// RevokeToken revokes a token, given by its id or by the token itself.
func (r *Registry) RevokeToken(ctx context.Context, idOrToken string) error {
	err := execRequired(ctx, r.db, ErrNotFound,
		`UPDATE tokens SET revoked = $1 WHERE (id = $2 OR token_hash = $3) AND revoked = 0`,
		toMicros(currentTime()), idOrToken, hashSecret(idOrToken))
	if err != nil {
		return fmt.Errorf("revoke token: %w", err) // without idOrToken, which may be the secret
	}
	r.invalidateCaches()
	return nil
}
