package lake_test

import (
	"context"
	"io"
	"iter"
	"testing"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// nowhere takes what is put and keeps nothing.
type nowhere struct{ lake.ObjectStore }

func (nowhere) Put(context.Context, string, []byte) error { return nil }

func (nowhere) List(context.Context, string) iter.Seq2[lake.Object, error] { return nil }

const benchRows = 200_000

func BenchmarkWriteEvents(b *testing.B) {
	for _, codec := range []string{"zstd", "snappy"} {
		b.Run(codec, func(b *testing.B) {
			l := laketest.Lake(b, lake.Config{Compression: codec})
			batches := newTraffic(1, 5000).batches(b, 0, 0, benchRows, 4096)
			b.ReportAllocs()
			size := int64(0)
			for b.Loop() {
				files, err := l.WriteEvents(b.Context(), 0, batches)
				if err != nil {
					b.Fatal(err)
				}
				size = files[0].Bytes
			}
			b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(size)/benchRows, "B/row")
		})
	}
	_ = io.Discard
}
