package report

import (
	"math/rand/v2"
	"testing"
)

// benchClients returns ids that do not follow one another, as clients have.
func benchClients(n int) []int64 {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]int64, n)
	for i := range out {
		out[i] = r.Int64() | 1
	}
	return out
}

// BenchmarkClientIndex compares clientIndex with a Go map: a million clients are
// added and then looked up.
func BenchmarkClientIndex(b *testing.B) {
	clients := benchClients(1_000_000)
	b.Run("index", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var x clientIndex
			for i, id := range clients {
				x.put(id, int32(i))
			}
			for _, id := range clients {
				if _, known := x.find(id); !known {
					b.Fatal("a client is lost")
				}
			}
		}
		b.ReportMetric(float64(len(clients))*float64(b.N)/b.Elapsed().Seconds(), "clients/s")
	})
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			x := map[int64]int32{}
			for i, id := range clients {
				x[id] = int32(i)
			}
			for _, id := range clients {
				if _, known := x[id]; !known {
					b.Fatal("a client is lost")
				}
			}
		}
		b.ReportMetric(float64(len(clients))*float64(b.N)/b.Elapsed().Seconds(), "clients/s")
	})
}

// BenchmarkEventCounts compares eventCounts with a Go map: 100,000 units send
// ten events each on ten days, the rows of a day of a unit one after another.
func BenchmarkEventCounts(b *testing.B) {
	const units, days, events = 100_000, 10, 10
	rows := func(add func(unit, event int32)) {
		for range days {
			for unit := range int32(units) {
				for event := range int32(events) {
					add(unit, event*3+unit%7)
				}
			}
		}
	}
	b.Run("counts", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var p eventCounts
			rows(func(unit, event int32) { p.add(unit, event, 1) })
		}
		b.ReportMetric(units*days*events*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("map", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p := map[[2]int32]int64{}
			rows(func(unit, event int32) { p[[2]int32{unit, event}]++ })
		}
		b.ReportMetric(units*days*events*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
