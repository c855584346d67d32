package lake_test

import (
	"syscall"
	"testing"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

const benchRows = 200_000

func BenchmarkWriteEvents(b *testing.B) {
	for _, codec := range []string{"zstd", "snappy"} {
		b.Run(codec, func(b *testing.B) {
			l := laketest.Lake(b, lake.Config{Compression: codec})
			batches := newTraffic(1, 5000).batches(b, 0, 0, benchRows, 4096)
			b.ReportAllocs()
			size, cpu := int64(0), cpuTime(b)
			for b.Loop() {
				files, err := l.WriteEvents(b.Context(), 0, batches)
				if err != nil {
					b.Fatal(err)
				}
				size = files[0].Bytes
			}
			b.ReportMetric(float64(benchRows)*float64(b.N)/(cpuTime(b)-cpu).Seconds(), "rows/cpu-s")
			b.ReportMetric(float64(size)/benchRows, "B/row")
		})
	}
}

// cpuTime is what this process has used of the processor: the measure on a
// machine that does other things too.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
