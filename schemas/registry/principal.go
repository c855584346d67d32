package registry

import (
	"context"
	"database/sql"
	"slices"
)

// Principal is an authenticated caller and the products it may read.
type Principal struct {
	Account  string
	Products []int64 // products it may read, ascending; shared, must not be modified
	User     string  // user id; "" for a token
}

// May reports whether p may read product.
func (p Principal) May(product int64) bool {
	_, ok := slices.BinarySearch(p.Products, product)
	return ok
}

// loadPrincipal runs a query for rows of account, user and product. No row means
// ErrUnauthorized; a NULL product is skipped.
func (r *Registry) loadPrincipal(ctx context.Context, query string, args ...any) (Principal, error) {
	var who Principal
	products, err := queryAll(ctx, r.db, func(row *sql.Rows) (sql.NullInt64, error) {
		var product sql.NullInt64
		return product, row.Scan(&who.Account, &who.User, &product)
	}, query, args...)
	if err != nil {
		return Principal{}, err
	}
	if len(products) == 0 {
		return Principal{}, ErrUnauthorized
	}
	for _, p := range products {
		if p.Valid {
			who.Products = append(who.Products, p.Int64)
		}
	}
	return who, nil
}
