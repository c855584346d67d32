// Package logins checks passwords at a bounded cost and with bounded guesses.
//
// A hash is slow on purpose and takes 64 MiB, so few run at once (gate), and each
// guess is spent before its hash and given back if it was right: a hundred
// parallel guesses are ten. Guesses count where they come from and what they are
// at:
//
//   - Config.Tries for one name from one address, or from one device;
//   - Config.TriesName for one name from all addresses that it did not log in from
//     before, so that many addresses do not guess faster than some;
//   - Config.TriesAddress for one address at all names that it did not log in to
//     before, which is many people where a network shares an address. Only wrong
//     passwords remain spent, so a thousand of them log in at once.
//
// An address that a name logged in from, and a device that carries the cookie of
// such a login, are known: for them only the first of these and a budget of all
// known places of the name count, and they go first at the gate. So nobody can
// lock a user out, except from an address that both use, without the cookie.
//
// All memory is bounded. A key is forgotten only when its tries are back, or when
// more than maxKeys others were used since; at a few hashes a second that takes
// longer than a refill. Each process counts for itself.
package logins

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/schemas"
	"weir/schemas/registry"
)

const (
	rightFor      = 5 * time.Second  // how long a right password is not hashed again; a revocation takes effect within it
	refill        = 12 * time.Second // one of Tries and of TriesName comes back; Retry-After of a 429
	refillAddress = 6 * time.Second
	knownTries    = 100         // of one name from all places that are known
	refillKnown   = time.Second // so that guesses from all known addresses at once do not exhaust them
	knownAddrs    = 8           // addresses of a name that are remembered
	knownFor      = 90 * 24 * time.Hour
	maxKeys       = 32_768 // of each map
	maxRight      = 4096
	retryBusy     = 5 // seconds; Retry-After of a 503
)

// Config says how much may be guessed. The zero value works.
type Config struct {
	Tries        int           // wrong passwords for one name from one address or device, one more every 12 s; 0 means 10
	TriesName    int           // wrong passwords for one name from all addresses that are not known to it, one more every 12 s; 0 means 50
	TriesAddress int           // wrong passwords from one address for all names that it is not known to, one more every 6 s; 0 means 100
	Wait         time.Duration // how long a login waits for its hash, then 503; 0 means 5s
	Hashes       int           // passwords that are hashed at once; 0 means registry.PasswordHashes
	Waiting      int           // logins that wait, a quarter of them from one address; 0 means 256
}

func (c Config) withDefaults() Config {
	c.Tries = cmp.Or(c.Tries, 10)
	c.TriesName = cmp.Or(c.TriesName, 50)
	c.TriesAddress = cmp.Or(c.TriesAddress, 100)
	c.Wait = cmp.Or(c.Wait, 5*time.Second)
	c.Hashes = cmp.Or(c.Hashes, registry.PasswordHashes())
	c.Waiting = cmp.Or(c.Waiting, 256)
	return c
}

// Deps are what a Guard works with. All but Metrics are required.
type Deps struct {
	Check     func(ctx context.Context, name, password string) (registry.Principal, error) // slow; registry.ErrUnauthorized if wrong
	DeviceKey func(ctx context.Context) (string, error)                                    // key of the devices' cookies, the same in all processes
	Log       *slog.Logger
	Metrics   prometheus.Registerer // nil registers nothing
}

// Attempt is one login.
type Attempt struct {
	Name, Password string
	From           netip.Addr // address under which limits count
	Device         string     // cookie of the device; "" if it has none
}

// hash stands for names, addresses and passwords, none of which is kept.
type hash [sha256.Size]byte

// Guard checks passwords. It is safe for concurrent use.
type Guard struct {
	cfg     Config
	deps    Deps
	secret  [32]byte // of hashes; so that they say nothing to who reads memory
	gate    *gate
	devices devices
	results *prometheus.CounterVec

	mu        sync.Mutex // protects the fields below
	byPlace   *tries     // of name and address, or name and device
	byName    *tries
	byAddress *tries
	byKnown   *tries                 // of names, from known places
	known     *lru[hash, []sighting] // by name
	right     *lru[hash, remembered]
}

