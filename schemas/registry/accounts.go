package registry

import (
	"context"
	"time"
)

// Account is a business: it has products, users and tokens.
type Account struct {
	ID      string
	Name    string
	Created time.Time
	Revoked time.Time // zero while it is alive
}

// Product is what is measured.
type Product struct {
	ID      int64
	Account string
	Name    string
	Created time.Time
	Revoked time.Time // zero while it is alive
}

// CreateAccount makes an account with an id of its own.
func (r *Registry) CreateAccount(ctx context.Context, name string) (Account, error) {
	return Account{}, errStub
}

// ListAccounts lists every account, revoked ones too, oldest first.
func (r *Registry) ListAccounts(ctx context.Context) ([]Account, error) { return nil, errStub }

// RevokeAccount ends an account and with it every product, source, token and
// user it has.
func (r *Registry) RevokeAccount(ctx context.Context, id string) error { return errStub }

// CreateProduct makes p; a zero ID asks for a random one of ten digits.
func (r *Registry) CreateProduct(ctx context.Context, p Product) (Product, error) {
	return Product{}, errStub
}

// Product returns a product that is alive, or ErrNotFound.
func (r *Registry) Product(ctx context.Context, id int64) (Product, error) {
	return Product{}, errStub
}

// ListProducts lists the products of account, or of all accounts if it is "".
func (r *Registry) ListProducts(ctx context.Context, account string) ([]Product, error) {
	return nil, errStub
}

// RevokeProduct ends a product: its sources stop writing and nobody sees it.
func (r *Registry) RevokeProduct(ctx context.Context, id int64) error { return errStub }
