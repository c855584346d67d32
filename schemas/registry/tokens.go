package registry

import (
	"context"
	"slices"
	"time"
)

// Principal is who asks, and what may be shown to them.
type Principal struct {
	Account  string
	Products []int64 // every product it may see, ascending; shared, not to be changed
	User     string  // user id; "" for a token
}

// May reports whether p may see product.
func (p Principal) May(product int64) bool {
	_, ok := slices.BinarySearch(p.Products, product)
	return ok
}

// Token is a bearer token of an account.
type Token struct {
	ID       string // names it in lists; not the token itself
	Account  string
	Name     string
	Products []int64 // which products it sees; empty is all of the account, later ones too
	Created  time.Time
	Revoked  time.Time // zero while it is alive
}

// CreateToken makes a token as t says and returns the token itself, which
// cannot be had again.
func (r *Registry) CreateToken(ctx context.Context, t Token) (Token, string, error) {
	return Token{}, "", errStub
}

// AuthenticateToken returns whose token this is, or ErrUnauthorized.
func (r *Registry) AuthenticateToken(ctx context.Context, token string) (Principal, error) {
	return Principal{}, errStub
}

// ListTokens lists the tokens of account, or of all accounts if it is "".
func (r *Registry) ListTokens(ctx context.Context, account string) ([]Token, error) {
	return nil, errStub
}

// RevokeToken ends a token, named by its id or by the token itself.
func (r *Registry) RevokeToken(ctx context.Context, idOrToken string) error { return errStub }
