package embedded

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/time/rate"

	"weir/deploy/conns"
)

const (
	loginTimeout   = 10 * time.Second // default of Config.LoginTimeout
	maxLogins      = 256              // default of Config.MaxLogins
	maxLoginFrame  = 4 << 10          // bytes of a request before the login
	maxLoginFrames = 16               // requests until the login; ours takes 4
)

// Login is how a client logs in to the broker. It is generated at the first start
// and kept in the data folder, with mode 0600.
type Login struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

func brokerLogin(dir string) (Login, error) {
	path := filepath.Join(dir, loginFile)
	login, err := fileOnce(path, func() Login { return Login{User: "weir", Password: randomHex(32)} })
	if err == nil && (login.User == "" || login.Password == "") {
		err = fmt.Errorf("%s has no user and password: remove it, the next start makes another one", path)
	}
	return login, err
}

// Reasons for which the broker closes a connection: values of a label.
const (
	reasonNoLogin    = "no_login"    // a request before the login
	reasonWrongLogin = "wrong_login" // a wrong user or password
	reasonLate       = "late"        // no login within Config.LoginTimeout
	reasonCrowded    = "crowded"     // the oldest of more than Config.MaxLogins without a login
	reasonFrame      = "frame"       // too long, too short, or not to be decoded
	reasonRequest    = "request"     // not served, see served
)

// guard lets clients of the broker in that log in by SCRAM-SHA-256. Until then no
// byte of theirs reaches kfake, which was made for tests: it decodes in
// goroutines whose panics end the process, allocates what a frame claims, and
// handles all requests of all clients one after the other. (It can check SCRAM
// itself, but only after decoding, and of the users in its own files.)
type guard struct {
	keys    scramKeys
	timeout time.Duration
	most    int
	log     *slog.Logger
	warn    rate.Sometimes
	refused *prometheus.CounterVec
	before  requestSet // served before the login
	after   requestSet

	conns  *conns.Set
	failed chan error  // receives the error when the broker's loop of Accept ends without close
	closed atomic.Bool // the broker is being closed

	mu      sync.Mutex     // protects waiting
	waiting []*guardedConn // connections without a login, oldest first
}

func newGuard(cfg Config, login Login) (*guard, error) {
	keys, err := newScramKeys(login)
	if err != nil {
		return nil, fmt.Errorf("derive the keys of the embedded broker's login: %w", err)
	}
	return &guard{
		conns: cfg.Conns, failed: make(chan error, 1),
		keys: keys, timeout: cmp.Or(cfg.LoginTimeout, loginTimeout), most: cmp.Or(cfg.MaxLogins, maxLogins), log: cfg.Log,
		warn:   rate.Sometimes{Interval: time.Minute},
		before: newRequestSet(loginRequests()), after: newRequestSet(served()),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_embedded_broker_refused_total",
			Help: "Connections that the embedded broker closed: without a login, with a wrong one, or for a request that it does not serve.",
		}, []string{"reason"}),
	}, nil
}

// fail tells that the broker is at its end: kfake accepts no more after an error.
func (g *guard) fail(err error) {
	if g.closed.Load() {
		return
	}
	select {
	case g.failed <- err:
	default: // told already
	}
}

// enter registers a new connection. Where too many have not logged in, the oldest
// of them is closed: a flood ends itself, and a client that logs in at once gets in.
func (g *guard) enter(c *guardedConn) {
	_ = c.SetDeadline(time.Now().Add(g.timeout)) // a connection that is closed already fails at its first read
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, c)
	if len(g.waiting) > g.most {
		g.refused.WithLabelValues(reasonCrowded).Inc()
		_ = g.waiting[0].Conn.Close() // its reader ends; nobody waits for the close
		g.waiting = slices.Delete(g.waiting, 0, 1)
	}
}

// leave forgets a connection that has logged in or is closed.
func (g *guard) leave(c *guardedConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(w *guardedConn) bool { return w == c })
}

// refuse counts err, which closes a connection, and returns it.
func (g *guard) refuse(reason string, err error) error {
	g.refused.WithLabelValues(reason).Inc()
	g.warn.Do(func() {
		g.log.Warn("embedded broker refused a connection, weir_embedded_broker_refused_total counts them", "reason", reason, "err", err)
	})
	return err
}

