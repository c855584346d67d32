package registry

import (
	"context"
	"time"
)

// Identity is one name by which a client is known.
type Identity struct {
	Product int64
	Name    string // one of IdentityNames
	Value   string
	EUID    int64
	Created time.Time
}

// IdentityNames lists the names an identity can have.
func IdentityNames() []string {
	return []string{"user_id", "anonymous_id", "registration_id", "ref_id", "customer_id"}
}

// RegisterIdentities returns the EUIDs of values in their order, and allocates
// one for each value that is new. Values may repeat.
func (r *Registry) RegisterIdentities(ctx context.Context, product int64, name string, values []string) ([]int64, error) {
	return nil, errStub
}

// ResolveIdentity returns the EUID of a value, or ErrNotFound.
func (r *Registry) ResolveIdentity(ctx context.Context, product int64, name, value string) (int64, error) {
	return 0, errStub
}

// LinkIdentity makes id.Value lead to id.EUID, whatever it led to before.
func (r *Registry) LinkIdentity(ctx context.Context, id Identity) error { return errStub }

// ListIdentities lists the identities of a product, of one client or, if euid
// is 0, of all.
func (r *Registry) ListIdentities(ctx context.Context, product, euid int64) ([]Identity, error) {
	return nil, errStub
}
