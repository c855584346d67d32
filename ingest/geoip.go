package ingest

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/oschwald/maxminddb-golang/v2"

	"weir/schemas"
	"weir/schemas/property"
)

// openGeoDB maps the database that addresses are looked up in; nil without a
// path. It is read once: a newer file is found by a new process. The mapping
// ends with the last use of the reader.
func openGeoDB(path string, log *slog.Logger) (*maxminddb.Reader, error) {
	if path == "" {
		return nil, nil
	}
	places, err := maxminddb.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open geoip database %s: %w", path, err)
	}
	log.Info("addresses are looked up", "geoip", path, "type", places.Metadata.DatabaseType,
		"built", places.Metadata.BuildTime().UTC().Format(time.DateOnly))
	return places, nil
}

// stampCountry says in the properties of the client where its $ip lies, unless the
// event says a country itself. Databases change, and records do not: so it is
// looked up here and stamped into the record.
//
// A client in the United States gets its state too, if the database knows it.
// Elsewhere the state is cleared: it would be that of the last visit.
func (d *decoder) stampCountry(e *schemas.Event) {
	if d.geoDB == nil || e.IP == "" || d.item.bad || d.hasClientProp(property.NameCountry) {
		return
	}
	address, err := netip.ParseAddr(e.IP)
	if err != nil {
		return
	}
	place := d.geoDB.Lookup(address)
	var country string
	if err := place.DecodePath(&country, "country", "iso_code"); err != nil || country == "" {
		return
	}
	d.addClientProp(property.NameCountry, country)
	if !d.hasClientProp(property.NameUSState) {
		var state string
		switch err := place.DecodePath(&state, "subdivisions", 0, "iso_code"); {
		case country != "US":
			d.client = append(d.client, clientProp{property.NameUSState, jsontext.Value("null")})
		case err == nil && state != "":
			d.addClientProp(property.NameUSState, "US-"+state)
		}
	}
	d.clientProps(e)
}

// hasClientProp tells whether the event has that property of its client, if only to
// clear it.
func (d *decoder) hasClientProp(name string) bool {
	return slices.ContainsFunc(d.client, func(p clientProp) bool { return p.name == name })
}

func (d *decoder) addClientProp(name, text string) {
	start := len(d.scratch)
	d.scratch, _ = jsontext.AppendQuote(d.scratch, text) // what is not UTF-8 is replaced
	d.client = append(d.client, clientProp{name, d.scratch[start:len(d.scratch):len(d.scratch)]})
}
