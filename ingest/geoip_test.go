package ingest

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/oschwald/maxminddb-golang/v2"
)

// writeGeoDB writes a MaxMind DB that maps networks to regions like "US" or "US NY",
// and returns its path.
func writeGeoDB(t testing.TB, regions map[string]string) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Weir-Test", IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, codes := range regions {
		_, parsed, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		country, state, _ := strings.Cut(codes, " ")
		record := mmdbtype.Map{}
		if country != "" {
			record["country"] = mmdbtype.Map{"iso_code": mmdbtype.String(country)}
		}
		if state != "" {
			record["subdivisions"] = mmdbtype.Slice{mmdbtype.Map{"iso_code": mmdbtype.String(state)}}
		}
		if err := tree.Insert(parsed, record); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "places.mmdb")
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// testGeoDB opens a database of networks that are reserved for documentation.
func testGeoDB(t testing.TB) *maxminddb.Reader {
	t.Helper()
	db, err := openGeoDB(writeGeoDB(t, map[string]string{
		"192.0.2.0/25":    "DE BY",
		"192.0.2.128/25":  "US NY",
		"198.51.100.0/24": "US",
		"203.0.113.0/24":  "",
		"2001:db8::/32":   "FR",
	}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestCountryIsStamped(t *testing.T) {
	db := testGeoDB(t)
	for name, x := range map[string]struct{ properties, want string }{
		"a country":                 {`{"$ip":"192.0.2.7"}`, `{"geography.country":"DE","geography.usState":null}`},
		"a state":                   {`{"$ip":"192.0.2.130"}`, `{"geography.country":"US","geography.usState":"US-NY"}`},
		"no state is known":         {`{"$ip":"198.51.100.1"}`, `{"geography.country":"US"}`},
		"IPv6":                      {`{"$ip":"2001:db8::1"}`, `{"geography.country":"FR","geography.usState":null}`},
		"IPv4 in IPv6":              {`{"$ip":"::ffff:192.0.2.7"}`, `{"geography.country":"DE","geography.usState":null}`},
		"before $client":            {`{"$ip":"198.51.100.1","$client":{"ram":1,"C01":"x"}}`, `{"C01":"x","geography.country":"US","ram":1}`},
		"after $client":             {`{"$client":{"ram":1,"C01":"x"},"$ip":"198.51.100.1"}`, `{"C01":"x","geography.country":"US","ram":1}`},
		"the client says a country": {`{"$ip":"192.0.2.7","$client":{"geography":{"country":"CH"}}}`, `{"geography.country":"CH"}`},
		"the client clears it":      {`{"$ip":"192.0.2.7","$client":{"geography.country":null}}`, `{"geography.country":null}`},
		"the client says a state":   {`{"$ip":"192.0.2.130","$client":{"geography.usState":"US-NJ"}}`, `{"geography.country":"US","geography.usState":"US-NJ"}`},
		"a place without a country": {`{"$ip":"203.0.113.1","$client":{"C01":"x"}}`, `{"C01":"x"}`},
		"an unknown address":        {`{"$ip":"10.0.0.1"}`, ``},
		"no address":                {`{"$ip":"localhost"}`, ``},
		"nothing":                   {`{}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			// The first event has a $client, which must not leak into the second.
			body := fmt.Sprintf(`{"data":[{"euid":1,"event_name":"a","itime":1700000000001,"properties":{"$client":{"geography.country":"XX"}}},`+
				`{"euid":2,"event_name":"b","itime":1700000000001,"properties":%s}]}`, x.properties)
			d := &decoder{geoDB: db}
			d.reset(1001, math.MaxInt64)
			d.body = []byte(body)
			events, err := d.decodeEvents()
			if err != nil {
				t.Fatal(err)
			}
			if got := string(events[1].ClientProps); got != x.want {
				t.Errorf("client = %s, want %s", got, x.want)
			}
		})
	}
}

func TestNoCountryWithoutDatabase(t *testing.T) {
	d := new(decoder)
	d.reset(1001, math.MaxInt64)
	d.body = []byte(`{"data":[{"euid":2,"event_name":"b","itime":1700000000001,"properties":{"$ip":"192.0.2.7"}}]}`)
	events, err := d.decodeEvents()
	if err != nil || events[0].ClientProps != nil {
		t.Errorf("client = %s (%v), want none", events[0].ClientProps, err)
	}
}

// TestGeoIPIsOffForARequest: events that were accepted once already keep the country
// that they had.
func TestGeoIPIsOffForARequest(t *testing.T) {
	e := newTestEdge(t, Config{GeoIP: writeGeoDB(t, map[string]string{"192.0.2.0/24": "DE"})})
	const body = `{"data":[{"euid":1,"event_name":"a","itime":1764000000000,"random_id":"%d","properties":{"$ip":"192.0.2.7"}}]}`
	for i, c := range []struct {
		headers []string
		status  int
		want    string
	}{
		{[]string{"Weir-Geoip", "off"}, 200, ``},
		{nil, 200, `{"geography.country":"DE","geography.usState":null}`},
		{[]string{"Weir-Geoip", "on"}, 400, ``},
	} {
		answer := e.report(fmt.Sprintf(body, i), c.headers...)
		if answer.Code != c.status || c.status == 400 && !strings.Contains(answer.Body.String(), `Weir-Geoip: is \"on\", want off`) {
			t.Fatalf("%q: %d %s", c.headers, answer.Code, answer.Body)
		}
		if stored := e.storedEvents(); c.status == 200 && string(stored[len(stored)-1].ClientProps) != c.want {
			t.Errorf("%q: client = %s, want %s", c.headers, stored[len(stored)-1].ClientProps, c.want)
		}
	}
}

func TestGeoIPHasToOpen(t *testing.T) {
	deps := newTestEdge(t, Config{}).deps
	deps.Metrics = nil // the registry has the metrics of the first service already
	garbage := filepath.Join(t.TempDir(), "garbage.mmdb")
	if err := os.WriteFile(garbage, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{garbage, filepath.Join(t.TempDir(), "missing.mmdb")} {
		_, err := New(Config{GeoIP: path}, deps)
		if err == nil || !strings.Contains(err.Error(), "open geoip database "+path) {
			t.Errorf("New with %s: %v, want an error that names it", path, err)
		}
	}
	s, err := New(Config{GeoIP: writeGeoDB(t, map[string]string{"192.0.2.0/24": "DE"})}, deps)
	if err != nil {
		t.Fatal(err)
	}
	if s.geoDB == nil {
		t.Error("the service has no GeoIP database")
	}
}

// BenchmarkStampCountry decodes events with an $ip, without and with a GeoIP
// database.
func BenchmarkStampCountry(b *testing.B) {
	body := bytes.ReplaceAll(batchBody(100), []byte(`"language"`), []byte(`"$ip":"192.0.2.130","language"`))
	for name, db := range map[string]*maxminddb.Reader{"off": nil, "on": testGeoDB(b)} {
		b.Run(name, func(b *testing.B) { benchmarkRecords(b, &decoder{geoDB: db}, body) })
	}
}
