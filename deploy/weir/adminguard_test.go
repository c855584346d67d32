package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdminAddressMayBeOpened(t *testing.T) {
	const token = "sixteen letters or more"
	for _, c := range []struct {
		listen, token string
		want          string // part of the error; "" is none
	}{
		{"127.0.0.1:0", "", ""},
		{"127.9.9.9:9090", "", ""},
		{"localhost:9090", "", ""},
		{"[::1]:9090", "", ""},
		{"unix:/run/weir.sock", "", ""},
		{"0.0.0.0:9090", token, ""},
		{"0.0.0.0:9090", "", "set admin.token"},
		{":9090", "", "set admin.token"},
		{"[::]:9090", "", "set admin.token"},
		{"10.0.0.1:9090", "", "set admin.token"},
		{"localhost.example.org:9090", "", "set admin.token"},
		{"127.0.0.1.example.org:9090", "", "set admin.token"},
		{"unix:", "", "without a path"},
		{"0.0.0.0:9090", "short", "16 characters"},
	} {
		err := adminConfig{Listen: c.listen, Token: c.token}.check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s with token %q: %v, want %q", c.listen, c.token, err, c.want)
		}
	}
}

func TestAdminGuard(t *testing.T) {
	const token = "sixteen letters or more"
	own := adminConfig{Listen: "127.0.0.1:9090"}
	named := adminConfig{Listen: "localhost:9090"}
	open := adminConfig{Listen: "0.0.0.0:9090", Token: token}
	socket := adminConfig{Listen: "unix:/run/weir.sock"}
	for _, c := range []struct {
		cfg        adminConfig
		path, host string
		header     string // name: value
		want       int
	}{
		{own, "/metrics", "127.0.0.1:9090", "", 200},
		{own, "/metrics", "localhost:9090", "", 200},
		{own, "/metrics", "LOCALHOST", "", 200},
		{own, "/metrics", "[::1]:9090", "", 200},
		{own, "/metrics", "127.0.0.1.evil.example", "", 421},
		{own, "/debug/pprof/", "evil.example:9090", "", 421},
		{own, "/check", "", "", 421},
		{own, "/metrics", "192.0.2.1", "", 421},
		{own, "/healthz", "10.1.2.3:9090", "", 200},
		{own, "/readyz", "pod.example", "", 200},
		{own, "/readyz/../metrics", "pod.example", "", 421},
		{own, "/debug/pprof/profile", "127.0.0.1", "Sec-Fetch-Site: cross-site", 403},
		{named, "/metrics", "localhost", "", 200},
		{socket, "/metrics", "anything", "", 200},
		{open, "/metrics", "weir.example", "Authorization: Bearer " + token, 200},
		{open, "/metrics", "weir.example", "Authorization: bearer " + token, 200},
		{open, "/metrics", "127.0.0.1", "", 401},
		{open, "/metrics", "weir.example", "Authorization: Bearer " + token + "x", 401},
		{open, "/metrics", "weir.example", "Authorization: Basic " + token, 401},
		{open, "/metrics", "weir.example", "Authorization: Bearer", 401},
		{open, "/healthz", "weir.example", "", 200},
	} {
		ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
		g := newAdminGuard(c.cfg, ok, prometheus.NewRegistry())
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, nil)
		r.Host = c.host
		if name, value, set := strings.Cut(c.header, ": "); set {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code != c.want || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%+v: %d, Cache-Control %q", c, w.Code, w.Header().Get("Cache-Control"))
		}
		if strings.Contains(w.Body.String(), token) {
			t.Errorf("%+v: the answer has the token: %s", c, w.Body)
		}
	}
}

// TestAdminSocket: the socket is its owner's, replaces one that a killed process
// left, and does not replace one that is in use, nor a file.
func TestAdminSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	left.Close()
	l, err := listenAdmin(t.Context(), "admin.listen", "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	if adminAddress(l) != "unix:"+path || adminURL(l) != "unix:"+path {
		t.Errorf("address %s, shown as %s", adminAddress(l), adminURL(l))
	}
	if _, err := listenAdmin(t.Context(), "admin.listen", "unix:"+path); err == nil {
		t.Error("a socket in use was replaced")
	}
	ctx, stop := context.WithCancel(t.Context())
	mux := adminMux(prometheus.NewRegistry(), nil, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	go func() {
		ended <- httpServer{name: "admin", listener: l, handler: mux, cfg: httpConfig{MaxHeaderBytes: 1 << 16}, log: slog.New(slog.DiscardHandler)}.run(ctx)
	}()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	resp, err := client.Get("http://weir/metrics")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("metrics over the socket: %d", resp.StatusCode)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenAdmin(t.Context(), "admin.listen", "unix:"+path); err == nil {
		t.Error("a file was replaced")
	}
}
