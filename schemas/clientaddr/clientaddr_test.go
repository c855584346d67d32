package clientaddr

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClient(t *testing.T) {
	for _, c := range []struct {
		trusted   []string
		anyPeer   bool
		peer      string
		forwarded []string
		want      string
	}{
		{nil, false, "192.0.2.1:1234", nil, "192.0.2.1"},
		{nil, false, "192.0.2.1:1234", []string{"203.0.113.7"}, "192.0.2.1"},                                // not trusted
		{[]string{"10.0.0.0/8"}, false, "192.0.2.1:1234", []string{"203.0.113.7"}, "192.0.2.1"},             // another's
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1234", []string{"203.0.113.7"}, "203.0.113.7"},            // one proxy
		{[]string{"10.1.1.1"}, false, "[::ffff:10.1.1.1]:1234", []string{"203.0.113.7"}, "203.0.113.7"},     // a bare address
		{[]string{"::ffff:10.0.0.0/104"}, false, "10.1.1.1:1", []string{"203.0.113.7"}, "203.0.113.7"},      // mapped
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", []string{"203.0.113.7, 10.2.2.2"}, "203.0.113.7"},     // two proxies
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", []string{"203.0.113.7", "10.2.2.2"}, "203.0.113.7"},   // of two lines
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", []string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"}, // made up
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", []string{"203.0.113.7, unknown"}, "10.1.1.1"},
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", []string{"203.0.113.7, unknown, 10.2.2.2"}, "10.2.2.2"},
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", []string{"10.3.3.3, 10.2.2.2"}, "10.3.3.3"}, // all are proxies
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", []string{""}, "10.1.1.1"},
		{[]string{"10.0.0.0/8"}, false, "10.1.1.1:1", nil, "10.1.1.1"},
		{[]string{"2001:db8::/32"}, false, "[2001:db8::1]:443", []string{"[2001:db9::7]:4711"}, "2001:db9::7"},
		{[]string{"fe80::/10"}, false, "[fe80::1%eth0]:443", []string{"2001:db9::7"}, "2001:db9::7"},
		{nil, true, "192.0.2.1:1", nil, "192.0.2.1"},
		{nil, true, "192.0.2.1:1", []string{"10.9.9.9, 203.0.113.7"}, "203.0.113.7"},
		{nil, true, "192.0.2.1:1", []string{"203.0.113.7:4711"}, "203.0.113.7"},
		{nil, true, "192.0.2.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{nil, true, "@", []string{"203.0.113.7"}, "203.0.113.7"}, // a unix socket
	} {
		proxies, err := New(c.trusted, c.anyPeer)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := proxies.Client(r); got != netip.MustParseAddr(c.want) {
			t.Errorf("proxies %q, any %v, from %s, forwarded %q: %s, want %s", c.trusted, c.anyPeer, c.peer, c.forwarded, got, c.want)
		}
	}
	if got := (Proxies{}).Client(&http.Request{RemoteAddr: "@"}); got.IsValid() {
		t.Errorf("a unix socket: %s, want an invalid address", got)
	}
}

func TestNewRefusesWhatIsNoNetwork(t *testing.T) {
	for _, text := range []string{"", "proxy.example.org", "10.0.0.0/33", "10.0.0", "10.0.0.1:80"} {
		if _, err := New([]string{text}, false); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestGroup(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:3::1": "2001:db8:1:3::",
	} {
		if got := Group(netip.MustParseAddr(text)); got != netip.MustParseAddr(want) {
			t.Errorf("%s counts as %s, want %s", text, got, want)
		}
	}
	if got := Group(netip.Addr{}); got.IsValid() {
		t.Errorf("no address counts as %s", got)
	}
}

// FuzzClient: whatever stands in the header, the address is one of it or the
// connection's, and never one before an address that no proxy vouches for.
func FuzzClient(f *testing.F) {
	f.Add("203.0.113.7, 10.0.0.1", "10.0.0.2")
	f.Add(",,", "[::1]:80")
	f.Add("unknown", "fe80::1%eth0")
	proxies, err := New([]string{"10.0.0.0/8"}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, first, last string) {
		r := &http.Request{RemoteAddr: "10.1.1.1:1", Header: http.Header{"X-Forwarded-For": {first, last + ",198.51.100.9"}}}
		if got := proxies.Client(r); got != netip.MustParseAddr("198.51.100.9") {
			t.Errorf("%s, want the last address", got)
		}
		r.Header["X-Forwarded-For"] = []string{first, last}
		if got := proxies.Client(r); !got.IsValid() || got.Zone() != "" || Group(got).Zone() != "" {
			t.Errorf("%v is no address", got)
		}
	})
}
