package registry

import (
	"context"
	"fmt"
)

// Profile is a user with their account and products.
type Profile struct {
	Account  Account
	User     User
	Products []Product // active ones
}

// Profile returns the profile of a user, named by id.
func (r *Registry) Profile(ctx context.Context, user string) (Profile, error) {
	var p Profile
	var userMade, accountMade int64
	err := r.db.QueryRowContext(ctx, `SELECT u.id, u.account_id, u.email, u.created, a.id, a.name, a.created
		FROM users u JOIN accounts a ON a.id = u.account_id WHERE u.id = $1`, user).
		Scan(&p.User.ID, &p.User.Account, &p.User.Email, &userMade, &p.Account.ID, &p.Account.Name, &accountMade)
	if err != nil {
		return Profile{}, fmt.Errorf("read profile of user %q: %w", user, err)
	}
	p.User.Created, p.Account.Created = fromMicros(userMade), fromMicros(accountMade)
	all, err := r.ListProducts(ctx, p.Account.ID)
	if err != nil {
		return Profile{}, err
	}
	for _, product := range all {
		if product.Revoked.IsZero() {
			p.Products = append(p.Products, product)
		}
	}
	return p, nil
}