// sighting is an address from which a name logged in.
type sighting struct {
	addr netip.Addr
	last time.Time
}

type remembered struct {
	principal registry.Principal
	until     time.Time
}

// New returns a Guard.
func New(cfg Config, deps Deps) (*Guard, error) {
	if deps.Check == nil || deps.DeviceKey == nil || deps.Log == nil {
		return nil, errors.New("logins need Check, DeviceKey and Log")
	}
	cfg = cfg.withDefaults()
	g := &Guard{
		cfg: cfg, deps: deps,
		gate:      &gate{wait: cfg.Wait, waiting: cfg.Waiting, perAddr: max(1, cfg.Waiting/4), free: cfg.Hashes},
		devices:   devices{load: deps.DeviceKey},
		byPlace:   newTries(cfg.Tries, refill, maxKeys),
		byName:    newTries(cfg.TriesName, refill, maxKeys),
		byAddress: newTries(cfg.TriesAddress, refillAddress, maxKeys),
		byKnown:   newTries(knownTries, refillKnown, maxKeys),
		known:     newLRU[hash, []sighting](maxKeys),
		right:     newLRU[hash, remembered](maxRight),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_query_logins_total",
			Help: "Logins and Basic credentials whose password was to be hashed, by result: right, wrong, throttled (429) or busy (503).",
		}, []string{"result"}),
	}
	rand.Read(g.secret[:]) // never fails (crypto/rand)
	if deps.Metrics == nil {
		return g, nil
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "weir_query_logins_waiting", Help: "Logins that wait for the hash of their password.",
	}, func() float64 { return float64(g.gate.length()) })
	return g, errors.Join(deps.Metrics.Register(g.results), deps.Metrics.Register(waiting))
}

// Authenticate returns the user of a name and password. It returns
// registry.ErrUnauthorized for a wrong one, and a RequestError with status 429
// or 503 for one that was not checked.
func (g *Guard) Authenticate(ctx context.Context, a Attempt) (registry.Principal, error) {
	a.Name = strings.ToLower(strings.TrimSpace(a.Name))
	remember := g.hash("right", a.Name, a.From.String(), a.Password)
	if principal, ok := g.remembered(remember); ok {
		return principal, nil
	}
	b := g.budgetOf(ctx, a)
	if !g.afford(b, false) {
		return registry.Principal{}, g.refuse("throttled", tooMany())
	}
	p := &place{name: g.hash("place", a.Name, a.From.String()), addr: a.From, known: b.known}
	if err := g.gate.acquire(ctx, p); err != nil {
		if errors.Is(err, errBusy) {
			return registry.Principal{}, g.refuse("busy", busy())
		}
		return registry.Principal{}, err
	}
	defer g.gate.release(p)
	if principal, ok := g.remembered(remember); ok {
		return principal, nil // it came meanwhile, from the same client
	}
	if !g.afford(b, true) {
		return registry.Principal{}, g.refuse("throttled", tooMany())
	}
	return g.check(ctx, a, b, remember)
}

// check hashes the password of an attempt that was spent.
func (g *Guard) check(ctx context.Context, a Attempt, b budget, remember hash) (registry.Principal, error) {
	principal, err := g.deps.Check(ctx, a.Name, a.Password)
	if errors.Is(err, registry.ErrUnauthorized) {
		g.deps.Log.WarnContext(ctx, "login failed", "user", printable(a.Name), "from", a.From.String(), "known", b.known)
		return principal, g.refuse("wrong", err)
	}
	g.giveBack(b)
	if err != nil {
		return principal, err
	}
	g.results.WithLabelValues("right").Inc()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.right.put(remember, remembered{principal, time.Now().Add(rightFor)})
	g.sight(g.hash("name", a.Name), a.From)
	return principal, nil
}

