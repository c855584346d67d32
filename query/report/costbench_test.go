package report

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"weir/schemas/rollup"
)

// BenchmarkLargestQuestions asks the largest questions that pass of 400,000
// clients that were active on 20 days each: 8 million client days. Clients are
// in all segments, except where they are scattered: then each is active on days
// of its own in ten years, and in half of the segments. It reports the CPU time of
// all threads, that of the collector included, and the largest heap in use. "rows
// alone" is what it takes to make the rows.
func BenchmarkLargestQuestions(b *testing.B) {
	const days, clients = 20, 400_000
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	level := func(property string, segments, step int) map[string]any {
		var all []any
		for i := range segments {
			all = append(all, map[string]any{"type": "numberRange", "min": i * step, "segmentLabel": fmt.Sprint("s", i)})
		}
		return map[string]any{"property": property, "segments": all}
	}
	three := func(segments int) map[string]any {
		l := level("lifetimeSessionCount", segments, 0)
		return map[string]any{"level1": l, "level2": l, "level3": l}
	}
	for _, c := range []struct {
		name      string
		body      map[string]any
		scattered int // days
		want      []any
	}{
		{"ten years by day, 100 segments", map[string]any{"startDate": "NOW-3652", "dateSplit": "day", "levels": map[string]any{"level1": level("lifetimeSessionCount", 100, 0)}}, 0, nil},
		{"scattered over ten years by day, 100 segments", map[string]any{"startDate": "NOW-3652", "dateSplit": "day", "levels": map[string]any{"level1": level("lifetimeSessionCount", 100, 10)}}, 3653, nil},
		{"scattered over ten years by day, 300 segments", map[string]any{"startDate": "NOW-3652", "dateSplit": "day", "levels": map[string]any{"level1": level("lifetimeSessionCount", 300, 3)}}, 3653, []any{"active"}},
		{"three levels of 20", map[string]any{"startDate": "NOW-19", "levels": three(20)}, 0, nil},
		{"three levels of 45", map[string]any{"startDate": "NOW-19", "levels": three(45)}, 0, nil},
		{"rows alone", nil, 0, nil},
		{"scattered rows alone", nil, 3653, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			src := &manyClients{clients: clients, days: days, first: DayOf(now) - days + 1, scattered: c.scattered}
			source := &watchedSource{Source: src}
			start := cpuSeconds(b)
			for b.Loop() {
				if c.body == nil {
					drain(src.Clients(b.Context(), Scan{}))
					drain(src.Days(b.Context(), Scan{}))
					continue
				}
				c.body["stopDate"], c.body["clientStatus"] = "NOW", []any{"new", "active"}
				if c.want != nil {
					c.body["clientStatus"] = c.want
				}
				text, err := json.Marshal(c.body)
				if err != nil {
					b.Fatal(err)
				}
				var asked Body
				if err := json.Unmarshal(text, &asked); err != nil {
					b.Fatal(err)
				}
				q, err := NewDateRange(&asked, Params{Now: now})
				if err == nil {
					err = q.Check()
				}
				if err != nil {
					b.Fatal(err)
				}
				if _, err := q.Answer(b.Context(), source); err != nil {
					b.Fatal(err)
				}
				source.check()
			}
			b.ReportMetric((cpuSeconds(b)-start)/float64(b.N), "cpu-s/op")
			b.ReportMetric(float64(source.largest)/(1<<20), "live-MiB")
			b.ReportMetric(float64(source.scans)/float64(b.N), "scans/op")
		})
	}
}

func drain[B any](all iter.Seq2[*B, error]) {
	for range all {
	}
}

// cpuSeconds returns the CPU time that the process has used.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// watchedSource notes the heap in use with each batch.
type watchedSource struct {
	Source

	largest uint64
	scans   int
}

func (s *watchedSource) check() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	s.largest = max(s.largest, live[0].Value.Uint64())
}

func (s *watchedSource) Days(ctx context.Context, scan Scan) iter.Seq2[*rollup.DayBatch, error] {
	s.scans++
	return func(yield func(*rollup.DayBatch, error) bool) {
		for b, err := range s.Source.Days(ctx, scan) {
			s.check()
			if !yield(b, err) {
				return
			}
		}
	}
}

// dayOf returns the number of a day of a client: one of the first days, or with
// scattered one of that many days.
func (s *manyClients) dayOf(client, day int) int {
	if s.scattered == 0 {
		return day
	}
	return rand.New(rand.NewPCG(uint64(client), uint64(day))).IntN(s.scattered) + s.days - s.scattered
}
