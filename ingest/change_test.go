package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas"
	"weir/schemas/topic"
)

// TestChangesKeepTheirOrder checks that the log has the changes of one client in
// the order of their answers, each with the time at which it was accepted.
func TestChangesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		var want []string
		began := time.Now()
		for i := range 20 {
			values := fmt.Sprintf(`{"n":%d}`, i)
			if w := e.post(pathProperty, "key1", `{"euid":5,"type":"set","properties":`+values+`}`); w.Code != http.StatusOK || w.Body.String() != success {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			want = append(want, values)
		}
		var got []string
		_, changes := e.storedRecords()
		for _, c := range changes {
			got = append(got, string(c.Values))
			if at := time.UnixMilli(c.Time); at.Before(began.Truncate(time.Millisecond)) || at.After(time.Now()) {
				t.Errorf("time is %s, want one from %s to %s", at, began, time.Now())
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := e.counter("weir_ingest_changes_total", "kind", "property"); n != 20 {
			t.Errorf("weir_ingest_changes_total = %v, want 20", n)
		}
		if n := e.counter("weir_ingest_requests_total", "endpoint", "property", "status", "200"); n != 20 {
			t.Errorf("weir_ingest_requests_total = %v, want 20", n)
		}
	})
}

// TestChangesCountTowardsTheRate checks that a change uses the rate of its key
// like one event.
func TestChangesCountTowardsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		body := `{"euid":1,"contacts":{"email":"e"}}`
		for i := range schemas.MaxBatchEvents {
			if w := e.post(pathContact, "slow", body); w.Code != http.StatusOK {
				t.Fatalf("request %d: %d %s", i, w.Code, w.Body)
			}
		}
		last := e.post(pathContact, "slow", body)
		for range 100 {
			if last.Code != http.StatusOK {
				break
			}
			last = e.post(pathContact, "slow", body)
		}
		if last.Code != http.StatusTooManyRequests || last.Header().Get("Retry-After") == "" {
			t.Errorf("beyond the rate: %d %s, want 429 with Retry-After", last.Code, last.Body)
		}
	})
}

// TestChangeLimits checks every limit at its edge.
func TestChangeLimits(t *testing.T) {
	property := func(op, values string) string {
		return `{"euid":1,"type":"` + op + `","properties":{` + values + `}}`
	}
	long := strings.Repeat("x", schemas.MaxNameChars+1)
	var texts []string
	for range 70 {
		texts = append(texts, `"`+strings.Repeat("x", schemas.MaxTextChars)+`"`)
	}
	cases := []struct {
		name, path, body string
		status, code     int
		message          string
	}{
		{"500 properties", pathProperty, property("set", numberedMembers(schemas.MaxProperties)), 200, 0, "success"},
		{"501 properties", pathProperty, property("set", numberedMembers(schemas.MaxProperties+1)), 400, 55102, "properties has more than 500"},
		{"a name of 256 characters", pathProperty, property("set", `"`+long[1:]+`":1`), 200, 0, "success"},
		{"a name of 257 characters", pathProperty, property("set", `"`+long+`":1`), 400, 55102, "longer than 256"},
		{"a text too long", pathProperty, property("set", `"a":"`+strings.Repeat("x", schemas.MaxTextChars+1)+`"`), 400, 55102, "properties.a is longer than 8192"},
		{"too much together", pathProperty, property("add", `"a":[`+strings.Join(texts, ",")+`]`), 400, 55102, "properties is longer than"},
		{"a number too large", pathProperty, property("increase", `"a":1e101`), 400, 55102, "100 digits"},
		{"a large number", pathProperty, property("increase", `"a":1e99`), 200, 0, "success"},
		{"a contact of 256 characters", pathContact, `{"euid":1,"contacts":{"email":"` + long[1:] + `"}}`, 200, 0, "success"},
		{"a contact of 257 characters", pathContact, `{"euid":1,"contacts":{"email":"` + long + `"}}`, 400, 90400, "contacts.email is longer than 256"},
		{"a fraction of a client", pathProperty, `{"euid":1.5,"type":"set","properties":{"a":1}}`, 400, 90400, "euid must be a whole number"},
		{"the largest client", pathProperty, `{"euid":9223372036854775807,"type":"set","properties":{"a":1}}`, 200, 0, "success"},
		{"null is absent", pathProperty, `{"euid":null,"type":null,"properties":null}`, 400, 40007, "euid is empty (and 2 more)"},
		{"empty", pathProperty, ``, 400, 90400, "the body is empty"},
		{"cut short", pathContact, `{"euid":1,"contacts":{"email":"e`, 400, 90400, "unexpected EOF"},
		{"goes on", pathProperty, property("set", `"a":1`) + "x", 400, 90400, "goes on after its end"},
		{"twice", pathProperty, property("set", `"a":1,"a":2`), 400, 90400, "/properties/a is given twice"},
		{"properties twice", pathProperty, `{"euid":1,"type":"set","properties":{"a":1},"properties":{"b":1}}`, 400, 90400, "/properties is given twice"},
		{"type a number", pathProperty, `{"euid":1,"type":1,"properties":{"a":1}}`, 400, 90400, "type must be one of"},
	}
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{})
		good := 0
		for _, c := range cases {
			w := e.post(c.path, "key1", c.body)
			got := decodeEnvelope(t, w.Body.Bytes())
			if w.Code != c.status || got.Code != c.code || !strings.Contains(got.Message, c.message) {
				t.Errorf("%s: %d %.300s; want %d, code %d, %q", c.name, w.Code, w.Body, c.status, c.code, c.message)
			}
			if c.status == 200 {
				good++
			}
		}
		if events, changes := e.storedRecords(); len(events) != 0 || len(changes) != good {
			t.Errorf("%d events and %d changes are stored, want %d changes", len(events), len(changes), good)
		}
		if held := e.memory.held.Load(); held != 0 {
			t.Errorf("%d bytes are still charged", held)
		}
	})
}

