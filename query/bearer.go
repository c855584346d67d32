package query

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"weir/schemas"
	"weir/schemas/registry"
)

// bearer returns whose token r carries.
func (s *Service) bearer(r *http.Request) (registry.Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return registry.Principal{}, unauthorized()
	}
	return s.token(r.Context(), strings.TrimSpace(token))
}

// bearerOrBasic also takes a token without its scheme, and the email and
// password of a user by Basic.
func (s *Service) bearerOrBasic(r *http.Request) (registry.Principal, error) {
	given := strings.TrimSpace(r.Header.Get("Authorization"))
	scheme, rest, two := strings.Cut(given, " ")
	switch {
	case !two:
		return s.token(r.Context(), given)
	case strings.EqualFold(scheme, "Basic"):
		email, password, ok := r.BasicAuth()
		if !ok {
			return registry.Principal{}, unauthorized()
		}
		return s.basic.authenticate(r, email, password)
	case strings.EqualFold(scheme, "Bearer"):
		return s.token(r.Context(), strings.TrimSpace(rest))
	}
	return registry.Principal{}, unauthorized()
}

func (s *Service) token(ctx context.Context, token string) (registry.Principal, error) {
	if token == "" {
		return registry.Principal{}, unauthorized()
	}
	who, err := s.deps.Registry.AuthenticateToken(ctx, token)
	if errors.Is(err, registry.ErrUnauthorized) {
		return registry.Principal{}, unauthorized()
	}
	return who, err
}

func unauthorized() error {
	return &schemas.RequestError{
		Status: http.StatusUnauthorized, Code: "unauthorized", Detail: "Invalid or missing authentication token",
	}
}

const (
	basicAge    = 5 * time.Second  // a right password is not checked again for so long: within it a revocation acts
	basicEvery  = 12 * time.Second // a wrong password costs one of basicBurst; one comes back after so long
	basicBurst  = 10
	basicMemory = 10_000 // entries of each map; one that is full is emptied
)

// basicAuth checks a user's password for each request. That is slow on
// purpose, so a right one is remembered for basicAge, and who gives wrong ones
// is turned away for a while: per email and address, so that nobody can lock
// another out.
type basicAuth struct {
	registry   *registry.Registry
	trustProxy bool // the client's address is the one that a proxy names

	mu    sync.Mutex // guards what follows
	right map[[sha256.Size]byte]rightPassword
	wrong map[[sha256.Size]byte]*rate.Limiter
}

type rightPassword struct {
	who   registry.Principal
	until time.Time
}

func newBasicAuth(reg *registry.Registry, trustProxy bool) *basicAuth {
	return &basicAuth{
		registry: reg, trustProxy: trustProxy,
		right: map[[sha256.Size]byte]rightPassword{}, wrong: map[[sha256.Size]byte]*rate.Limiter{},
	}
}

func (b *basicAuth) authenticate(r *http.Request, email, password string) (registry.Principal, error) {
	known := sha256.Sum256([]byte(email + "\x00" + password))
	if who, ok := b.remembered(known); ok {
		return who, nil
	}
	from := sha256.Sum256([]byte(strings.ToLower(email) + "\x00" + b.client(r)))
	if !b.mayTry(from) {
		return registry.Principal{}, &schemas.RequestError{
			Status: http.StatusTooManyRequests, Code: "too_many_attempts", Detail: "Too many wrong passwords",
			RetryAfter: int(basicEvery / time.Second),
		}
	}
	who, err := b.registry.AuthenticateUser(r.Context(), email, password)
	switch {
	case errors.Is(err, registry.ErrUnauthorized):
		b.missed(from)
		return registry.Principal{}, unauthorized()
	case err != nil:
		return registry.Principal{}, err
	}
	b.remember(known, who)
	return who, nil
}

// client is the address of who asks. Of X-Forwarded-For only the last element
// is the proxy's own word; whatever stands before it the client may have made
// up, to be somebody else with every guess.
func (b *basicAuth) client(r *http.Request) string {
	if lines := r.Header.Values("X-Forwarded-For"); b.trustProxy && len(lines) > 0 {
		line := lines[len(lines)-1]
		last := strings.TrimSpace(line[strings.LastIndexByte(line, ',')+1:])
		if addr, err := netip.ParseAddr(strings.Trim(last, "[]")); err == nil {
			return addr.Unmap().String()
		}
		if both, err := netip.ParseAddrPort(last); err == nil {
			return both.Addr().Unmap().String()
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func (b *basicAuth) remembered(known [sha256.Size]byte) (registry.Principal, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hit, ok := b.right[known]
	return hit.who, ok && time.Now().Before(hit.until)
}

func (b *basicAuth) remember(known [sha256.Size]byte, who registry.Principal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.right) >= basicMemory {
		clear(b.right)
	}
	b.right[known] = rightPassword{who: who, until: time.Now().Add(basicAge)}
}

func (b *basicAuth) mayTry(from [sha256.Size]byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit, ok := b.wrong[from]
	return !ok || limit.Tokens() >= 1
}

func (b *basicAuth) missed(from [sha256.Size]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) >= basicMemory {
		clear(b.wrong)
	}
	limit, ok := b.wrong[from]
	if !ok {
		limit = rate.NewLimiter(rate.Every(basicEvery), basicBurst)
		b.wrong[from] = limit
	}
	limit.Allow()
}
