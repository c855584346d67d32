package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"time"
)

// Product is an application whose usage is measured.
type Product struct {
	ID        int64
	Account   string
	Name      string
	RawExport bool // daily files of all events are built and given out; SetProduct switches it
	EUIDAsRef bool // refId and customerId of the User Events API may be an EUID; SetProduct switches it
	Created   time.Time
	Revoked   time.Time // zero while it is active
}

// CreateProduct creates p. With a zero ID it generates a random id of ten digits,
// with an empty Name it uses the id as the name. Its switches are on.
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

// newProductID returns a random number of ten digits.
func newProductID() (int64, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000))
	if err != nil {
		return 0, err
	}
	return 1_000_000_000 + n.Int64(), nil
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
	p.Created, p.Revoked, p.RawExport, p.EUIDAsRef = currentTime(), time.Time{}, true, false
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
	CASE WHEN p.revoked = 0 THEN a.revoked ELSE p.revoked END,
	NOT EXISTS (SELECT 1 FROM settings s WHERE s.key = '` + rawExportKey + `' || CAST(p.id AS TEXT) AND s.value = '` + switchOff + `'),
	EXISTS (SELECT 1 FROM settings s WHERE s.key = '` + euidAsRefKey + `' || CAST(p.id AS TEXT) AND s.value = '` + switchOn + `')
	FROM products p JOIN accounts a ON a.id = p.account_id `

func scanProduct(row *sql.Rows) (Product, error) {
	var p Product
	var created, revoked int64
	err := row.Scan(&p.ID, &p.Account, &p.Name, &created, &revoked, &p.RawExport, &p.EUIDAsRef)
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