// Device returns the cookie to give after a login with cookie, or "" where that
// is new enough.
func (g *Guard) Device(ctx context.Context, name, cookie string) (string, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	if d, ok := g.devices.check(ctx, cookie, name); ok && d.age < deviceRenewal {
		return "", nil
	}
	return g.devices.issue(ctx, name)
}

// budget is what an attempt spends.
type budget struct {
	known bool
	of    []*tries
	keys  []hash
}

func (b *budget) add(of *tries, key hash) { b.of, b.keys = append(b.of, of), append(b.keys, key) }

// budgetOf finds out who tries.
func (g *Guard) budgetOf(ctx context.Context, a Attempt) (b budget) {
	name := g.hash("name", a.Name)
	d, ok := g.devices.check(ctx, a.Device, a.Name)
	g.mu.Lock()
	defer g.mu.Unlock()
	place := g.hash("place", a.Name, a.From.String())
	if ok {
		place = g.hash("device", a.Name, string(d.id[:]))
	}
	b.known = ok || g.seen(name, a.From)
	b.add(g.byPlace, place)
	if b.known {
		b.add(g.byKnown, name)
		return b
	}
	b.add(g.byName, name)
	b.add(g.byAddress, g.hash("address", a.From.String()))
	return b
}

// afford reports whether all parts of b have a try, and spends them.
func (g *Guard) afford(b budget, spend bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, of := range b.of {
		if !of.left(b.keys[i]) {
			return false
		}
	}
	for i, of := range b.of {
		if spend {
			of.spend(b.keys[i])
		}
	}
	return true
}

func (g *Guard) giveBack(b budget) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, of := range b.of {
		of.giveBack(b.keys[i])
	}
}

// seen reports whether name logged in from addr. The caller holds mu.
func (g *Guard) seen(name hash, addr netip.Addr) bool {
	all, _ := g.known.get(name)
	return slices.ContainsFunc(all, func(s sighting) bool { return s.addr == addr && time.Since(s.last) < knownFor })
}

// sight remembers that name logged in from addr, and the last knownAddrs of its
// addresses. The caller holds mu.
func (g *Guard) sight(name hash, addr netip.Addr) {
	all, _ := g.known.get(name)
	now := []sighting{{addr, time.Now()}}
	for _, s := range all {
		if s.addr != addr && len(now) < knownAddrs {
			now = append(now, s)
		}
	}
	g.known.put(name, now)
}

func (g *Guard) remembered(key hash) (registry.Principal, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hit, ok := g.right.get(key)
	if ok && time.Now().After(hit.until) {
		g.right.remove(key)
		return registry.Principal{}, false
	}
	return hit.principal, ok
}

// hash of parts, none of which holds a zero byte that could make two lists equal:
// each is preceded by its length.
func (g *Guard) hash(parts ...string) (h hash) {
	m := hmac.New(sha256.New, g.secret[:])
	for _, part := range parts {
		m.Write([]byte{byte(len(part) >> 16), byte(len(part) >> 8), byte(len(part))})
		m.Write([]byte(part))
	}
	m.Sum(h[:0])
	return h
}

// printable returns what the log may say of a name: somebody may have typed the
// password into its field, and a text that is no address of a user helps nobody.
func printable(name string) string {
	if at := strings.IndexByte(name, '@'); at < 1 || len(name) > 254 || strings.ContainsAny(name, " \t\r\n") {
		return "no email"
	}
	return name
}

func (g *Guard) refuse(result string, err error) error {
	g.results.WithLabelValues(result).Inc()
	return err
}

func tooMany() error {
	return &schemas.RequestError{
		Status: http.StatusTooManyRequests, Code: "too_many_attempts", Detail: "Too many wrong passwords",
		RetryAfter: int(refill / time.Second),
	}
}

func busy() error {
	return &schemas.RequestError{
		Status: http.StatusServiceUnavailable, Code: "busy", Detail: "Too many logins at once", RetryAfter: retryBusy,
	}
}
