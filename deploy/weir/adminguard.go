package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// unixPrefix begins an admin.listen that is a socket in the file system.
const unixPrefix = "unix:"

// minAdminToken is the least length of admin.token; characters.
const minAdminToken = 16

// check returns why the admin address must not be opened as c says: others
// would reach metrics, and profiles that show the memory's layout and the flags.
func (c adminConfig) check() error {
	if c.Token != "" && len(c.Token) < minAdminToken {
		return fmt.Errorf("admin.token must have at least %d characters", minAdminToken)
	}
	if path, ok := strings.CutPrefix(c.Listen, unixPrefix); ok {
		if path == "" {
			return errors.New("admin.listen is unix: without a path")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err == nil && c.Token == "" && !isLoopback(host) {
		return fmt.Errorf("admin.listen is %s, which other machines may reach: set admin.token, or listen on loopback or on unix:/path", c.Listen)
	}
	return nil
}

// makePathAbsolute does for the socket what Config.makePathsAbsolute does for files.
func (c *adminConfig) makePathAbsolute() error {
	path, ok := strings.CutPrefix(c.Listen, unixPrefix)
	if !ok || path == "" {
		return nil
	}
	whole, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("resolve %s: %w", path, err)
	}
	c.Listen = unixPrefix + whole
	return nil
}

// isLoopback reports whether host names this machine for itself alone.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// listenAdmin opens the admin address. A socket is for the user of the process
// alone; one that a killed process left is replaced.
func listenAdmin(ctx context.Context, setting, addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, unixPrefix)
	if !ok {
		return listen(ctx, setting, addr)
	}
	if err := removeDeadSocket(path); err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	l, err := net.Listen("unix", path) //nolint:noctx // as above
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", setting, err), l.Close())
	}
	return l, nil
}

// removeDeadSocket removes a socket on which nobody listens.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil //nolint:nilerr // nothing to remove; what else is wrong, listening says
	}
	conn, err := net.Dial("unix", path) //nolint:noctx // a local socket answers at once
	if err == nil {
		return errors.Join(fmt.Errorf("another process listens on %s", path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// adminAddress is how the admin listener is printed and stored: host:port or unix:/path.
func adminAddress(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return unixPrefix + l.Addr().String()
	}
	return l.Addr().String()
}

// adminURL is the address as the banner shows it.
func adminURL(l net.Listener) string {
	if addr := adminAddress(l); strings.HasPrefix(addr, unixPrefix) {
		return addr
	}
	return "http://" + l.Addr().String()
}

// adminGuard lets operators at the admin handler. With admin.token each request
// must bring it. Without, the address is loopback or a socket: then a request must
// name this machine as its Host, because a page of the internet can make a
// browser here send requests to a name of its own that resolves to 127.0.0.1.
// /healthz and /readyz are open, for probes, which send no token and any Host.
type adminGuard struct {
	next    http.Handler
	token   [sha256.Size]byte
	asks    bool   // for the token
	socket  bool   // no browser can reach it
	host    string // of admin.listen
	refused *prometheus.CounterVec
}

func newAdminGuard(cfg adminConfig, next http.Handler, metrics prometheus.Registerer) *adminGuard {
	g := &adminGuard{
		next: next, token: sha256.Sum256([]byte(cfg.Token)), asks: cfg.Token != "", socket: strings.HasPrefix(cfg.Listen, unixPrefix),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_admin_refused_total",
			Help: "Requests to the admin address that were refused: without the token, with a Host that is not this machine's, or from a page of another site.",
		}, []string{"reason"}),
	}
	g.host, _, _ = net.SplitHostPort(cfg.Listen) // "" for a socket
	metrics.MustRegister(g.refused)
	return g
}

// ServeHTTP implements http.Handler.
func (g *adminGuard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	refuse := func(reason string, status int, text string) {
		g.refused.WithLabelValues(reason).Inc()
		http.Error(w, text, status)
	}
	switch {
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz":
	case g.asks && !g.authorized(r):
		w.Header().Set("WWW-Authenticate", `Bearer realm="weir admin"`)
		refuse("token", http.StatusUnauthorized, "Authorization: Bearer with admin.token is required")
		return
	case g.asks || g.socket:
	case !g.ownHost(r.Host):
		refuse("host", http.StatusMisdirectedRequest, "Host: is not a name of this machine's loopback; set admin.token to use others")
		return
	case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
		refuse("site", http.StatusForbidden, "pages of other sites may not ask")
		return
	}
	g.next.ServeHTTP(w, r)
}

// authorized compares hashes, so that the time taken tells nothing of the token.
func (g *adminGuard) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], g.token[:]) == 1
}

// ownHost reports whether a Host header names loopback, or what admin.listen says.
func (g *adminGuard) ownHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return isLoopback(strings.ToLower(host)) || g.host != "" && strings.EqualFold(host, g.host)
}
