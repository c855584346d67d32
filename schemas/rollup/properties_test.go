package rollup

import (
	"slices"
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
	check(nil, `[]`)
	check(Properties{{Name: "C01", Value: `"a,b}"`, Time: -5, Offset: 0}}, `[{"t":-5,"o":0,"v":{"C01":"a,b}"}}]`)
	check(Properties{{Name: "a", Value: `1.5e3`, Time: 1, Offset: 2}, {Name: "b", Value: `null`, Time: 3, Offset: 4}, {Name: "c", Value: `true`}},
		`[{"t":3,"o":4,"v":{"b":null}},{"t":1,"o":2,"v":{"a":1.5e3}},{"t":0,"o":0,"v":{"c":true}}]`)
	check(Properties{{Name: "a", Value: `"1"`, Time: 7}, {Name: "b", Value: `2`, Time: 9}, {Name: "c", Value: `"3"`, Time: 7}},
		`[{"t":9,"o":0,"v":{"b":2}},{"t":7,"o":0,"v":{"a":"1","c":"3"}}]`)
	check(Properties{{Name: `q"`, Value: `"say \"hi\", \\"`}}, `[{"t":0,"o":0,"v":{"q\"":"say \"hi\", \\"}}]`)
	check(Properties{{Name: `x":"`, Value: `"\""`}}, `[{"t":0,"o":0,"v":{"x\":\"":"\""}}]`)
	check(Properties{{Name: "list", Value: `[1,{"a":"}"}]`}}, `[{"t":0,"o":0,"v":{"list":[1,{"a":"}"}]}}]`)
}

// FuzzParseProperties compares the fast parser and FindProperty with the general parser,
// and checks that what is written parses to the same.
func FuzzParseProperties(f *testing.F) {
	for _, raw := range []string{
		`[]`, ``, `[{"t":1,"o":2,"v":{"ab":"1"}}]`, `[{"t":01,"o":2,"v":{"ab":1}}]`, `[{"o":1,"v":{"ab":null},"t":-3}]`,
		`[{"t":1,"o":2,"v":{"ab":"","bc":tru}}]`, `[{"t":-0,"o":2,"v":{"":0}}]`, `[{"t":3,"o":1,"v":{"bc":1}},{"t":1,"o":1,"v":{"ab":1,"cd":"x}},{"}}]`,
		"[{\"t\":1,\"o\":2,\"v\":{\"ab\xff\":1}}]", `[{"t":1,"o":2,"v":{"ab":"` + "\n" + `"}}]`, `[{"t":1,"o":2,"v":{"x":"\"ab\":1","ab":2}}]`,
		`[{"t":1,"o":2,"v":{"t":5,"o":6,"v":7}}]`, `[{"t":1,"o":2,"v":{"x":[{"ab":1}],"ab":2}}]`, `[{"t":1,"o":2,"v":{"ab":1}},{"t":0,"o":2,"v":{"ab":1}}]`,
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := ParseProperties(raw)
		if quick, ok := parseUnescaped(raw); ok {
			any, errAny := parseJSON(raw)
			if diff := cmp.Diff(any, quick); errAny != nil || diff != "" {
				t.Fatalf("quick %v, general %v %v", quick, any, errAny)
			}
		}
		if err != nil {
			return
		}
		written := string(got.AppendJSON(nil))
		again, err := ParseProperties(written)
		if err != nil {
			t.Fatalf("read again %s: %v", written, err)
		}
		if diff := cmp.Diff(got, again); len(got) > 0 && diff != "" {
			t.Fatal(diff)
		}
		names := []string{"ab", "bc", "cd", "t", "v", "x"}
		each := make([]Property, len(names))
		if err := FindProperties(written, names, each); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		for n, name := range names {
			found, has, err := FindProperty(written, name)
			i := slices.IndexFunc(again, func(p Property) bool { return p.Name == name })
			if err != nil || has != (i >= 0) || has && found != again[i] {
				t.Fatalf("%s in %s: %v %v %v", name, written, found, has, err)
			}
			if each[n] != found {
				t.Fatalf("%s in %s: %v alone, %v with others", name, written, found, each[n])
			}
		}
	})
}

// FuzzParseClientProperties compares the fast parser with the general one.
func FuzzParseClientProperties(f *testing.F) {
	f.Add(`{"a":"1","b":null,"c":"","d":{"e": 1}}`)
	f.Add(`{"a":1,"a":2}`)
	f.Add(`{"b":"x","a":true,"c":-1.5e3}`)
	f.Add(`{"b":"x" }`)
	f.Add(`{"b":"\u0041","a":01}`)
	f.Add(`{"a":1}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		p := ParseClientProperties(raw)
		if diff := cmp.Diff(parseFlatJSON(raw), p); len(p) > 0 && diff != "" {
			t.Fatal(diff)
		}
		if !strictlySorted(p) {
			t.Fatalf("%v is not sorted", p)
		}
		if again, err := ParseProperties(string(p.AppendJSON(nil))); err != nil || len(again) != len(p) {
			t.Fatalf("%s: %v", p.AppendJSON(nil), err)
		}
	})
}

// benchProperties is what most rows hold: the properties of one event.
const benchProperties = `[{"t":1700000000000,"o":42,"v":{"C01":"a","edition":"pro","language":"de","os.platform":"Linux","os.version":"12","prodVersion":"1.4.0","ram":16384}}]`

// BenchmarkParseProperties parses by cutting the text.
func BenchmarkParseProperties(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseProperties(benchProperties); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParsePropertiesJSON parses the same by the JSON package.
func BenchmarkParsePropertiesJSON(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseJSON(benchProperties); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFindProperty finds one property without parsing the others.
func BenchmarkFindProperty(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, found, err := FindProperty(benchProperties, "prodVersion"); err != nil || !found {
			b.Fatal(found, err)
		}
	}
}
