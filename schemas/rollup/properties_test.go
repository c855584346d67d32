package rollup

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/google/go-cmp/cmp"
)

// only is rec with its first columns.
func only(rec arrow.Record, schema *arrow.Schema) arrow.Record {
	return array.NewRecord(schema, rec.Columns()[:schema.NumFields()], rec.NumRows())
}

func TestPropertiesRoundTrip(t *testing.T) {
	check := func(p Properties, want string) {
		t.Helper()
		raw := string(p.AppendJSON(nil))
		if raw != want {
			t.Errorf("wrote %s, want %s", raw, want)
		}
		got, err := ParseProperties(raw)
		if diff := cmp.Diff(p, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", raw, err, diff)
		}
	}
	check(nil, `{}`)
	check(Properties{{Name: "C01", Value: `"a,b}"`, Time: -5, Offset: 0}}, `{"C01":{"v":"a,b}","t":-5,"o":0}}`)
	check(Properties{{Name: "a", Value: `1.5e3`, Time: 1, Offset: 2}, {Name: "b", Value: `null`, Time: 3, Offset: 4}, {Name: "c", Value: `true`}},
		`{"a":{"v":1.5e3,"t":1,"o":2},"b":{"v":null,"t":3,"o":4},"c":{"v":true,"t":0,"o":0}}`)
	check(Properties{{Name: `q"`, Value: `"say \"hi\", \\"`}}, `{"q\"":{"v":"say \"hi\", \\","t":0,"o":0}}`)
	check(Properties{{Name: `x":{"v":`, Value: `"\""`}}, `{"x\":{\"v\":":{"v":"\"","t":0,"o":0}}`)
	check(Properties{{Name: "list", Value: `[1,{"a":"}"}]`}}, `{"list":{"v":[1,{"a":"}"}],"t":0,"o":0}}`)
}

func TestPropertiesFind(t *testing.T) {
	p := Properties{{Name: "a", Value: `"1"`}, {Name: "b", Value: cleared}}
	if got, ok := p.Find("a"); !ok || got.Value != `"1"` {
		t.Errorf("a = %v %v", got, ok)
	}
	for _, name := range []string{"b", "c", ""} {
		if got, ok := p.Find(name); ok {
			t.Errorf("%q = %v", name, got)
		}
	}
}

// FuzzParseProperties holds the quick reader to the general one, and what is
// read to what is written.
func FuzzParseProperties(f *testing.F) {
	for _, raw := range []string{
		`{}`, ``, `{"a":{"v":"1","t":1,"o":2}}`, `{"a":{"v":1,"t":01,"o":2}}`, `{"a":{"o":1,"v":null,"t":-3}}`,
		`{"a":{"v":"","t":1,"o":2},"b":{"v":tru,"t":1,"o":2}}`, `{"":{"v":0,"t":-0,"o":2}}`, `{"b":{"v":1,"t":1,"o":1},"a":{"v":1,"t":1,"o":1}}`,
		"{\"a\xff\":{\"v\":1,\"t\":1,\"o\":2}}", `{"a":{"v":"` + "\n" + `","t":1,"o":2}}`,
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := ParseProperties(raw)
		if quick, ok := parsePlain(raw); ok {
			any, errAny := parseAny(raw)
			if diff := cmp.Diff(any, quick); errAny != nil || diff != "" {
				t.Fatalf("quick %v, general %v %v", quick, any, errAny)
			}
		}
		if err != nil {
			return
		}
		again, err := ParseProperties(string(got.AppendJSON(nil)))
		if err != nil {
			t.Fatalf("read again %s: %v", got.AppendJSON(nil), err)
		}
		if diff := cmp.Diff(got, again); len(got) > 0 && diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzSaid(f *testing.F) {
	f.Add(`{"a":"1","b":null,"c":"","d":{"e": 1}}`)
	f.Add(`{"a":1,"a":2}`)
	f.Fuzz(func(t *testing.T, raw string) {
		p := said(raw)
		if !sorted(p) {
			t.Fatalf("%v is not sorted", p)
		}
		if again, err := ParseProperties(string(p.AppendJSON(nil))); err != nil || len(again) != len(p) {
			t.Fatalf("%s: %v", p.AppendJSON(nil), err)
		}
	})
}
