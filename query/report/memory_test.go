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

// generatedSource is a Source of many clients whose rows are generated on demand. It
// measures the heap every few batches.
type generatedSource struct {
	clients int64
	batches int
	largest uint64 // bytes on the heap at the most
}

const generatedBatch = 1 << 10

// generate yields batches of clients; row adds one.
func generate[B any](c *generatedSource, rounds int, row func(b *B, client int64, round int32)) iter.Seq2[*B, error] {
	return func(yield func(*B, error) bool) {
		for round := range int32(rounds) {
			for from := int64(1); from <= c.clients; from += generatedBatch {
				b := new(B)
				for client := from; client < min(from+generatedBatch, c.clients+1); client++ {
					row(b, client, round)
				}
				if !yield(b, nil) {
					return
				}
				c.measureHeap()
			}
		}
	}
}

func (c *generatedSource) measureHeap() {
	if c.batches++; c.batches%16 == 0 {
		c.largest = max(c.largest, liveBytes())
	}
}

// liveBytes returns the size of the objects on the heap that are in use.
func liveBytes() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func valuesOn(client int64, day int32) string {
	return fmt.Sprintf(`[{"t":%d,"o":%d,"v":{"prodVersion":"%d","machineId":"m%d"}}]`, int64(day)*dayMS+client%dayMS, client, (client+int64(day))%5, client/3)
}

func (c *generatedSource) Clients(context.Context, Scan) iter.Seq2[*rollup.ClientBatch, error] {
	return generate(c, 1, func(b *rollup.ClientBatch, client int64, _ int32) {
		b.Client, b.First, b.Last = append(b.Client, client), append(b.First, 0), append(b.Last, 3*dayMS)
		b.Sessions, b.RuntimeMS = append(b.Sessions, 4), append(b.RuntimeMS, 5e6)
		b.Properties = append(b.Properties, valuesOn(client, 3))
	})
}

func (c *generatedSource) Days(context.Context, Scan) iter.Seq2[*rollup.DayBatch, error] {
	return generate(c, 4, func(b *rollup.DayBatch, client int64, day int32) {
		b.Client.Append(client)
		b.Day = append(b.Day, day)
		b.Sessions, b.RuntimeMS = append(b.Sessions, 1), append(b.RuntimeMS, 1e6)
		b.Properties = append(b.Properties, valuesOn(client, day))
	})
}

func (c *generatedSource) Events(context.Context, Scan) iter.Seq2[*rollup.EventBatch, error] {
	names := []string{"a", "b", "c", "d", "e", "f"}
	return generate(c, len(names), func(b *rollup.EventBatch, client int64, name int32) {
		b.Name.Values = names
		b.Client.Append(client)
		b.Day, b.Count = append(b.Day, name%4), append(b.Count, 2)
		b.Category.Codes, b.Name.Codes = append(b.Category.Codes, -1), append(b.Name.Codes, name)
	})
}

func (*generatedSource) UserAttributes(context.Context, UserAttributeScan) iter.Seq2[*UserAttribute, error] {
	return func(func(*UserAttribute, error) bool) {}
}

func (*generatedSource) OptOuts(context.Context, OptOutScan) iter.Seq2[rollup.OptOut, error] {
	return func(func(rollup.OptOut, error) bool) {}
}

// TestMemoryIsBounded: what a question keeps about many clients stays near its limit,
// and is much less than all of them take in one pass.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 2 << 20
	shared := `"startDate":"1970-01-01","stopDate":"1970-01-03","globalFilters":{"prodVersion":{"type":"stringArray","value":["1","2","3"]}}`
	for name, test := range map[string]struct {
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
			if err := json.Unmarshal([]byte(test.body), &b); err != nil {
				t.Fatal(err)
			}
			peak := func(bytes int64) uint64 {
				q, err := test.compile(&b, Params{Now: time.UnixMilli(100 * dayMS), Bytes: bytes})
				if err != nil {
					t.Fatal(err)
				}
				before, c := liveBytes(), &generatedSource{clients: 30_000}
				if _, err := q.Answer(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				return c.largest - min(c.largest, before)
			}
			little, all := peak(limit), peak(1<<40)
			t.Logf("%d bytes of %d, %d in one pass", little, limit, all)
			const bound = limit + limit/2
			if little > bound {
				t.Errorf("%d bytes were held at once, the limit is %d", little, limit)
			}
			if all <= bound {
				t.Errorf("all clients take %d bytes in one pass: too few to test the limit", all)
			}
		})
	}
}
