package report

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// BenchmarkLargestQuestions asks the largest questions that pass of 400,000
// clients that were active on 20 days each: 8 million client days. All clients
// are in all segments.
func BenchmarkLargestQuestions(b *testing.B) {
	const days, clients = 20, 400_000
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	level := func(segments int) map[string]any {
		var all []any
		for i := range segments {
			all = append(all, map[string]any{"type": "numberRange", "min": 0, "segmentLabel": fmt.Sprint("s", i)})
		}
		return map[string]any{"property": "lifetimeSessionCount", "segments": all}
	}
	for name, body := range map[string]map[string]any{
		"ten years by day, 100 segments": {"startDate": "NOW-3652", "dateSplit": "day", "levels": map[string]any{"level1": level(100)}},
		"three levels of 20":             {"startDate": "NOW-19", "levels": map[string]any{"level1": level(20), "level2": level(20), "level3": level(20)}},
	} {
		b.Run(name, func(b *testing.B) {
			body["stopDate"], body["clientStatus"] = "NOW", []any{"new", "active"}
			text, err := json.Marshal(body)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				var asked Body
				if err := json.Unmarshal(text, &asked); err != nil {
					b.Fatal(err)
				}
				q, err := NewDateRange(&asked, Params{Now: now})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := q.Answer(b.Context(), &manyClients{clients: clients, days: days, first: DayOf(now) - days + 1}); err != nil {
					b.Fatal(err)
				}
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heap-MiB")
			}
		})
	}
}
