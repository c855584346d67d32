package registry

import (
	"context"
	"time"
)

// Session is a login that lasts.
type Session struct {
	ID      string // the secret of the cookie; kept only as its hash
	Csrf    string // belongs to ID: Csrf(ID)
	Expires time.Time
}

// NewSession logs user, an id, in.
func (r *Registry) NewSession(ctx context.Context, user string) (Session, error) {
	return Session{}, errStub
}

// Session returns whose session this is and lets it live on, or
// ErrUnauthorized.
func (r *Registry) Session(ctx context.Context, id string) (Principal, error) {
	return Principal{}, errStub
}

// EndSession logs one session out; one that is not there is no error.
func (r *Registry) EndSession(ctx context.Context, id string) error { return errStub }

// EndSessions logs every session of user out.
func (r *Registry) EndSessions(ctx context.Context, user string) error { return errStub }
