package rollup

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
)

// batch returns events as an Arrow batch, with offsets from first on.
func batch(t testing.TB, first int64, events ...schemas.Event) arrow.Record {
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i := range events {
		b.Append(&events[i], columns.Position{Offset: first + int64(i)})
	}
	rec := b.Batch()
	t.Cleanup(rec.Release)
	return rec
}

func newSetOf(t testing.TB, first int64, events ...schemas.Event) *Set {
	s := NewSet()
	if err := s.AddBatch(batch(t, first, events...)); err != nil {
		t.Fatal(err)
	}
	return s
}

// dump lists the rows of a set, one a line.
func dump(s *Set) []string {
	var out []string
	for d := range s.ClientDays() {
		out = append(out, fmt.Sprintf("day %d/%d %d: %d events %d sessions %d ms %d..%d %s", d.Product, d.Client, d.Day,
			d.Events, d.Sessions, d.RuntimeMS, d.First, d.Last, d.Properties.AppendJSON(nil)))
	}
	for d := range s.EventDays() {
		out = append(out, fmt.Sprintf("event %d/%d %d %v %q %q: %d, %s of %d from %d", d.Product, d.Client, d.Day, d.HasCategory,
			d.Category, d.Name, d.Count, d.ValueSum.ToString(9), d.ValueCount, d.First))
	}
	for c := range s.Clients() {
		out = append(out, fmt.Sprintf("client %d/%d installed %d: %d events %d sessions %d ms %d..%d %s", c.Product, c.Client,
			c.InstallDay(), c.Events, c.Sessions, c.RuntimeMS, c.First, c.Last, c.Properties.AppendJSON(nil)))
	}
	return out
}

