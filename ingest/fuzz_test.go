package ingest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"weir/schemas"
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
		if err := recs.load(events, topic.DefaultShards); err != nil {
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
		got, _ := appendCompact(nil, in)
		if string(got) != string(want) {
			t.Fatalf("appendCompact(%q) = %q, want %q", in, got, want)
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
