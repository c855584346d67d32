package registry

import (
	"context"
	"time"
)

// Source is a data source: an API key that writes to one product.
type Source struct {
	Key           string
	Product       int64
	Name          string
	RatePerSecond float64 // events a second it may send; 0 is no limit
	Created       time.Time
	Revoked       time.Time // zero while it is alive
}

// CreateSource makes a data source of s.Product and returns its secret, which
// cannot be had again.
func (r *Registry) CreateSource(ctx context.Context, s Source) (Source, string, error) {
	return Source{}, "", errStub
}

// AuthenticateSource returns the source whose key and secret these are, or
// ErrUnauthorized. It asks the database at most once in two seconds for a key.
func (r *Registry) AuthenticateSource(ctx context.Context, key, secret string) (Source, error) {
	return Source{}, errStub
}

// ListSources lists the sources of product, or of all products if it is 0.
func (r *Registry) ListSources(ctx context.Context, product int64) ([]Source, error) {
	return nil, errStub
}

// RevokeSource ends the source with this key.
func (r *Registry) RevokeSource(ctx context.Context, key string) error { return errStub }