func TestDefinitions(t *testing.T) {
	const day = 86_400_000
	e := func(at int64, name string, more func(*schemas.Event)) schemas.Event {
		out := schemas.Event{Product: 7, Client: 9, Time: at, Name: name, RandomID: "r"}
		if more != nil {
			more(&out)
		}
		return out
	}
	props := func(raw string) func(*schemas.Event) {
		return func(e *schemas.Event) { e.ClientProps = []byte(raw) }
	}
	check := func(name string, want []string, events ...schemas.Event) {
		t.Helper()
		if diff := gocmp.Diff(want, dump(newSetOf(t, 0, events...))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}

	check("a session over midnight: its start counts on its day, its runtime on the stop's", []string{
		`day 7/9 0: 1 events 1 sessions 0 ms 86399999..86399999 []`,
		`day 7/9 1: 1 events 0 sessions 5000 ms 86400000..86400000 []`,
		`event 7/9 0 false "" "session_start": 1, 0.000000000 of 0 from 86399999`,
		`event 7/9 1 false "" "session_stop": 1, 0.000000000 of 0 from 86400000`,
		`client 7/9 installed 0: 2 events 1 sessions 5000 ms 86399999..86400000 []`,
	},
		e(day-1, schemas.SessionStart, func(e *schemas.Event) { e.RuntimeMS = new(int64(77)) }),
		e(day, schemas.SessionStop, func(e *schemas.Event) { e.RuntimeMS = new(int64(5000)) }))

	check("before 1970, and categories: none is not the empty one", []string{
		`day 7/9 -1: 3 events 0 sessions 0 ms -1..-1 []`,
		`event 7/9 -1 false "" "x": 1, 0.000000000 of 0 from -1`,
		`event 7/9 -1 true "" "x": 1, 0.100000000 of 1 from -1`,
		`event 7/9 -1 true "c" "x": 1, -0.300000000 of 1 from -1`,
		`client 7/9 installed -1: 3 events 0 sessions 0 ms -1..-1 []`,
	},
		e(-1, "x", nil),
		e(-1, "x", func(e *schemas.Event) { e.Category, e.Value = new(""), new(decimal128.FromI64(100_000_000)) }),
		e(-1, "x", func(e *schemas.Event) { e.Category, e.Value = new("c"), new(decimal128.FromI64(-300_000_000)) }))

	check("last by time per property: absent leaves, null and empty clear, a late event does not undo", []string{
		`day 7/9 0: 5 events 0 sessions 0 ms 1..9 [{"t":9,"o":3,"v":{"b":null,"c":null}},{"t":5,"o":1,"v":{"a":"2"}},{"t":1,"o":2,"v":{"d":3}}]`,
		`event 7/9 0 false "" "x": 5, 0.000000000 of 0 from 1`,
		`client 7/9 installed 0: 5 events 0 sessions 0 ms 1..9 [{"t":9,"o":3,"v":{"b":null,"c":null}},{"t":5,"o":1,"v":{"a":"2"}},{"t":1,"o":2,"v":{"d":3}}]`,
	},
		e(5, "x", props(`{"a":"1","b":"1"}`)),
		e(5, "x", props(`{"a":"2"}`)), // the same time: the larger offset
		e(1, "x", props(`{"a":"0","b":"0","c":true,"d":3}`)),
		e(9, "x", props(`{"b":null,"c":""}`)),
		e(8, "x", props(`{"c":"late"}`)))

	check("malformed properties are ignored", []string{
		`day 7/9 0: 3 events 0 sessions 0 ms 1..1 []`,
		`event 7/9 0 false "" "x": 3, 0.000000000 of 0 from 1`,
		`client 7/9 installed 0: 3 events 0 sessions 0 ms 1..1 []`,
	}, e(1, "x", props(`[1]`)), e(1, "x", props(`{"a":1,"a":2}`)), e(1, "x", props(`{"a":`)))
}

// randomEvents returns events of few clients, days and names, so that keys repeat.
func randomEvents(r *rand.Rand, n int) []schemas.Event {
	texts := []string{
		`{"prodVersion":"1","os.platform":"x"}`, `{"prodVersion":"2"}`, `{"os.platform":""}`, `{"prodVersion":null,"C01":7}`, `{}`,
	}
	out := make([]schemas.Event, n)
	for i := range out {
		e := schemas.Event{
			Product: 1 + r.Int64N(2), Client: 1 + r.Int64N(3), Time: r.Int64N(3*dayMS) - dayMS, RandomID: "r",
			Name: []string{"a", "b", schemas.SessionStart, schemas.SessionStop}[r.IntN(4)],
		}
		if r.IntN(2) == 0 {
			e.Category = new([]string{"", "c"}[r.IntN(2)])
		}
		if r.IntN(2) == 0 {
			e.Value = new(decimal128.New(r.Int64N(3)-1, r.Uint64()))
		}
		if r.IntN(2) == 0 {
			e.RuntimeMS = new(r.Int64N(1000))
		}
		if r.IntN(3) > 0 {
			e.ClientProps = []byte(texts[r.IntN(len(texts))])
		}
		out[i] = e
	}
	return out
}

// model implements the rollup as simply as possible: one row at a time, rows
// merged one by one.
func model(events []schemas.Event) []string {
	days, rows := map[dayKey]*ClientDay{}, map[string]*EventDay{}
	for i, e := range events {
		one := &ClientDay{Product: e.Product, Client: e.Client, Day: Day(e.Time), Events: 1, First: e.Time, Last: e.Time}
		if e.Name == schemas.SessionStart {
			one.Sessions = 1
		}
		if e.Name == schemas.SessionStop && e.RuntimeMS != nil {
			one.RuntimeMS = *e.RuntimeMS
		}
		for _, p := range ParseClientProperties(string(e.ClientProps)) {
			p.Time, p.Offset = e.Time, int64(i)
			one.Properties = append(one.Properties, p)
		}
		key := dayKey{e.Product, e.Client, one.Day}
		if have := days[key]; have != nil {
			have.Merge(one)
		} else {
			days[key] = one
		}
		row := &EventDay{Product: e.Product, Client: e.Client, Day: one.Day, Name: e.Name, Count: 1, First: e.Time}
		if e.Category != nil {
			row.HasCategory, row.Category = true, *e.Category
		}
		if e.Value != nil {
			row.ValueSum, row.ValueCount = addValue(decimal128.Num{}, *e.Value), 1
		}
		id := fmt.Sprintf("%v %v %q %q", key, row.HasCategory, row.Category, row.Name)
		if have := rows[id]; have != nil {
			have.Merge(row)
		} else {
			rows[id] = row
		}
	}
	return modelDump(days, rows)
}

func modelDump(days map[dayKey]*ClientDay, rows map[string]*EventDay) []string {
	var out []string
	clients := map[[2]int64]*Client{}
	for _, d := range slices.SortedFunc(maps.Values(days), (*ClientDay).Compare) {
		out = append(out, fmt.Sprintf("day %d/%d %d: %d events %d sessions %d ms %d..%d %s", d.Product, d.Client, d.Day,
			d.Events, d.Sessions, d.RuntimeMS, d.First, d.Last, d.Properties.AppendJSON(nil)))
		c := clientFromDay(d)
		if have := clients[[2]int64{d.Product, d.Client}]; have != nil {
			have.Merge(&c)
		} else {
			clients[[2]int64{d.Product, d.Client}] = &c
		}
	}
	for _, d := range slices.SortedFunc(maps.Values(rows), (*EventDay).Compare) {
		out = append(out, fmt.Sprintf("event %d/%d %d %v %q %q: %d, %s of %d from %d", d.Product, d.Client, d.Day, d.HasCategory,
			d.Category, d.Name, d.Count, d.ValueSum.ToString(9), d.ValueCount, d.First))
	}
	for _, c := range slices.SortedFunc(maps.Values(clients), (*Client).Compare) {
		out = append(out, fmt.Sprintf("client %d/%d installed %d: %d events %d sessions %d ms %d..%d %s", c.Product, c.Client,
			c.InstallDay(), c.Events, c.Sessions, c.RuntimeMS, c.First, c.Last, c.Properties.AppendJSON(nil)))
	}
	return out
}

// TestAnySplitInAnyOrder adds the same events to many sets, batch by batch and
// row by row, and merges the sets in random order: the rows are the same.
func TestAnySplitInAnyOrder(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		events := randomEvents(r, 1+r.IntN(120))
		want := model(events)
		if diff := gocmp.Diff(want, dump(addInSeveralSets(t, r, events))); diff != "" {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
		}
	}
}

