package ingest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-json-experiment/json"

	"weir/schemas"
)

const goodItem = `{"euid":1,"event_name":"a","itime":1700000000001}`

// itemWith returns a body of one event with more members.
func itemWith(members string) string {
	return `{"data":[{"euid":1,"event_name":"a","itime":1700000000001,` + members + `}]}`
}

// TestMalformed lists bodies that are refused. No event of them may be stored.
func TestMalformed(t *testing.T) {
	long := strings.Repeat("x", schemas.MaxNameChars+1)
	items := func(n int) string {
		return `{"data":[` + strings.TrimSuffix(strings.Repeat(goodItem+",", n), ",") + `]}`
	}
	cases := []struct {
		name, body   string
		status, code int
		message      string // part of it
	}{
		{"empty", ``, 400, 90400, "the body is empty"},
		{"white space", " \n\t ", 400, 90400, "the body is empty"},
		{"not JSON", `hello`, 400, 90400, "not JSON at byte 0"},
		{"null", `null`, 400, 90400, "not an object"},
		{"a list", `[` + goodItem + `]`, 400, 90400, "not an object"},
		{"an event without its list", goodItem, 400, 90400, "data is missing"},
		{"two bodies", items(1) + items(1), 400, 90400, "goes on after its end"},
		{"trailing garbage", items(1) + "x", 400, 90400, "goes on after its end"},
		{"cut short", `{"data":[{"euid":1,"event_na`, 400, 90400, "unexpected EOF"},
		{"cut before the end", `{"data":[` + goodItem + `]`, 400, 90400, "unexpected EOF"},
		{"trailing comma", `{"data":[` + goodItem + `,]}`, 400, 90400, "not JSON at byte"},
		{"single quotes", `{'data':[]}`, 400, 90400, "not JSON at byte 1"},
		{"line comment", "{\"data\":[ // events\n]}", 400, 90400, "not JSON at byte"},
		{"block comment", `{"data":[/* none */]}`, 400, 90400, "not JSON at byte"},
		{"byte order mark", "\xef\xbb\xbf" + items(1), 400, 90400, "not JSON at byte 0"},
		{"NUL", "{\"data\":[\x00]}", 400, 90400, "not JSON at byte"},
		{"raw control character", "{\"data\":[{\"event_name\":\"a\nb\"}]}", 400, 90400, "not JSON at byte"},
		{"NaN", itemWith(`"properties":{"a":NaN}`), 400, 90400, "not JSON at byte"},
		{"leading zero", `{"data":[{"euid":01}]}`, 400, 90400, "not JSON at byte"},
		{"plus sign", `{"data":[{"euid":+1}]}`, 400, 90400, "not JSON at byte"},
		{"no data", `{"app_key":"k"}`, 400, 90400, "data is missing"},
		{"data of other case", `{"Data":[` + goodItem + `]}`, 400, 90400, "data is missing"},
		{"fields of other case", `{"data":[{"EUID":1,"Event_name":"a","iTime":1}]}`, 400, 40007, "data[0].euid is empty"},
		{"data empty", `{"data":[]}`, 400, 90400, "data is empty"},
		{"data null", `{"data":null}`, 400, 90400, "must be a list of events, not null"},
		{"data an object", `{"data":` + goodItem + `}`, 400, 90400, "must be a list of events, not an object"},
		{"data twice", `{"data":[` + goodItem + `],"data":[` + goodItem + `]}`, 400, 90400, "/data is given twice"},
		{"field twice", `{"data":[{"euid":1,"euid":1,"event_name":"a","itime":1700000000001}]}`, 400, 90400, "/data/0/euid is given twice"},
		{"field twice, once escaped", `{"data":[{"euid":1,"\u0065uid":1,"event_name":"a","itime":1700000000001}]}`, 400, 90400, "/data/0/euid is given twice"},
		{"property twice", itemWith(`"properties":{"a":1,"a":1}`), 400, 90400, "/data/0/properties/a is given twice"},
		{"twice deep inside", itemWith(`"properties":{"a":[{"b":1,"b":2}]}`), 400, 90400, "/data/0/properties/a/0/b is given twice"},
		{"twice in what is skipped", itemWith(`"later":{"b":1,"b":2}`), 400, 90400, "is given twice"},
		{"app_key a number", `{"app_key":5,"data":[` + goodItem + `]}`, 400, 90400, "app_key must be a string"},
		{"app_key too long", `{"app_key":"` + long + `","data":[` + goodItem + `]}`, 400, 90400, "app_key is longer than 256"},
		{"name not UTF-8", "{\"data\":[{\"euid\":1,\"event_name\":\"a\xff\",\"itime\":1700000000001}]}", 400, 90400, "invalid UTF-8"},
		{"own property not UTF-8", itemWith("\"properties\":{\"a\":\"\xc3\x28\"}"), 400, 90400, "invalid UTF-8"},
		{"overlong UTF-8", itemWith("\"properties\":{\"a\":\"\xc0\xaf\"}"), 400, 90400, "invalid UTF-8"},
		{"half a surrogate", itemWith(`"properties":{"a":"\ud800"}`), 400, 90400, "surrogate"},
		{"UTF-16", "\xff\xfe{\x00}\x00", 400, 90400, "not JSON at byte 0"},
		{"name too long", `{"data":[{"euid":1,"event_name":"` + long + `","itime":1700000000001}]}`, 400, 90400, "data[0].event_name is longer than 256"},
		{"random_id too long", itemWith(`"random_id":"` + long + `"`), 400, 90400, "data[0].random_id is longer than 256"},
		{"category too long", itemWith(`"properties":{"$category":"` + long + `"}`), 400, 90400, "$category is longer than 256"},
		{"version too long", itemWith(`"properties":{"$app_version":"` + strings.Repeat("x", schemas.MaxTextChars+1) + `"}`), 400, 90400, "longer than 8192"},
		{"client property too long", itemWith(`"properties":{"$client":{"C01":"` + strings.Repeat("x", schemas.MaxTextChars+1) + `"}}`), 400, 90400, "C01 is longer than 8192"},
		{"huge number", itemWith(`"properties":{"$value":1e999999999}`), 400, 90400, "too many digits"},
		{"value of 10^18", itemWith(`"properties":{"$value":1e18}`), 400, 90400, "data[0].properties.$value has too many digits before the point: at most 18 are kept"},
		{"value of -10^18", itemWith(`"properties":{"$value":-1000000000000000000.0}`), 400, 90400, "$value has too many digits"},
		{"value that rounds to 10^18", itemWith(`"properties":{"$value":999999999999999999.9999999995}`), 400, 90400, "$value has too many digits"},
		{"value of 29 digits", itemWith(`"properties":{"$value":99999999999999999999999999999}`), 400, 90400, "$value has too many digits"},
		{"runtime over 366 days", itemWith(`"properties":{"$runtime":31622400.001}`), 400, 90400, "data[0].properties.$runtime must be seconds from 0 to 31622400"},
		{"runtime of 2^63 ms", itemWith(`"properties":{"$runtime":9223372036854775}`), 400, 90400, "$runtime must be seconds from 0 to 31622400"},
		{"runtime below 0", itemWith(`"properties":{"$runtime":-0.001}`), 400, 90400, "$runtime must be seconds from 0 to 31622400"},
		{"number of a million digits", itemWith(`"properties":{"$value":` + strings.Repeat("9", 1_000_000) + `}`), 400, 90400, "too many digits"},
		{"itime of many digits", `{"data":[{"euid":1,"event_name":"a","itime":` + strings.Repeat("9", 500) + `}]}`, 400, 90400, "data[0].itime"},
		{"nested too deep", itemWith(`"properties":{"a":` + strings.Repeat(`[`, 65) + strings.Repeat(`]`, 65) + `}`), 400, 90400, "properties.a is nested deeper than 64"},
		{"nested deep in $client", itemWith(`"properties":{"$client":` + strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70) + `}`), 400, 90400, "$client.a.a"},
		{"nested without end", strings.Repeat(`[`, 1_000_000), 400, 90400, "exceeded max depth"},
		{"nested without end inside", `{"data":` + strings.Repeat(`[`, 1_000_000), 400, 90400, "exceeded max depth"},
		{"nested without end in a property", itemWith(`"properties":{"a":` + strings.Repeat(`{"a":`, 500_000)), 400, 90400, "not JSON"},
		{"too many properties", itemWith(`"properties":{` + numberedMembers(schemas.MaxProperties+1) + `}`), 400, 90400, "more than 500"},
		{"too many client properties", itemWith(`"properties":{"$client":{` + numberedMembers(schemas.MaxProperties+1) + `}}`), 400, 90400, "more than 500"},
		{"event too large", itemWith(`"properties":{"a":"` + strings.Repeat("x", schemas.MaxEventBytes) + `"}`), 400, 90400, "data[0] is longer than 524288 bytes"},
		{"too many events", items(schemas.MaxBatchEvents + 1), 413, 90413, "more than 1000 events"},
		{"body too large", `{"data":[` + strings.Repeat(" ", schemas.MaxBodyBytes) + goodItem + `]}`, 413, 90413, "longer than 4194304 bytes"},
	}
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		for _, c := range cases {
			w := e.report(c.body)
			got := decodeEnvelope(t, w.Body.Bytes())
			if w.Code != c.status || got.Code != c.code || !strings.Contains(got.Message, c.message) {
				t.Errorf("%s: %d %.300s; want %d, code %d, %q", c.name, w.Code, w.Body, c.status, c.code, c.message)
			}
		}
		if got := e.storedEvents(); len(got) != 0 {
			t.Errorf("%d events of bad requests are stored", len(got))
		}
		if held := e.memory.held.Load(); held != 0 {
			t.Errorf("%d bytes are still charged", held)
		}
		if e.log.Len() > 0 {
			t.Errorf("a client's mistake was logged as a warning: %.500s", e.log)
		}
	})
}

