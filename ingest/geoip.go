package ingest

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oschwald/maxminddb-golang/v2"

	"weir/schemas"
	"weir/schemas/property"
)

// openGeoDB maps the MaxMind database at path into memory; without a path it
// returns nil. A newer file is used only after a restart. The mapping lasts as
// long as the reader is referenced.
func openGeoDB(path string, log *slog.Logger) (*maxminddb.Reader, error) {
	if path == "" {
		return nil, nil
	}
	db, err := maxminddb.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open geoip database %s: %w", path, err)
	}
	log.Info("GeoIP database opened, countries are added to events with an $ip", "geoip", path, "type", db.Metadata.DatabaseType,
		"built", db.Metadata.BuildTime().UTC().Format(time.DateOnly))
	return db, nil
}

// headerGeoIP is off in requests with events that were accepted once already, as
// weir import sends them from a raw export: they keep the country that they had, also
// none.
const headerGeoIP = "Weir-Geoip"

// geoDBFor returns the database that stamps the events of a request; nil for none.
func geoDBFor(r *http.Request, db *maxminddb.Reader) (*maxminddb.Reader, error) {
	switch value := r.Header.Get(headerGeoIP); value {
	case "":
		return db, nil
	case "off":
		return nil, nil
	default:
		return nil, badRequest("%s: is %q, want off", headerGeoIP, value)
	}
}

// stampCountry adds the country of the event's $ip to its client properties,
// unless the event has a country. The look-up happens here and not in the
// processor because databases change: a replay of the record must give the same
// result.
//
// A client in the United States also gets its state, if the database has it.
// Elsewhere the state is cleared, or the one of an earlier visit would remain.
func (d *decoder) stampCountry(e *schemas.Event) {
	if d.geoDB == nil || e.IP == "" || d.item.bad || d.hasClientProp(property.NameCountry) {
		return
	}
	address, err := netip.ParseAddr(e.IP)
	if err != nil {
		return
	}
	found := d.geoDB.Lookup(address)
	var country string
	if err := found.DecodePath(&country, "country", "iso_code"); err != nil || country == "" {
		return
	}
	d.addClientProp(property.NameCountry, country)
	if !d.hasClientProp(property.NameUSState) {
		var state string
		switch err := found.DecodePath(&state, "subdivisions", 0, "iso_code"); {
		case country != "US":
			d.client = append(d.client, clientProp{property.NameUSState, jsontext.Value("null")})
		case err == nil && state != "":
			d.addClientProp(property.NameUSState, "US-"+state)
		}
	}
	d.clientProps(e)
}

// hasClientProp reports whether the event sets or clears that client property.
func (d *decoder) hasClientProp(name string) bool {
	return slices.ContainsFunc(d.client, func(p clientProp) bool { return p.name == name })
}

func (d *decoder) addClientProp(name, text string) {
	start := len(d.scratch)
	d.scratch, _ = jsontext.AppendQuote(d.scratch, text) // replaces invalid UTF-8 of the database
	d.client = append(d.client, clientProp{name, d.scratch[start:len(d.scratch):len(d.scratch)]})
}
