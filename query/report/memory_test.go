package report

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"weir/schemas/rollup"
)

// crowd is a Source of many clients that are made up as they are asked for, and
// weighs the heap from time to time.
type crowd struct {
	clients int64
	batches int
	most    uint64 // bytes
}

const crowdBatch = 1 << 10

// made yields batches of clients; row adds one.
func made[B any](c *crowd, rounds int, row func(b *B, client int64, round int32)) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		for round := range int32(rounds) {
			for from := int64(1); from <= c.clients; from += crowdBatch {
				b := new(B)
				for client := from; client < min(from+crowdBatch, c.clients+1); client++ {
					row(b, client, round)
				}
				if !yield(b, nil) {
					return
				}
				c.weigh()
			}
		}
	}
}

func (c *crowd) weigh() {
	if c.batches++; c.batches%16 == 0 {
		c.most = max(c.most, liveBytes())
	}
}

// liveBytes is what the heap holds that is still used.
func liveBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func saidOn(client int64, day int32) string {
	return fmt.Sprintf(`[{"t":%d,"o":%d,"v":{"prodVersion":"%d","machineId":"m%d"}}]`, int64(day)*dayMS+client%dayMS, client, (client+int64(day))%5, client/3)
}

func (c *crowd) Clients(context.Context, Scan) iter.Seq2[*rollup.ClientBatch, error] {
	return made(c, 1, func(b *rollup.ClientBatch, client int64, _ int32) {
		b.Client, b.First, b.Last = append(b.Client, client), append(b.First, 0), append(b.Last, 3*dayMS)
		b.Sessions, b.RuntimeMS = append(b.Sessions, 4), append(b.RuntimeMS, 5e6)
		b.Properties = append(b.Properties, saidOn(client, 3))
	})
}

func (c *crowd) Days(context.Context, Scan) iter.Seq2[*rollup.DayBatch, error] {
	return made(c, 4, func(b *rollup.DayBatch, client int64, day int32) {
		b.Client.Append(client)
		b.Day = append(b.Day, day)
		b.Sessions, b.RuntimeMS = append(b.Sessions, 1), append(b.RuntimeMS, 1e6)
		b.Properties = append(b.Properties, saidOn(client, day))
	})
}

func (c *crowd) Events(context.Context, Scan) iter.Seq2[*rollup.EventBatch, error] {
	names := []string{"a", "b", "c", "d", "e", "f"}
	return made(c, len(names), func(b *rollup.EventBatch, client int64, name int32) {
		b.Name.Values = names
		b.Client.Append(client)
		b.Day, b.Count = append(b.Day, name%4), append(b.Count, 2)
		b.Category.Codes, b.Name.Codes = append(b.Category.Codes, -1), append(b.Name.Codes, name)
	})
}

func (*crowd) Told(context.Context, UserAttributeScan) iter.Seq2[*Told, error] {
	return func(func(*Told, error) bool) {}
}

// TestMemoryIsBounded: what a question holds of many clients stays within what
// it was given, whatever it asks, and is far less than what all of them take.
func TestMemoryIsBounded(t *testing.T) {
	const given = 2 << 20
	shared := `"startDate":"1970-01-01","stopDate":"1970-01-03","globalFilters":{"prodVersion":{"type":"stringArray","value":["1","2","3"]}}`
	for name, one := range map[string]struct {
		compile func(*Body, Params) (*Question, error)
		body    string
	}{
		"dateRange": {NewDateRange, `{` + shared + `,"dateSplit":"day","clientStatus":["new","active"]}`},
		"grouped":   {NewDateRange, `{` + shared + `,"groupBy":"machineId","clientStatus":["active"]}`},
		"lifeTable": {NewLifetimeTable, `{` + shared + `}`},
		"list":      {NewClientList, `{"globalFilters":{"prodVersion":{"type":"string","value":"nobody's"}},"properties":["prodVersion"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			var b Body
			if err := json.Unmarshal([]byte(one.body), &b); err != nil {
				t.Fatal(err)
			}
			peak := func(bytes int64) uint64 {
				q, err := one.compile(&b, Params{Now: time.UnixMilli(100 * dayMS), Bytes: bytes})
				if err != nil {
					t.Fatal(err)
				}
				before, c := liveBytes(), &crowd{clients: 30_000}
				if _, err := q.Answer(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				return c.most - min(c.most, before)
			}
			little, all := peak(given), peak(1<<40)
			t.Logf("%d bytes of %d, %d in one pass", little, given, all)
			const bound = given + given/2
			if little > bound {
				t.Errorf("%d bytes were held at once, %d were given", little, given)
			}
			if all <= bound {
				t.Errorf("all clients take %d bytes at once: too few to show anything", all)
			}
		})
	}
}
