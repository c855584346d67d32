package ingest

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"weir/schemas"
)

// TestSpellings: what each spelling means where events and changes come in. The ids
// are those of the cases in query/spellings_test.go, which reads them back.
func TestSpellings(t *testing.T) {
	event := func(member, value string) string {
		members := map[string]string{"euid": "7", "event_name": `"Open"`, "itime": fmt.Sprint(schemas.MinSentTimeMS), "properties": "{}"}
		members[member] = value
		var texts []string
		for _, name := range []string{"euid", "event_name", "itime", "properties"} {
			texts = append(texts, fmt.Sprintf("%q:%s", name, members[name]))
		}
		return `{"data":[{` + strings.Join(texts, ",") + `}]}`
	}
	appKey := func(text string) string {
		return strings.Replace(event("", ""), `{"data"`, `{"app_key":`+text+`,"data"`, 1)
	}
	client := func(value string) string { return event("properties", `{"$client":{"a":`+value+`}}`) }
	own := func(value string) string { return event("properties", `{"a":`+value+`}`) }
	property := func(value string) string { return `{"euid":7,"type":"set","properties":{"a":` + value + `}}` }
	contact := func(value string) string { return `{"euid":7,"contacts":{"email":` + value + `}}` }
	umlauts := func(n int) string { return `"` + strings.Repeat(`\u00e4`, n) + `"` }
	cases := []struct {
		id, path string
		bodies   []string
		status   int
		field    string // in the message
	}{
		{"10.4 lengths are in characters", pathReport, []string{
			appKey(umlauts(256)), event("event_name", umlauts(256)), client(umlauts(8192)), event("properties", `{"$client":{`+umlauts(256)+`:1}}`),
			event("properties", `{"$category":`+umlauts(256)+`,"$app_name":`+umlauts(8192)+`}`),
		}, 200, ""},
		{"10.4 app_key", pathReport, []string{appKey(umlauts(257)), appKey(`"` + strings.Repeat("x", 257) + `"`)}, 400, "app_key is longer than 256 characters"},
		{"10.4 event_name", pathReport, []string{event("event_name", umlauts(257))}, 400, "event_name is longer than 256 characters"},
		{"10.4 $client", pathReport, []string{client(umlauts(8193)), client(strings.Repeat("1", 8193))}, 400, "$client.a is longer than 8192 characters"},
		{"10.4 property", pathProperty, []string{property(umlauts(8192)), `{"euid":7,"type":"set","properties":{` + umlauts(256) + `:1}}`}, 200, ""},
		{"10.4 property", pathProperty, []string{property(umlauts(8193))}, 400, "properties.a is longer than 8192 characters"},
		{"10.4 contact", pathContact, []string{contact(umlauts(256))}, 200, ""},
		{"10.4 contact", pathContact, []string{contact(umlauts(257))}, 400, "contacts.email is longer than 256 characters"},
		{"10.4 register", pathRegister, []string{`{"identity_name":"user_id","identity_values":[` + umlauts(256) + `]}`}, 200, ""},
		{"10.4 register", pathRegister, []string{`{"identity_name":"user_id","identity_values":[` + umlauts(257) + `]}`}, 400, "identity_values[0] has 257 characters"},
		{"10.5 null in a list", pathRegister, []string{`{"identity_name":"user_id","identity_values":[null]}`}, 400, "identity_values"},
		{"10.9 whole numbers", pathReport, []string{
			event("euid", "30.0"), event("euid", "1e0"), event("euid", "9223372036854775807.0"), event("euid", "700e-2"), event("itime", "1.7e12"), event("itime", "1700000000000.0"),
		}, 200, ""},
		{"10.9 euid", pathReport, []string{event("euid", "30.5"), event("euid", "0.0"), event("euid", "1e19"), event("euid", `"30.0"`), event("euid", "-1e0")}, 400, "euid must be a whole number"},
		{"10.9 itime", pathReport, []string{event("itime", "1700000000000.5"), event("itime", "1e400"), event("itime", `"1700000000000"`)}, 400, "itime must be whole milliseconds"},
		{"10.9 property", pathProperty, []string{strings.Replace(property("1"), "7", "7.0", 1)}, 200, ""},
		{"10.9 identities", pathIdentities, []string{`{"identities":[{"euid":7e0,"names":{"customer_id":2847.0}}]}`}, 200, ""},
		{"10.9 identities", pathIdentities, []string{`{"identities":[{"euid":7,"names":{"customer_id":2847.5}}]}`}, 400, "names.customer_id is a number that is not whole"},
		{"10.10 numbers", pathReport, []string{client("1.7e308"), own("-1.7e308"), own("1e-400"), own(`["1e400",{"b":1e30}]`)}, 200, ""},
		{"10.10 $client", pathReport, []string{client("1e400"), client("-1E309")}, 400, "$client.a has a number beyond"},
		{"10.10 event property", pathReport, []string{
			own("1e400"), own(`[1e400]`), own(`{"b":[{"c":-1e400}]}`), own(strings.Repeat("9", 400)), own("[" + strings.Repeat("9", 400) + "]"),
		}, 400, "properties.a has a number beyond"},
		{"10.10 property", pathProperty, []string{property("1e400")}, 400, "properties.a has a number beyond"},
		{"10.10 $value", pathReport, []string{event("properties", `{"$value":1e400}`)}, 400, "$value"},
		{"10.10 $runtime", pathReport, []string{event("properties", `{"$runtime":1e400}`)}, 400, "$runtime"},
	}
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newTestEdge(t, Config{})
				for _, body := range c.bodies {
					if w := e.post(c.path, "key1", body); w.Code != c.status || !strings.Contains(w.Body.String(), c.field) {
						t.Errorf("%.200s: %d %.300s; want %d %s", body, w.Code, w.Body, c.status, c.field)
					}
				}
			})
		})
	}
}

// TestSpellingsOfHeadersAndPaths has the cases about what stands around a body.
func TestSpellingsOfHeadersAndPaths(t *testing.T) {
	for _, c := range []struct {
		id, path, contentType string
		status                int
	}{
		{"10.11 charset=utf8", pathReport, "application/json; charset=utf8", 200},
		{"10.11 charset=UTF8", pathReport, `application/json;charset="UTF8"`, 200},
		{"10.11 charset=us-ascii", pathReport, "application/json; charset=us-ascii", 200},
		{"10.11 charset=US-ASCII", pathReport, "application/json; charset=US-ASCII", 200},
		{"10.11 charset=latin1", pathReport, "application/json; charset=iso-8859-1", 415},
		{"10.18 an encoded slash", "/v1/event%2Freport", "application/json", 404},
		{"10.18 an encoded slash", "/v1%2fevent/report", "application/json", 404},
		{"10.18 an encoded slash", "/weir/v1%2Fidentities", "application/json", 404},
		{"10.18 an encoded letter", "/v1/event/%72eport", "application/json", 200},
	} {
		t.Run(c.id, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newTestEdge(t, Config{})
				body := fmt.Sprintf(`{"data":[{"euid":7,"event_name":"Open","itime":%d}]}`, schemas.MinSentTimeMS)
				w := e.post(c.path, "key1", body, "Content-Type", c.contentType)
				if w.Code != c.status {
					t.Errorf("%d %s, want %d", w.Code, w.Body, c.status)
				}
			})
		})
	}
}
