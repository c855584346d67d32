package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strconv"
	"sync/atomic"
	"time"
)

// Addresses of this machine that clients connect from: limits per address see
// the neighbour and the attackers as different clients.
const (
	attackerAddr  = "127.0.0.1"
	neighbourAddr = "127.0.0.2"
)

// dial opens a connection of the attacker's to the public listener.
func (t *target) dial(ctx context.Context) (net.Conn, error) {
	return t.dialTo(ctx, t.World.Addr, attackerAddr)
}

// dialTo opens a connection from an address of this machine, such as 127.3.2.1,
// and counts it and what is sent.
func (t *target) dialTo(ctx context.Context, addr, from string) (net.Conn, error) {
	conn, err := dialFrom(ctx, addr, from)
	if err != nil {
		return nil, err
	}
	atomic.AddInt64(&t.cost.Connections, 1)
	return &countedConn{conn, &t.cost.Bytes}, nil
}

func dialFrom(ctx context.Context, addr, from string) (net.Conn, error) {
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	return d.DialContext(ctx, "tcp", addr)
}

type countedConn struct {
	net.Conn
	bytes *int64
}

// Write implements net.Conn.
func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	atomic.AddInt64(c.bytes, int64(n))
	return n, err
}

// client returns an HTTP client of the attacker's with up to n connections and
// cookies of its own.
func (t *target) client(n int) *http.Client {
	return t.clientFrom(n, attackerAddr)
}

// clientFrom returns an HTTP client that connects from an address of this machine.
func (t *target) clientFrom(n int, from string) *http.Client {
	return newClient(n, func(ctx context.Context, addr string) (net.Conn, error) { return t.dialTo(ctx, addr, from) })
}

func newClient(n int, dial func(ctx context.Context, addr string) (net.Conn, error)) *http.Client {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxConnsPerHost: n, MaxIdleConnsPerHost: n, DisableCompression: true,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return dial(ctx, addr) },
	}}
}

// do sends a request, reads its answer up to limit bytes, and counts its status.
func (t *target) do(c *http.Client, req *http.Request, limit int64) (int, []byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		t.count("none")
		return 0, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	t.count(strconv.Itoa(resp.StatusCode))
	text, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	return resp.StatusCode, text, err
}

// report sends a body to the Ingestion API as acc.
func (acc account) report(ctx context.Context, url string, body []byte) *http.Request {
	return acc.basic(newRequest(ctx, http.MethodPost, url+"/v1/event/report", body))
}

func (acc account) basic(req *http.Request) *http.Request {
	req.SetBasicAuth(acc.Key, acc.Secret)
	return req
}

func (acc account) bearer(req *http.Request) *http.Request {
	req.Header.Set("Authorization", "Bearer "+acc.Token)
	return req
}

// newRequest returns a request with a JSON body and without credentials.
func newRequest(ctx context.Context, method, url string, body []byte) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		panic(err) // the program's own URL
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

// login logs c in to the Reporting API.
func (acc account) login(ctx context.Context, c *http.Client, url string) error {
	for _, req := range []*http.Request{
		newRequest(ctx, http.MethodGet, url+"/v3/request-csrf", nil),
		newRequest(ctx, http.MethodPost, url+"/v3/auth/web", fmt.Appendf(nil, `{"userName":%q,"password":%q}`, acc.Email, acc.Password)),
	} {
		if _, err := answer(c, req); err != nil {
			return err
		}
	}
	return nil
}

// loginAttacker logs in and tries again when it is refused, as when other attacks
// run beside this one.
func (t *target) loginAttacker(ctx context.Context, c *http.Client) error {
	for {
		err := t.World.Attacker.login(ctx, c, t.World.URL)
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// statusError is an answer that is not 2xx.
type statusError struct {
	status int
	text   string
}

// Error implements error.
func (e statusError) Error() string { return fmt.Sprintf("%d %.200s", e.status, e.text) }

// answer sends a request and returns the answer, which must be 2xx.
func answer(c *http.Client, req *http.Request) ([]byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = statusError{resp.StatusCode, string(text)}
	}
	return text, err
}

// batch returns a body of n believable events of clients that begin at first.
func batch(n int, first int64, at time.Time) []byte {
	return batchOf(n, func(i int) item {
		return item{
			EUID: first + int64(i%300), Name: []string{"view", "edit", "search"}[i%3], Time: at.UnixMilli(), RandomID: randomID(),
			Properties: map[string]any{"$category": "docs", "$value": i % 50, "page": i, "$client": map[string]any{"prodVersion": "1.2.0", "geography.country": "DE"}},
		}
	})
}

// item is one item of data[].
type item struct {
	EUID       int64          `json:"euid"`
	Name       string         `json:"event_name"`
	Time       int64          `json:"itime"`
	RandomID   string         `json:"random_id"`
	Properties map[string]any `json:"properties,omitempty"`
}

func batchOf(n int, event func(i int) item) []byte {
	items := make([]item, n)
	for i := range items {
		items[i] = event(i)
	}
	text, err := json.Marshal(map[string]any{"app_key": "attack", "data": items})
	if err != nil {
		panic(err) // the program's own values
	}
	return text
}
