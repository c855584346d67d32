package query

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"weir/schemas"
	"weir/schemas/registry"
)

// credentials authenticates requests of the User Events API and the Events API.
type credentials struct {
	registry  *registry.Registry
	passwords *passwords
}

// bearer returns the owner of the token that r carries.
func (c credentials) bearer(r *http.Request) (registry.Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return registry.Principal{}, unauthorized()
	}
	return c.token(r.Context(), strings.TrimSpace(token))
}

// bearerOrBasic also accepts a token without its scheme, and the email and
// password of a user by Basic.
func (c credentials) bearerOrBasic(r *http.Request) (registry.Principal, error) {
	header := strings.TrimSpace(r.Header.Get("Authorization"))
	scheme, rest, two := strings.Cut(header, " ")
	switch {
	case !two:
		return c.token(r.Context(), header)
	case strings.EqualFold(scheme, "Basic"):
		email, password, ok := r.BasicAuth()
		if !ok {
			return registry.Principal{}, unauthorized()
		}
		return c.passwords.authenticate(r, email, password)
	case strings.EqualFold(scheme, "Bearer"):
		return c.token(r.Context(), strings.TrimSpace(rest))
	}
	return registry.Principal{}, unauthorized()
}

// token returns the owner of a token.
func (c credentials) token(ctx context.Context, token string) (registry.Principal, error) {
	if token == "" {
		return registry.Principal{}, unauthorized()
	}
	principal, err := c.registry.AuthenticateToken(ctx, token)
	if errors.Is(err, registry.ErrUnauthorized) {
		return registry.Principal{}, unauthorized()
	}
	return principal, err
}

// unauthorized is the same 401 for a missing, an unknown and a revoked token, so that
// it does not tell which tokens exist.
func unauthorized() error {
	return &schemas.RequestError{
		Status: http.StatusUnauthorized, Code: "unauthorized", Detail: "Invalid or missing authentication token",
	}
}