// TestAccepted lists unusual bodies that are valid.
func TestAccepted(t *testing.T) {
	cases := map[string]string{
		"unknown fields":       `{"x":{"y":[1]},"data":[{"euid":1,"event_name":"a","itime":1700000000001,"random_id":"1","later":{"z":null}}]}`,
		"data before app_key":  `{"data":[{"euid":1,"event_name":"a","itime":1700000000001,"random_id":"2"}],"app_key":"k"}`,
		"escaped names":        `{"\u0064ata":[{"\u0065uid":1,"event_\u006eame":"\u0061\n","itime":1700000000001,"random_id":"3"}]}`,
		"white space":          " {\r\n\t\"data\" : [ { \"euid\" : 1 , \"event_name\" : \"a\" , \"itime\" : 1700000000001 , \"random_id\" : \"4\" } ] } \n",
		"any name":             `{"data":[{"euid":1,"event_name":"Größe 😀 'x' ; --","itime":1700000000001,"random_id":"5"}]}`,
		"nested to the limit":  itemWith(`"random_id":"6","properties":{"a":` + strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64) + `}`),
		"properties' limit":    itemWith(`"random_id":"7","properties":{` + numberedMembers(schemas.MaxProperties) + `}`),
		"names differ by case": itemWith(`"random_id":"8","Random_ID":"x","properties":{"a":1,"A":2}`),
	}
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		for name, body := range cases {
			if w := e.report(body); w.Code != http.StatusOK || w.Body.String() != success {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		if got := e.storedEvents(); len(got) != len(cases) {
			t.Errorf("%d events are stored, want %d", len(got), len(cases))
		}
		full := `{"data":[` + strings.Repeat(goodItem+",", schemas.MaxBatchEvents-1) + goodItem + `]}`
		if w := e.report(full); w.Code != http.StatusOK {
			t.Errorf("a full request: %d %s", w.Code, w.Body)
		}
		if got := e.counter("weir_ingest_events_total"); int(got) != len(cases)+schemas.MaxBatchEvents {
			t.Errorf("weir_ingest_events_total = %v", got)
		}
	})
}

// TestErrorsAreBounded checks that an answer names at most maxItemErrors fields.
func TestErrorsAreBounded(t *testing.T) {
	e := newTestEdge(t, Config{})
	w := e.report(`{"data":[` + strings.Repeat(`{},`, 999) + `{}]}`)
	got := decodeEnvelope(t, w.Body.Bytes())
	if len(got.Errors) != maxItemErrors || !strings.Contains(got.Message, "(and 2999 more)") {
		t.Errorf("%d errors, message %q", len(got.Errors), got.Message)
	}
}

func decodeEnvelope(t *testing.T, body []byte) envelope {
	t.Helper()
	var got envelope
	if err := json.Unmarshal(body, &got, json.RejectUnknownMembers(true)); err != nil {
		t.Errorf("the answer %.200q is no envelope: %v", body, err)
	}
	return got
}

func numberedMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"p%d":%d,`, i, i)
	}
	return strings.TrimSuffix(b.String(), ",")
}
