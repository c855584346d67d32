package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText bounds names that are only displayed; bytes.
const maxText = 256

// Account is a customer of the operator: it owns products, users and tokens.
type Account struct {
	ID      string
	Name    string
	Created time.Time
	Revoked time.Time // zero while it is active
}

// Product is an application whose usage is measured.
type Product struct {
	ID      int64
	Account string
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

// CreateProduct creates p. With a zero ID it generates a random id of ten digits,
// with an empty Name it uses the id as the name.
func (r *Registry) CreateProduct(ctx context.Context, p Product) (Product, error) {
	if err := requireAccount(ctx, r.db, p.Account); err != nil {
		return Product{}, fmt.Errorf("create product: %w", err)
	}
	if p.ID != 0 {
		return r.insertProduct(ctx, p)
	}
	for {
		id, err := newProductID()
		if err != nil {
			return Product{}, fmt.Errorf("create product: %w", err)
		}
		p.ID = id
		made, err := r.insertProduct(ctx, p)
		if !errors.Is(err, ErrExists) {
			return made, err
		}
	}
}

// insertProduct inserts p with the first EUID of its own sequence. It returns ErrExists if
// the id is taken, also by a revoked product: product ids also occur in the lake.
func (r *Registry) insertProduct(ctx context.Context, p Product) (Product, error) {
	if p.ID < 0 {
		return Product{}, fmt.Errorf("create product %d: %w: an id is positive", p.ID, ErrInvalid)
	}
	if p.Name == "" {
		p.Name = strconv.FormatInt(p.ID, 10)
	}
	if err := validText("name", p.Name); err != nil {
		return Product{}, fmt.Errorf("create product %d: %w", p.ID, err)
	}
	p.Created, p.Revoked = currentTime(), time.Time{}
	err := execRequired(ctx, r.db, ErrExists, `INSERT INTO products (id, account_id, name, next_client, created)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, p.ID, p.Account, p.Name, int64(firstEUID), toMicros(p.Created))
	if err != nil {
		return Product{}, fmt.Errorf("create product %d: %w", p.ID, err)
	}
	r.invalidateCaches() // cached tokens of the account do not include it yet
	return p, nil
}

// productColumns selects products; one of a revoked account counts as revoked with it.
const productColumns = `SELECT p.id, p.account_id, p.name, p.created,
	CASE WHEN p.revoked = 0 THEN a.revoked ELSE p.revoked END
	FROM products p JOIN accounts a ON a.id = p.account_id `

func scanProduct(row *sql.Rows) (Product, error) {
	var p Product
	var created, revoked int64
	err := row.Scan(&p.ID, &p.Account, &p.Name, &created, &revoked)
	p.Created, p.Revoked = fromMicros(created), fromMicros(revoked)
	return p, err
}

// Product returns an active product, or ErrNotFound.
func (r *Registry) Product(ctx context.Context, id int64) (Product, error) {
	found, err := queryAll(ctx, r.db, scanProduct, productColumns+`WHERE p.id = $1 AND p.revoked = 0 AND a.revoked = 0`, id)
	if err != nil {
		return Product{}, fmt.Errorf("read product %d: %w", id, err)
	}
	if len(found) == 0 {
		return Product{}, fmt.Errorf("product %d: %w", id, ErrNotFound)
	}
	return found[0], nil
}

// ListProducts lists the products of account, including revoked ones, or of all
// accounts if it is "".
func (r *Registry) ListProducts(ctx context.Context, account string) ([]Product, error) {
	all, err := queryAll(ctx, r.db, scanProduct,
		productColumns+`WHERE $1 = '' OR p.account_id = $1 ORDER BY p.created, p.id`, account)
	if err != nil {
		return nil, fmt.Errorf("list products: %w", err)
	}
	return all, nil
}

// RevokeProduct revokes a product: its sources can no longer write, and no token or
// user can read it.
func (r *Registry) RevokeProduct(ctx context.Context, id int64) error {
	err := execRequired(ctx, r.db, ErrNotFound, `UPDATE products SET revoked = $1 WHERE id = $2 AND revoked = 0`,
		toMicros(currentTime()), id)
	if err != nil {
		return fmt.Errorf("revoke product %d: %w", id, err)
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

// invalidateCaches makes a revocation take effect at once in this process.
func (r *Registry) invalidateCaches() {
	r.sources.invalidate()
	r.tokens.invalidate()
	r.sessions.invalidate()
}

// currentTime returns the time in the precision of the database: microseconds.
func currentTime() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// validText refuses text that PostgreSQL cannot store or that is too long to display.
func validText(what, text string) error {
	if len(text) > maxText {
		return fmt.Errorf("%w: %s is longer than %d bytes", ErrInvalid, what, maxText)
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return fmt.Errorf("%w: %s is not UTF-8 text", ErrInvalid, what)
	}
	return nil
}