// addInSeveralSets adds events to several sets, in any order, and merges the sets.
func addInSeveralSets(t *testing.T, r *rand.Rand, events []schemas.Event) *Set {
	sets := make([]*Set, 1+r.IntN(5))
	for i := range sets {
		sets[i] = NewSet()
	}
	rec := batch(t, 0, events...)
	v, err := columns.Bind(rec)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range r.Perm(len(events)) {
		to := sets[r.IntN(len(sets))]
		if r.IntN(2) == 0 {
			to.Add(&v, i)
			continue
		}
		part := rec.NewSlice(int64(i), int64(i)+1)
		if err := to.AddBatch(part); err != nil {
			t.Fatal(err)
		}
		part.Release()
		if r.IntN(4) == 0 {
			dump(to) // to read a set must not change it
		}
	}
	for len(sets) > 1 {
		r.Shuffle(len(sets), func(i, j int) { sets[i], sets[j] = sets[j], sets[i] })
		sets[0].Merge(sets[1])
		sets = append(sets[:1], sets[2:]...)
	}
	return sets[0]
}

func TestRowsMergeInAnyOrder(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 2))
		events := randomEvents(r, 12)
		for i := range events {
			events[i].Product, events[i].Client = 1, 1
		}
		var want string
		for range 5 {
			var all *Client
			for _, i := range r.Perm(len(events)) {
				for c := range newSetOf(t, int64(i), events[i]).Clients() {
					if all == nil {
						all = c
						continue
					}
					all.Merge(c)
				}
			}
			got := fmt.Sprint(all.Events, all.Sessions, all.RuntimeMS, all.First, all.Last, string(all.Properties.AppendJSON(nil)))
			if want = cmp.Or(want, got); got != want {
				t.Fatalf("seed %d: %s, want %s", seed, got, want)
			}
		}
	}
}

func TestSetWithoutColumns(t *testing.T) {
	rec := batch(t, 0, randomEvents(rand.New(rand.NewPCG(1, 1)), 3)...)
	s := NewSet()
	if err := s.AddBatch(rec); err != nil || s.Events() != 3 || s.Len() == 0 || s.Bytes() == 0 {
		t.Errorf("events %d, rows %d, bytes %d, err %v", s.Events(), s.Len(), s.Bytes(), err)
	}
	lacking := rec.NewSlice(0, 1)
	defer lacking.Release()
	cols := arrow.NewSchema(lacking.Schema().Fields()[:1], nil)
	if err := s.AddBatch(only(lacking, cols)); err == nil {
		t.Error("a batch of one column was accepted")
	}
}
