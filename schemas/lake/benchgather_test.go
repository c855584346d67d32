package lake_test

import (
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// BenchmarkGather appends events to batches and gathers their rollups, as a
// shard does; its floor is to append them alone.
func BenchmarkGather(b *testing.B) {
	g := newTraffic(1, 5000)
	events := make([]schemas.Event, benchRows)
	for i := range events {
		events[i] = g.event()
	}
	b.Run("rollups", func(b *testing.B) { gather(b, events, rollup.NewSet) })
	b.Run("floor", func(b *testing.B) { gather(b, events, func() *rollup.Set { return nil }) })
}

func gather(b *testing.B, events []schemas.Event, newSet func() *rollup.Set) {
	b.ReportAllocs()
	rows := columns.NewBuilder(memory.DefaultAllocator)
	defer rows.Release()
	cpu := cpuTime(b)
	for b.Loop() {
		set := newSet()
		for i := range events {
			rows.Append(&events[i], columns.Position{Offset: int64(i), Arrival: events[i].Time})
			if rows.Len() < 4096 && i < len(events)-1 {
				continue
			}
			rec := rows.Batch()
			if set != nil {
				if err := set.AddBatch(rec); err != nil {
					b.Fatal(err)
				}
			}
			rec.Release()
		}
	}
	b.ReportMetric(float64(len(events))*float64(b.N)/(cpuTime(b)-cpu).Seconds(), "rows/cpu-s")
}
