package rollup

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/property"
)

// manyNames returns the $client of an event: some properties of the catalogue, and n
// others of names that are one of all.
func manyNames(r *rand.Rand, n, all int) []byte {
	values := map[string]string{}
	for range n {
		values[fmt.Sprintf("x%05d", r.IntN(all))] = fmt.Sprint(r.IntN(5))
	}
	for _, name := range []string{"prodVersion", "os.version", "C01", "zz"} {
		if r.IntN(2) == 0 {
			values[name] = []string{`"a"`, `null`, `"\"b"`, `3`}[r.IntN(4)]
		}
	}
	var members []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		members = append(members, fmt.Sprintf("%q:%s", name, values[name]))
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

// boundedModel returns the properties of a client as they must be stored, computed from
// all observations at once.
func boundedModel(events []schemas.Event) Properties {
	latest := map[string]Property{}
	for i, e := range events {
		for _, p := range ParseClientProperties(string(e.ClientProps)) {
			p.Time, p.Offset = e.Time, int64(i)
			if have, known := latest[p.Name]; !known || p.newer(&have) {
				latest[p.Name] = p
			}
		}
	}
	var out Properties
	others := 0
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		if property.Find(name) == nil {
			if others++; others > MaxOtherProperties+1 {
				continue
			}
		}
		out = append(out, latest[name])
	}
	return out
}

// TestPropertiesAreBounded: a row has the properties of the catalogue and the first
// others, each with its latest value, however the events are split and in whatever
// order they are merged.
func TestPropertiesAreBounded(t *testing.T) {
	over := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		events := make([]schemas.Event, 1+r.IntN(40))
		for i := range events {
			events[i] = schemas.Event{
				Product: 1, Client: 1, Time: 5*dayMS + r.Int64N(4), Name: "a", RandomID: "r", ClientProps: manyNames(r, r.IntN(150), 50+r.IntN(600)),
			}
		}
		want := boundedModel(events)
		for c := range addInSeveralSets(t, r, events).Clients() {
			if diff := cmp.Diff(want, c.Properties); diff != "" {
				t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
			}
			if len(c.Properties) > MaxOtherProperties {
				over++
			}
		}
	}
	if over < 20 {
		t.Errorf("%d clients were over the bound", over)
	}
}

func TestBoundedKeepsTheCatalogue(t *testing.T) {
	var p Properties
	for _, one := range property.All() {
		p = append(p, Property{Name: one.Name, Value: "1"})
	}
	for i := range 500 {
		p = append(p, Property{Name: fmt.Sprintf("other%03d", i), Value: "2"})
	}
	slices.SortFunc(p, compareNames)
	got := p.Bounded()
	if want := len(property.All()) + MaxOtherProperties + 1; len(got) != want || !strictlySorted(got) {
		t.Errorf("%d properties, want %d in order", len(got), want)
	}
	if last := slices.IndexFunc(got, func(p Property) bool { return p.Name == "other100" }); last < 0 {
		t.Error("the one more that shows that there were others is missing")
	}
	if again := got.Bounded(); len(again) != len(got) || &again[0] != &got[0] {
		t.Error("what is bounded is bounded again")
	}
	if small := p[:MaxOtherProperties]; len(small.Bounded()) != len(small) {
		t.Error("a row of few properties lost some")
	}
}

// BenchmarkNewNames folds events of one client that each bring 500 new names, and
// writes the row: the time per name must not grow with their number.
func BenchmarkNewNames(b *testing.B) {
	const perEvent = 500
	for _, n := range []int{4, 40, 400, 4000} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			events := make([]schemas.Event, n)
			for i := range events {
				var members []string
				for k := range perEvent {
					members = append(members, fmt.Sprintf(`"n%07d":1`, i*perEvent+k))
				}
				events[i] = schemas.Event{Product: 1, Client: 1, Time: int64(i), Name: "a", RandomID: "r", ClientProps: []byte("{" + strings.Join(members, ",") + "}")}
			}
			benchFold(b, events, n*perEvent)
		})
	}
}

// BenchmarkAlternatingProperties folds events of one client that has all properties
// that are kept, of which each event sends other ones.
func BenchmarkAlternatingProperties(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			events := make([]schemas.Event, n)
			for i := range events {
				events[i] = schemas.Event{
					Product: 1, Client: 1, Time: int64(i), Name: "a", RandomID: "r", ClientProps: fmt.Appendf(nil, `{"n%02d":%d,"prodVersion":"%d"}`, i%100, i, i%7),
				}
			}
			benchFold(b, events, 2*n)
		})
	}
}

func benchFold(b *testing.B, events []schemas.Event, names int) {
	rec := batch(b, 0, events...)
	b.ReportAllocs()
	for b.Loop() {
		s := NewSet()
		if err := s.AddBatch(rec); err != nil {
			b.Fatal(err)
		}
		for c := range s.Clients() {
			c.Properties.AppendJSON(nil)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(names), "ns/name")
}
