package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDownloadsPassSignedLinksOnly(t *testing.T) {
	var reached *http.Request
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached = r.Clone(context.Background())
		w.Header().Set("Server", "VERSITYGW")
		_, _ = io.WriteString(w, "zip")
	}))
	defer store.Close()
	links, err := newDownloadProxy("weir-exports", store.URL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(method, target string) *httptest.ResponseRecorder {
		reached = nil
		r := httptest.NewRequest(method, target, nil)
		r.Host = "weir.example"
		r.Header.Set("Cookie", "RUI-Session-Token=s")
		r.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		links.ServeHTTP(w, r)
		return w
	}

	w := ask("GET", "/weir-exports/1000/a%20b.zip?X-Amz-Signature=abc&X-Amz-Expires=9")
	if w.Code != 200 || w.Body.String() != "zip" || w.Header().Get("Server") != "" {
		t.Errorf("signed link: %d %q, server %q", w.Code, w.Body, w.Header().Get("Server"))
	}
	if reached == nil || reached.Host != "weir.example" || reached.URL.RequestURI() != "/weir-exports/1000/a%20b.zip?X-Amz-Signature=abc&X-Amz-Expires=9" {
		t.Fatalf("the store saw %+v, want host and address as they came", reached)
	}
	if reached.Header.Get("Cookie") != "" || reached.Header.Get("Authorization") != "" {
		t.Errorf("credentials reached the store: %v", reached.Header)
	}
	for target, want := range map[string]int{
		"GET /weir-exports/1000/a.zip":                                  403,
		"GET /weir-exports/?X-Amz-Signature=abc":                        404,
		"GET /weir-exports/../weir-lake/x?X-Amz-Signature=abc":          404,
		"GET /weir-exports/%2e%2e/weir-lake/x?X-Amz-Signature=abc":      404,
		"GET /weir-exports/x/..%2f..%2fweir-lake/x?X-Amz-Signature=abc": 404,
		"GET /weir-lake/x?X-Amz-Signature=abc":                          404,
		"PUT /weir-exports/1000/a.zip?X-Amz-Signature=abc":              405,
		"DELETE /weir-exports/1000/a.zip?X-Amz-Signature=abc":           405,
		"POST /weir-exports/1000/a.zip?X-Amz-Signature=abc&uploads=":    405,
	} {
		method, path, _ := strings.Cut(target, " ")
		if w := ask(method, path); w.Code != want || reached != nil {
			t.Errorf("%s: %d, reached the store: %t; want %d and not reached", target, w.Code, reached != nil, want)
		}
	}
}

func TestReadyzNamesPartsAndNoDetails(t *testing.T) {
	mux := http.NewServeMux()
	down := errors.New("dial tcp 10.0.0.7:9092: refused")
	addHealth(mux, []probe{
		{"ingest", func(context.Context) error { return down }},
		{"query", func(context.Context) error { return nil }},
		{"processor", func(context.Context) error { return down }},
	}, slog.New(slog.DiscardHandler))
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	if w := get("/readyz"); w.Code != 503 || w.Body.String() != "not ready: ingest, processor\n" {
		t.Errorf("/readyz: %d %q", w.Code, w.Body)
	}
	down = nil
	if w := get("/readyz"); w.Code != 200 {
		t.Errorf("/readyz: %d %q, want 200", w.Code, w.Body)
	}
	if w := get("/healthz"); w.Code != 200 {
		t.Errorf("/healthz: %d", w.Code)
	}
}

func TestSiteSpeaksTLS(t *testing.T) {
	cert, key, pool := certificate(t)
	l, err := listen(t.Context(), "listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpServer{
		name: "main", listener: l, cert: cert, key: key, log: slog.New(slog.DiscardHandler), cfg: httpConfig{MaxHeaderBytes: 1 << 16},
		handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	resp, err := client.Get("https://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "HTTP/1.1" {
		t.Errorf("over TLS we speak %q, want HTTP/1.1 alone", body)
	}
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}

// certificate writes a certificate for 127.0.0.1 and returns its files and a
// pool that trusts it.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := errors.Join(os.WriteFile(certFile, certPEM, 0o600), os.WriteFile(keyFile, keyPEM, 0o600)); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

func TestSiteDrainsRequestsInFlight(t *testing.T) {
	l, err := listen(t.Context(), "listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	s := httpServer{
		name: "main", listener: l, log: slog.New(slog.DiscardHandler), cfg: httpConfig{DrainTimeout: time.Minute, MaxHeaderBytes: 1 << 16},
		handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "done")
		}),
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	<-entered
	stop()
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("request in flight: %q, want done", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
}
