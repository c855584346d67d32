package lake_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
)

const testDayMS = 86_400_000

// traffic makes events like real ones: clients with sessions, few names, text
// that repeats.
type traffic struct {
	r        *rand.Rand
	clients  int64 // how many
	start    int64 // of the first event; epoch milliseconds
	step     int64 // mean milliseconds from one event to the next
	n        int64
	seen     map[int64]int64 // events of each client
	products int64           // how many
}

func (g *traffic) event() schemas.Event {
	client := 1 + g.r.Int64N(g.clients)
	g.start += g.r.Int64N(2*g.step + 1)
	g.n++
	g.seen[client]++
	e := schemas.Event{
		Product: 1001 + client%g.products, Client: client<<32 + 7, Time: g.start - g.r.Int64N(5000),
		Name:     []string{"edit", "edit", "edit", "commit", "open", schemas.SessionStart, schemas.SessionStop}[g.r.IntN(7)],
		RandomID: fmt.Sprintf("%016x-%04x-%012x", g.r.Uint64(), g.n&0xffff, g.n),
		Category: new([]string{"vcs", "config", "(root)"}[g.r.IntN(3)]), SessionID: fmt.Sprintf("9cc48ec0-8eea-c1e0-%d-%d", client, g.seen[client]/20),
		AppKey: "app-key", AppVersion: fmt.Sprintf("v1.%d.0", client%5),
		User:        fmt.Appendf(nil, `{"id":"u%d","realm":["webmail"],"groups":["all","core"]}`, client),
		ClientProps: fmt.Appendf(nil, `{"prodVersion":"v1.%d.0","prodEdition":"webmail","C01":"-0700"}`, client%5),
		Properties:  fmt.Appendf(nil, `{"language":"Go","op":"add","n":%d}`, g.r.IntN(1000)),
	}
	switch {
	case e.Name == schemas.SessionStop:
		e.RuntimeMS = new(g.r.Int64N(3_600_000))
	case e.Name == "edit":
		e.Value = new(decimal128.FromI64(g.r.Int64N(100) * 1_000_000_000))
	case g.n%50 == 0:
		e.Exception = &schemas.Exception{Class: "IOError", Method: "read", Message: "eof", Stack: "at main\nat run"}
	}
	return e
}

// batches are n events in records of size rows, at offsets from first on.
func (g *traffic) batches(t testing.TB, shard int32, first int64, n, size int) []arrow.Record {
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	var out []arrow.Record
	for i := range n {
		e := g.event()
		b.Append(&e, columns.Position{Shard: shard, Offset: first + int64(i), Arrival: g.start})
		if b.Len() == size || i == n-1 {
			rec := b.Batch()
			t.Cleanup(rec.Release)
			out = append(out, rec)
		}
	}
	return out
}

func newTraffic(seed uint64, clients int64) *traffic {
	return &traffic{r: rand.New(rand.NewPCG(seed, 0)), clients: clients, start: 1_700_000_000_000, step: 40, seen: map[int64]int64{}, products: 3}
}

// randomEvents makes events with every combination of fields and any time.
func randomEvents(r *rand.Rand, n int) []schemas.Event {
	text := func() string {
		return []string{"", "a", "ä€😀", "long " + string(make([]byte, r.IntN(300)))}[r.IntN(4)]
	}
	raw := func() []byte {
		if r.IntN(2) == 0 {
			return nil
		}
		return fmt.Appendf(nil, `{"k":%d}`, r.IntN(5))
	}
	times := []int64{-62_135_596_800_000, -1, 0, 1, 31_536_000_000, 1_700_000_000_000, 253_402_300_799_999, math.MaxInt64, math.MinInt64}
	out := make([]schemas.Event, n)
	for i := range out {
		e := schemas.Event{
			Product: 1 + r.Int64N(3), Client: 1 + r.Int64N(4), Time: times[r.IntN(len(times))], Name: "n" + text(), RandomID: fmt.Sprint(i),
			SessionID: text(), AppKey: text(), AppName: text(), AppVersion: text(), ContentLocale: text(), UILocale: text(),
			UserAgent: text(), IP: text(), User: raw(), ClientProps: raw(), Properties: raw(),
		}
		if r.IntN(2) == 0 {
			e.Category = new(text())
		}
		if r.IntN(2) == 0 {
			e.Value, e.ValueText = new(decimal128.New(r.Int64N(1<<40)-1<<39, r.Uint64())), text()
		}
		if r.IntN(2) == 0 {
			e.RuntimeMS = new(r.Int64() - r.Int64())
		}
		if r.IntN(2) == 0 {
			e.Offline = new(r.IntN(2) == 0)
		}
		if r.IntN(2) == 0 {
			e.Exception = &schemas.Exception{Class: text(), Method: text(), Message: text(), Stack: text()}
		}
		out[i] = e
	}
	return out
}

// buildBatches returns events as batches of size rows, of a shard, from offset
// first on.
func buildBatches(t testing.TB, mem memory.Allocator, shard int32, first int64, size int, events []schemas.Event) []arrow.Record {
	b := columns.NewBuilder(mem)
	defer b.Release()
	var out []arrow.Record
	for i := range events {
		b.Append(&events[i], columns.Position{Shard: shard, Offset: first + int64(i), Arrival: 1_700_000_000_000 + first + int64(i)})
		if b.Len() == size || i == len(events)-1 {
			out = append(out, b.Batch())
		}
	}
	t.Cleanup(func() {
		for _, rec := range out {
			rec.Release()
		}
	})
	return out
}

// withStorableTimes changes times that a batch cannot hold to the nearest that
// it can, so that rows are read as they were written.
func withStorableTimes(events []schemas.Event) []schemas.Event {
	for i := range events {
		events[i].Time = max(-62_135_596_800_000, min(253_402_300_799_999, events[i].Time)) + int64(i)
	}
	return events
}
