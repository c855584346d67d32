package query

import (
	"context"
	"errors"
	"net/http"

	"weir/query/logins"
	"weir/schemas/clientaddr"
	"weir/schemas/registry"
)

const (
	cookieDevice = "Weir-Device"      // see logins.Guard.Device
	deviceKey    = "login_device_key" // setting of the registry
)

// passwords checks the passwords of requests.
type passwords struct {
	guard   *logins.Guard
	proxies clientaddr.Proxies // see Config.Proxies
}

func newPasswords(cfg Config, deps Deps) (*passwords, error) {
	guard, err := logins.New(cfg.Logins, logins.Deps{
		Check: deps.Registry.AuthenticateUser,
		DeviceKey: func(ctx context.Context) (string, error) {
			return registry.SecretOnce(ctx, deps.Registry, deviceKey)
		},
		Log: deps.Log, Metrics: deps.Metrics,
	})
	if err != nil {
		return nil, err
	}
	return &passwords{guard: guard, proxies: cfg.Proxies}, nil
}

// authenticate returns the user of email, or the 401 of a wrong password, or the
// 429 or 503 of one that was not checked.
func (p *passwords) authenticate(r *http.Request, email, password string) (registry.Principal, error) {
	principal, err := p.guard.Authenticate(r.Context(), logins.Attempt{
		Name: email, Password: password, From: clientaddr.Group(p.proxies.Client(r)), Device: deviceOf(r),
	})
	if errors.Is(err, registry.ErrUnauthorized) {
		return registry.Principal{}, unauthorized()
	}
	return principal, err
}

// deviceOf returns the cookie of the client's device, or "".
func deviceOf(r *http.Request) string {
	c, err := r.Cookie(cookieDevice)
	if err != nil {
		return ""
	}
	return c.Value
}

// setDevice gives the client's device a cookie after a login. A login goes on
// without it.
func (s *sessions) setDevice(w http.ResponseWriter, r *http.Request, email string) {
	value, err := s.passwords.guard.Device(r.Context(), email, deviceOf(r))
	if err != nil || value == "" {
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where the client speaks https
		Name: cookieDevice, Value: value, Path: "/v3/auth", HttpOnly: true, Secure: overHTTPS(r, s.proxies), SameSite: http.SameSiteLaxMode,
		MaxAge: int(logins.DeviceAge.Seconds()),
	})
}
