package export

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/property"
	"weir/schemas/rollup"
)

// TestPropertiesOverTheBound reads the properties of a client that reported more than
// rollups keep, at each of some rows, from rollups of any split of its events and from
// the events alone: all are the same, and what a naive model gives.
func TestPropertiesOverTheBound(t *testing.T) {
	over := 0
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 9))
		events := make([]schemas.Event, 3+r.IntN(25))
		for i := range events {
			events[i] = schemas.Event{Product: 1, Client: 7, Time: int64(1000 + i/2), Name: "a", RandomID: "r", ClientProps: someProperties(r, r.IntN(120), 40+r.IntN(500))}
		}
		from := len(events) / 2 // rows are the events from here on
		var want []string
		for i := from; i < len(events); i++ {
			text, bounded := knownAt(events, i)
			want = append(want, text)
			if bounded {
				over++
			}
		}
		for range 4 {
			if diff := cmp.Diff(want, readBack(t, r, events, from)); diff != "" {
				t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
			}
		}
	}
	if over < 50 {
		t.Errorf("%d rows were over the bound", over)
	}
}

func someProperties(r *rand.Rand, n, all int) []byte {
	values := map[string]string{}
	for range n {
		values[fmt.Sprintf("x%05d", r.IntN(all))] = []string{"1", "null", `"a"`}[r.IntN(3)]
	}
	if r.IntN(2) == 0 {
		values["prodVersion"], values["zz"] = fmt.Sprintf(`"%d"`, r.IntN(9)), "true"
	}
	var members []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		members = append(members, fmt.Sprintf("%q:%s", name, values[name]))
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

// knownAt is the model: of the properties that the client ever reported those of the
// catalogue and the first others, and of event i all.
func knownAt(events []schemas.Event, i int) (text string, bounded bool) {
	ever, values := map[string]bool{}, map[string]string{}
	for n, e := range events {
		for _, p := range rollup.ParseClientProperties(string(e.ClientProps)) {
			ever[p.Name] = true
			if n <= i { // the time never runs backwards, and offsets rise
				values[p.Name] = p.Value
			}
		}
	}
	keep, others := map[string]bool{}, 0
	for _, name := range slices.Sorted(maps.Keys(ever)) {
		if property.Find(name) == nil {
			others++
		}
		keep[name] = property.Find(name) != nil || others <= rollup.MaxOtherProperties
	}
	for _, p := range rollup.ParseClientProperties(string(events[i].ClientProps)) {
		keep[p.Name] = true
	}
	var members []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if keep[name] && values[name] != "null" {
			members = append(members, fmt.Sprintf("%q:%s", name, values[name]))
		}
	}
	return "{" + strings.Join(members, ",") + "}", others > rollup.MaxOtherProperties
}

// readBack has the first events in the rollup of clients, in rows of any split, and
// reads the others and the days of the rows as events.
func readBack(t *testing.T, r *rand.Rand, events []schemas.Event, from int) (out []string) {
	t.Helper()
	v := newClientValues(everyClient(), true, math.MaxInt64)
	of := func(i int) *propertySet { return v.objects.propertySetOf(string(events[i].ClientProps)) }
	for i := from; i < len(events); i++ {
		v.addRow(7, stamp{events[i].Time, int64(i)}, of(i))
	}
	c, stored := v.find(7), r.IntN(len(events)+1)
	for _, row := range storedRows(t, r, events[:stored]) {
		if err := v.eachStamp(row, func(at stamp, s *propertySet) { v.learn(c, at, s) }); err != nil {
			t.Fatal(err)
		}
	}
	for i := stored; i < len(events); i++ {
		v.learn(c, stamp{events[i].Time, int64(i)}, of(i))
	}
	v.decideNeeds()
	for _, i := range r.Perm(len(events)) {
		v.observe(c, stamp{events[i].Time, int64(i)}, of(i))
	}
	if err := v.seal(); err != nil {
		t.Fatal(err)
	}
	for i := from; i < len(events); i++ {
		out = append(out, string(v.at(7, stamp{events[i].Time, int64(i)}, of(i)).json))
	}
	return out
}

// storedRows are the properties of rows of the rollup of clients, of some of events each.
func storedRows(t *testing.T, r *rand.Rand, events []schemas.Event) (rows []string) {
	t.Helper()
	sets := make([]*rollup.Set, 1+r.IntN(3))
	for i := range sets {
		sets[i] = rollup.NewSet()
	}
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i := range events {
		b.Append(&events[i], columns.Position{Offset: int64(i)})
		rec := b.Batch()
		if err := sets[r.IntN(len(sets))].AddBatch(rec); err != nil {
			t.Fatal(err)
		}
		rec.Release()
	}
	for _, set := range sets {
		for c := range set.Clients() {
			rows = append(rows, string(c.Properties.AppendJSON(nil)))
		}
	}
	return rows
}
