package query

import (
	"cmp"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/schemas/clientaddr"
)

func TestLoginIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newExportWorld(t, Config{})
		login := func(password, from string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v3/auth/web",
				strings.NewReader(`{"userName":"ann@example.org","password":"`+password+`"}`))
			r.RemoteAddr = from + ":1234"
			r.AddCookie(&http.Cookie{Name: cookieCsrf, Value: "any"})
			out := httptest.NewRecorder()
			w.Handler().ServeHTTP(out, r)
			return out
		}
		for range 10 {
			if out := login("guess", "192.0.2.1"); out.Code != http.StatusUnauthorized {
				t.Fatalf("guess: %d %s", out.Code, out.Body)
			}
		}
		out := login(worldPassword, "192.0.2.1")
		if out.Code != http.StatusTooManyRequests || out.Header().Get("Retry-After") == "" {
			t.Errorf("after 10 guesses: %d, Retry-After %q", out.Code, out.Header().Get("Retry-After"))
		}
		if !strings.Contains(out.Body.String(), `"status":"AUTH ERROR"`) {
			t.Errorf("body = %s", out.Body)
		}
		if out := login(worldPassword, "192.0.2.2"); out.Code != http.StatusOK {
			t.Errorf("wrong passwords from another address locked the user out: %d %s", out.Code, out.Body)
		}
		time.Sleep(time.Minute)
		if out := login(worldPassword, "192.0.2.1"); out.Code != http.StatusOK {
			t.Errorf("a minute later: %d %s", out.Code, out.Body)
		}
	})
}

// TestLoginsBehindProxies: attempts count per client, of which a proxy passes on many.
func TestLoginsBehindProxies(t *testing.T) {
	for name, c := range map[string]struct {
		trusted   []string
		forwarded string
		want      string
	}{
		"nobody is trusted":  {nil, "203.0.113.7", "192.0.2.1"},
		"a proxy is trusted": {[]string{"192.0.2.0/24"}, "10.9.9.9, 203.0.113.7", "203.0.113.7"},
		"one network counts": {[]string{"192.0.2.0/24"}, "2001:db8::1:2:3:4", "2001:db8::"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		r.Header.Set("X-Forwarded-For", c.forwarded)
		if got := clientaddr.Group(trusted(t, c.trusted...).Client(r)); got.String() != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// trusted returns proxies of a list.
func trusted(t *testing.T, list ...string) clientaddr.Proxies {
	t.Helper()
	proxies, err := clientaddr.New(list, false)
	if err != nil {
		t.Fatal(err)
	}
	return proxies
}

func TestCookies(t *testing.T) {
	for name, c := range map[string]struct {
		trust  []string
		change func(*http.Request)
		secure bool
	}{
		"http":                {nil, func(*http.Request) {}, false},
		"https":               {nil, func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, true},
		"a trusted proxy":     {[]string{"192.0.2.1"}, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, true},
		"an untrusted header": {[]string{"192.0.2.2"}, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newExportWorld(t, Config{Proxies: trusted(t, c.trust...)})
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v3/auth/web",
				strings.NewReader(`{"userName":"ann@example.org","password":"`+worldPassword+`"}`))
			r.AddCookie(&http.Cookie{Name: cookieCsrf, Value: "any"})
			c.change(r)
			out := httptest.NewRecorder()
			w.Handler().ServeHTTP(out, r)
			cookies := out.Result().Cookies()
			if len(cookies) != 3 {
				t.Fatalf("%d: cookies = %v", out.Code, cookies)
			}
			for _, k := range cookies {
				path := map[string]string{cookieDevice: "/v3/auth"}[k.Name]
				if k.Secure != c.secure || k.Path != cmp.Or(path, "/") || k.SameSite != http.SameSiteLaxMode || k.HttpOnly != (k.Name != cookieCsrf) {
					t.Errorf("cookie = %v, want secure %v", k, c.secure)
				}
			}
			link := w.reporting.exports.storeEndpoint(r)
			if got := strings.HasPrefix(link, "https://"); got != c.secure {
				t.Errorf("links begin with %s", link)
			}
		})
	}
}

func TestPublicEndpoint(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{PublicEndpoint: "https://s3.example.org"}, "https://s3.example.org"},
		{Config{PublicEndpoint: "https://s3.example.org", DirectLinks: true}, "https://s3.example.org"},
		{Config{DirectLinks: true}, ""}, // to objects.Presign: the store's own
		{Config{}, "http://example.com"},
	} {
		w := newExportWorld(t, c.cfg)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		if got := w.reporting.exports.storeEndpoint(r); got != c.want {
			t.Errorf("%+v: endpoint = %q, want %q", c.cfg, got, c.want)
		}
	}
}