// login talks to a client until it has logged in.
func (g *guard) login(c net.Conn) error {
	talk := loginTalk{keys: g.keys}
	for range maxLoginFrames {
		frame, err := readLoginFrame(c)
		if err == nil {
			err = g.answer(c, &talk, frame)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return err // the client has gone, or enter has closed it
		}
		if err != nil {
			return g.refuse(reasonOf(err), err)
		}
		if talk.done {
			return c.SetDeadline(time.Time{})
		}
	}
	return g.refuse(reasonFrame, fmt.Errorf("no login within %d requests", maxLoginFrames))
}

// answer answers one request of a client without a login.
func (g *guard) answer(c net.Conn, talk *loginTalk, frame []byte) error {
	h := parseHeader(frame)
	if err := g.before.check(h.key, h.version); err != nil {
		return fmt.Errorf("%w: %w", errNoLogin, err)
	}
	req, err := parseRequest(h, frame)
	if err != nil {
		return err
	}
	resp, err := talk.answer(req)
	if resp == nil {
		return err
	}
	_, failed := c.Write(encodeResponse(h, resp))
	return errors.Join(err, failed)
}

var (
	errLoginFrame = fmt.Errorf("request that is not of %d to %d bytes before the login", minFrame, maxLoginFrame)
	errNoLogin    = errors.New("request before the login")
)

func reasonOf(err error) string {
	switch {
	case errors.Is(err, errWrongLogin):
		return reasonWrongLogin
	case errors.Is(err, errNoLogin):
		return reasonNoLogin
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reasonLate
	}
	return reasonFrame
}

// readLoginFrame reads a frame of a client that nobody knows yet.
func readLoginFrame(c io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[:])
	if length < minFrame || length > maxLoginFrame {
		return nil, errLoginFrame
	}
	frame := make([]byte, length)
	_, err := io.ReadFull(c, frame)
	return frame, err
}

// loginTalk is the state of a login: which mechanism, how far, and whether done.
type loginTalk struct {
	keys  scramKeys
	scram *scramTalk // nil until the mechanism is chosen
	began bool       // the first message was answered
	done  bool
}

// answer returns what a client without a login is told. With an error the
// connection ends after the answer, if there is one.
func (t *loginTalk) answer(req kmsg.Request) (kmsg.Response, error) {
	switch req := req.(type) {
	case *kmsg.ApiVersionsRequest:
		return listServed(req), nil
	case *kmsg.SASLHandshakeRequest:
		return t.handshake(req), nil
	case *kmsg.SASLAuthenticateRequest:
		return t.authenticate(req)
	}
	return nil, errNoLogin
}

func listServed(req *kmsg.ApiVersionsRequest) kmsg.Response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = req.Version
	for _, s := range append(loginRequests(), served()...) {
		key := kmsg.NewApiVersionsResponseApiKey()
		key.ApiKey, key.MinVersion, key.MaxVersion = s.key, s.min, s.max
		resp.ApiKeys = append(resp.ApiKeys, key)
	}
	return resp
}

func (t *loginTalk) handshake(req *kmsg.SASLHandshakeRequest) kmsg.Response {
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.Version = req.Version
	resp.SupportedMechanisms = []string{scramMechanism}
	switch {
	case req.Mechanism != scramMechanism:
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
	case t.scram != nil:
		resp.ErrorCode = kerr.IllegalSaslState.Code
	default:
		t.scram = &scramTalk{keys: t.keys}
	}
	return resp
}

func (t *loginTalk) authenticate(req *kmsg.SASLAuthenticateRequest) (kmsg.Response, error) {
	if t.scram == nil {
		return nil, errNoLogin
	}
	step := t.scram.first
	if t.began {
		step = t.scram.final
	}
	said, err := step(string(req.SASLAuthBytes))
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.Version = req.Version
	resp.SASLAuthBytes = []byte(said)
	if err != nil {
		reason := err.Error()
		resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &reason
	}
	t.began, t.done = true, t.began && err == nil
	return resp, err
}
