package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
)

// benchBatches are events as a scan gives them: sorted by client, each client
// with a few $client objects.
func benchBatches(events int) []arrow.Record {
	rng := rand.New(rand.NewPCG(3, 4))
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	var all []arrow.Record
	for n := range events {
		client := int64(n / 40)
		category := []string{"File", "Edit", "View"}[rng.IntN(3)]
		value := decimal128.FromI64(rng.Int64N(1e6) * 1e6)
		e := schemas.Event{
			Product: 1001, Client: 1e15 + client*7919, Time: 1709284500000 + int64(n)*37, Name: "Open " + category,
			RandomID: fmt.Sprintf("%08x-%04x-%012x", rng.Uint32(), rng.Uint32()&0xffff, rng.Uint64()&0xffffffffffff),
			Category: &category, Value: &value, SessionID: fmt.Sprintf("s-%x", client*977), AppKey: "app",
			ClientProps: fmt.Appendf(nil, `{"prodEdition":"Pro","prodVersion":"3.%d","prodLanguage":"de","os.version":"MS Win 10","osWordLength":"64-bit","cpuCores":%d,"ram":8192,"geography.country":"DE"}`, client%50, 2+client%8),
			Properties:  fmt.Appendf(nil, `{"file":"document-%d.txt","size":%d,"readOnly":%t}`, rng.IntN(1e5), rng.IntN(1e6), n%2 == 0),
		}
		b.Append(&e, columns.Position{Shard: 1, Offset: int64(n), Arrival: 1709337600000 + int64(n)})
		if b.Len() == 8192 || n == events-1 {
			all = append(all, b.Batch())
		}
	}
	return all
}

// BenchmarkExport is the whole of an export but scan and upload, and the floor
// it is held against: the same bytes, deflated only.
func BenchmarkExport(b *testing.B) {
	const events = 200_000
	recs := benchBatches(events)
	rows := func(yield func(arrow.Record, error) bool) {
		for _, rec := range recs {
			if !yield(rec, nil) {
				return
			}
		}
	}
	m := member(runtime.GOMAXPROCS(0))
	for _, k := range []Kind{RawEvents(), CustomEvents()} {
		var content bytes.Buffer
		if _, err := writeCSV(b.Context(), k, &content, rows); err != nil {
			b.Fatal(err)
		}
		run := func(name string, once func() error) {
			b.Run(k.Code+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(content.Len()))
				for b.Loop() {
					if err := once(); err != nil {
						b.Fatal(err)
					}
				}
				perSecond := events * float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(perSecond, "rows/s")
				b.ReportMetric(perSecond/float64(runtime.GOMAXPROCS(0)), "rows/s/core")
			})
		}
		run("csv", func() error {
			_, err := writeCSV(b.Context(), k, io.Discard, rows)
			return err
		})
		run("csv+zip", func() error {
			_, err := WriteZip(b.Context(), io.Discard, m, func(ctx context.Context, w io.Writer) error {
				_, err := writeCSV(ctx, k, w, rows)
				return err
			})
			return err
		})
		run("deflate only", func() error {
			_, err := WriteZip(b.Context(), io.Discard, m, func(_ context.Context, w io.Writer) error {
				_, err := w.Write(content.Bytes())
				return err
			})
			return err
		})
	}
}
