package report

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestEventCounts compares counts with those of a map.
func TestEventCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	type key struct{ unit, event int32 }
	for events := int32(1); events <= 1000; events *= 10 {
		var got eventCounts
		want, eventsOf := map[key]int64{}, map[int32][]int32{}
		for range 5000 {
			k, n := key{r.Int32N(50), r.Int32N(events)}, 1+r.Int64N(9)
			got.add(k.unit, k.event, n)
			if want[k] == 0 {
				eventsOf[k.unit] = append(eventsOf[k.unit], k.event)
			}
			want[k] += n
		}
		for unit := range int32(51) {
			for event := range events + 1 {
				if n := got.get(unit, event); n != want[key{unit, event}] {
					t.Fatalf("unit %d sent event %d %d times, want %d", unit, event, n, want[key{unit, event}])
				}
			}
			var all []int32
			for _, cell := range got.of(unit) {
				all = append(all, cell.event)
			}
			if slices.Sort(eventsOf[unit]); !slices.Equal(all, eventsOf[unit]) {
				t.Fatalf("unit %d sent %v, want %v", unit, all, eventsOf[unit])
			}
		}
		if got.bytes() < int64(len(want))*16 {
			t.Errorf("%d pairs take %d bytes", len(want), got.bytes())
		}
	}
}
