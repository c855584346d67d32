package ingest

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas"
	"weir/schemas/registry"
	"weir/schemas/topic"
)

// FuzzBody compares the decoder with json.Unmarshal: an accepted body is valid
// JSON with as many events, a refused one gets a RequestError with a detail, and
// every accepted event comes out of its record unchanged.
func FuzzBody(f *testing.F) {
	for _, file := range []string{"document", "reserved", "bad-items", "register", "times"} {
		archive, err := txtar.ParseFile("testdata/" + file + ".txtar")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			f.Fatal(err)
		}
		for _, part := range archive.Files {
			if _, body, ok := strings.Cut(string(part.Data), "\n\n"); ok && strings.HasPrefix(part.Name, "request") {
				f.Add([]byte(body))
			}
		}
	}
	f.Add(batchBody(3))
	d, recs := new(decoder), new(batch) // reused, as in the service
	f.Fuzz(func(t *testing.T, body []byte) {
		d.reset(1001, schemas.MaxTimeMS)
		d.body = append(d.body[:0], body...)
		events, err := d.decodeEvents()
		if err != nil {
			re, ok := errors.AsType[*schemas.RequestError](err)
			if !ok || re.Status < 400 || re.Status > 499 || re.Detail == "" {
				t.Fatalf("error %#v, want a RequestError 4xx with a detail", err)
			}
			return
		}
		var plain struct {
			Data []map[string]jsontext.Value `json:"data"`
		}
		if err := json.Unmarshal(body, &plain); err != nil {
			t.Fatalf("accepted, but json.Unmarshal fails: %v", err)
		}
		if len(plain.Data) != len(events) {
			t.Fatalf("%d events, the body has %d", len(events), len(plain.Data))
		}
		if err := recs.load(events, topic.DefaultShards, nil); err != nil {
			return // longer than the limit of a record
		}
		for i, want := range events {
			if want.Time < schemas.MinSentTimeMS {
				t.Fatalf("event %d is of %d ms, which must be seconds", i, want.Time)
			}
			var got schemas.Event
			if kind, err := topic.Decode(recs.records[i].Value, &got); kind != topic.Event || err != nil {
				t.Fatalf("event %d becomes a dead letter: %v", i, err)
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(decimal128.Num{})); diff != "" {
				t.Fatalf("event %d in its record (-want +got):\n%s", i, diff)
			}
		}
	})
}

// FuzzCompact compares appendCompact with the compaction of jsontext.
func FuzzCompact(f *testing.F) {
	f.Add([]byte(`{ "a" : [ 1 , "x \" y\\" , null ] , "b" : { } }`))
	f.Fuzz(func(t *testing.T, in []byte) {
		want := jsontext.Value(in).Clone()
		if err := want.Compact(jsontext.AllowDuplicateNames(false)); err != nil {
			return
		}
		got, _, _ := appendCompact(nil, in)
		if string(got) != string(want) {
			t.Fatalf("appendCompact(%q) = %q, want %q", in, got, want)
		}
	})
}

// FuzzIdentities reads anything as a body of /weir/v1/identities: it is refused with
// a 400 that has a detail, or the registry could store each name.
func FuzzIdentities(f *testing.F) {
	f.Add([]byte(`{"identities":[{"euid":"9007199254740993","names":{"ref_id":"CB6150","customer_id":2847}},{"names":{"user_id":"é\u0041","ref_id":null}}]}`))
	f.Add([]byte(`{"identities":[{"euid":0,"names":{"nick":"x","ref_id":""}},7,{"names":[]},{"names":{"customer_id":-0}}],"more":1}`))
	d := new(decoder)
	f.Fuzz(func(t *testing.T, body []byte) {
		d.reset(1001, schemas.MaxTimeMS)
		d.body = append(d.body[:0], body...)
		items, err := decodeIdentities(d)
		if err != nil {
			if re, ok := errors.AsType[*schemas.RequestError](err); !ok || re.Status != http.StatusBadRequest || re.Detail == "" {
				t.Fatalf("error %#v, want a 400 with a detail", err)
			}
			return
		}
		if len(items) == 0 || len(items) > schemas.MaxIdentityValues {
			t.Fatalf("accepted %d elements", len(items))
		}
		for i, item := range items {
			if item.EUID < 0 || len(item.Names) == 0 {
				t.Fatalf("accepted element %d: %+v", i, item)
			}
			for name, value := range item.Names {
				n := utf8.RuneCountInString(value)
				if !slices.Contains(registry.IdentityNames(), name) || !utf8.ValidString(value) || n == 0 || n > schemas.MaxIdentityChars || strings.ContainsRune(value, 0) {
					t.Fatalf("accepted %s %q", name, value)
				}
			}
		}
	})
}

func FuzzRegistration(f *testing.F) {
	f.Add([]byte(`{"identity_name":"user_id","identity_values":["a","b"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		want, err := decodeRegistration(body)
		if err != nil {
			if _, ok := errors.AsType[*schemas.RequestError](err); !ok {
				t.Fatalf("error %#v, want a RequestError 4xx with a detail", err)
			}
			return
		}
		if len(want.Values) == 0 || len(want.Values) > schemas.MaxIdentityValues {
			t.Fatalf("accepted %d values", len(want.Values))
		}
	})
}
