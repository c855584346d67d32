package query

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"weir/schemas"
	"weir/schemas/clientaddr"
	"weir/schemas/registry"
)

const (
	passwordTTL        = 5 * time.Second  // how long a right password is not checked again; a revocation takes effect within it
	attemptRefill      = 12 * time.Second // a wrong password costs one of attemptBurst; one comes back after this time
	attemptBurst       = 10
	maxPasswordEntries = 10_000 // of each map; a full map is emptied
)

// passwords checks the passwords of users. A check is slow on purpose, so a
// right password is cached for passwordTTL, and wrong ones are throttled: per
// email and address, so that nobody can lock somebody else out.
type passwords struct {
	registry *registry.Registry
	proxies  clientaddr.Proxies // see Config.Proxies

	mu    sync.Mutex // guards the maps
	right map[[sha256.Size]byte]rightPassword
	wrong map[[sha256.Size]byte]*rate.Limiter
}

type rightPassword struct {
	principal registry.Principal
	until     time.Time
}

func newPasswords(reg *registry.Registry, proxies clientaddr.Proxies) *passwords {
	return &passwords{
		registry: reg, proxies: proxies,
		right: map[[sha256.Size]byte]rightPassword{}, wrong: map[[sha256.Size]byte]*rate.Limiter{},
	}
}

// authenticate returns the user of email, or the 401 or 429 of a wrong password.
func (p *passwords) authenticate(r *http.Request, email, password string) (registry.Principal, error) {
	key := sha256.Sum256([]byte(email + "\x00" + password))
	if principal, ok := p.cached(key); ok {
		return principal, nil
	}
	from := sha256.Sum256([]byte(strings.ToLower(email) + "\x00" + p.clientAddr(r).String()))
	if !p.mayTry(from) {
		return registry.Principal{}, &schemas.RequestError{
			Status: http.StatusTooManyRequests, Code: "too_many_attempts", Detail: "Too many wrong passwords",
			RetryAfter: int(attemptRefill / time.Second),
		}
	}
	principal, err := p.registry.AuthenticateUser(r.Context(), email, password)
	switch {
	case errors.Is(err, registry.ErrUnauthorized):
		p.countWrong(from)
		return registry.Principal{}, unauthorized()
	case err != nil:
		return registry.Principal{}, err
	}
	p.cache(key, principal)
	return principal, nil
}

// clientAddr is the address under which attempts of a client count.
func (p *passwords) clientAddr(r *http.Request) netip.Addr {
	return clientaddr.Group(p.proxies.Client(r))
}

// cached returns the user of a password that was right less than passwordTTL ago. key
// is a hash, so that no password is kept in memory.
func (p *passwords) cached(key [sha256.Size]byte) (registry.Principal, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hit, ok := p.right[key]
	return hit.principal, ok && time.Now().Before(hit.until)
}

func (p *passwords) cache(key [sha256.Size]byte, principal registry.Principal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.right) >= maxPasswordEntries {
		clear(p.right)
	}
	p.right[key] = rightPassword{principal: principal, until: time.Now().Add(passwordTTL)}
}

// mayTry reports whether a password may be checked. It does not count as an attempt:
// only wrong passwords do.
func (p *passwords) mayTry(from [sha256.Size]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	limit, ok := p.wrong[from]
	return !ok || limit.Tokens() >= 1
}

// countWrong uses up one attempt of from, which is a hash of email and address.
func (p *passwords) countWrong(from [sha256.Size]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.wrong) >= maxPasswordEntries {
		clear(p.wrong)
	}
	limit, ok := p.wrong[from]
	if !ok {
		limit = rate.NewLimiter(rate.Every(attemptRefill), attemptBurst)
		p.wrong[from] = limit
	}
	limit.Allow()
}
