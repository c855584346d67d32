package registry

import (
	"context"
	"time"
)

// User is a person who logs in; they see every product of their account.
type User struct {
	ID      string
	Account string
	Email   string // lower case; one living user has it
	Created time.Time
	Revoked time.Time // zero while they are alive
}

// CreateUser makes u with a password.
func (r *Registry) CreateUser(ctx context.Context, u User, password string) (User, error) {
	return User{}, errStub
}

// AuthenticateUser returns whose email and password these are, or
// ErrUnauthorized. It is slow on purpose and at most two run at once; who
// calls it throttles.
func (r *Registry) AuthenticateUser(ctx context.Context, email, password string) (Principal, error) {
	return Principal{}, errStub
}

// ListUsers lists the users of account, or of all accounts if it is "".
func (r *Registry) ListUsers(ctx context.Context, account string) ([]User, error) {
	return nil, errStub
}

// RevokeUser ends a user, named by id or email, and all their sessions.
func (r *Registry) RevokeUser(ctx context.Context, idOrEmail string) error { return errStub }