// TestContactsStaySecret checks that no log line, answer or metric contains what
// a request sends as a contact, however the request ends.
func TestContactsStaySecret(t *testing.T) {
	const secret = "ann.personal"
	body := `{"euid":1,"contacts":{"email":"` + secret + `"}}`
	synctest.Test(t, func(t *testing.T) {
		e := newTestEdge(t, Config{PublishTimeout: time.Second})
		var answers []string
		send := func(what, body string, status int) {
			t.Helper()
			w := e.post(pathContact, "key1", body)
			if w.Code != status {
				t.Errorf("%s: %d %s, want %d", what, w.Code, w.Body, status)
			}
			answers = append(answers, w.Body.String(), fmt.Sprint(w.Header()))
		}
		send("good", body, 200)
		send("a name", `{"euid":1,"contacts":{"`+secret+`":"x"}}`, 400)
		send("a number", `{"euid":1,"contacts":{"email":["`+secret+`"]}}`, 400)
		send("too long", `{"euid":1,"contacts":{"email":"`+strings.Repeat(secret, 30)+`"}}`, 400)
		send("not there", `{"euid":1,"contacts":"`+secret+`"}`, 400)
		send("a client", `{"euid":"`+secret+`","contacts":{"email":"`+secret+`"}}`, 400)
		send("cut short", body[:len(body)-2], 400)
		send("goes on", body+body, 400)
		send("not JSON", `{"euid":1,"contacts":{"email":`+secret+`}}`, 400)
		send("a text", `"`+secret+`"`, 400)
		e.cluster.Close()
		send("no Kafka", body, 503)
		e.registry.fail(errors.New("no registry"))
		send("no registry", body, 503)
		metrics, err := e.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if e.log.Len() == 0 {
			t.Error("the log is empty, want the causes of the 503s")
		}
		for what, text := range map[string]string{"log": e.log.String(), "answers": strings.Join(answers, "\n"), "metrics": fmt.Sprint(metrics)} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %s", what, text)
			}
		}
	})
}

// FuzzChange compares the decoder of changes with encoding/json-style decoding of
// the same body, and with the change that its record decodes to.
func FuzzChange(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/change.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, part := range archive.Files {
		if _, body, ok := strings.Cut(string(part.Data), "\n\n"); ok && strings.HasPrefix(part.Name, "request") {
			f.Add([]byte(body), strings.Contains(string(part.Data), pathContact))
		}
	}
	d := new(decoder) // reused, as in the service
	f.Fuzz(func(t *testing.T, body []byte, contact bool) {
		kind, values := schemas.PropertyChange, "properties"
		if contact {
			kind, values = schemas.ContactChange, "contacts"
		}
		d.reset(1001, schemas.MaxTimeMS)
		d.body = append(d.body[:0], body...)
		c, err := d.decodeChange(kind)
		if err != nil {
			re, ok := errors.AsType[*schemas.RequestError](err)
			if !ok || re.Status < 400 || re.Status > 499 || re.Detail == "" {
				t.Fatalf("error %#v, want a RequestError 4xx with a detail", err)
			}
			return
		}
		var plain map[string]jsontext.Value
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatalf("accepted, but json.Unmarshal fails: %v", err)
		}
		var want, got map[string]jsontext.Value
		if json.Unmarshal(plain[values], &want) != nil || json.Unmarshal(c.Values, &got) != nil || len(want) != len(got) {
			t.Fatalf("values %s of %s", c.Values, plain[values])
		}
		for name, v := range want {
			if v.Compact() != nil || c.Operation != schemas.OpDelete && string(got[name]) != string(v) {
				t.Fatalf("%q is %s, want %s", name, got[name], v)
			}
		}
		var e schemas.Event
		read, err := topic.Decode(topic.AppendChange(nil, &c), &e)
		if again := read.Change(&e); err != nil || !cmp.Equal(c, again) {
			t.Fatalf("the record is %+v, %v; want %+v", again, err, c)
		}
	})
}
