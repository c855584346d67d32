package tail

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
)

// BenchmarkFetch fetches narrow columns of a tail over a real connection.
func BenchmarkFetch(b *testing.B) {
	builder := columns.NewBuilder(memory.DefaultAllocator)
	defer builder.Release()
	const rows = 400_000
	src := kept{}
	for i := range int64(rows) {
		builder.Append(&schemas.Event{
			Product: 1 + i%2, Client: i % 999, Time: 1e12 + i, Name: fmt.Sprint("event-", i%20), RandomID: fmt.Sprint(i), Properties: []byte(`{"a":1}`),
		}, columns.Position{Offset: i})
		if builder.Len() == 8192 {
			src.recs = append(src.recs, builder.Batch())
		}
	}
	src.recs = append(src.recs, builder.Batch())
	src.next = rows
	s := httptest.NewServer(Handler(&src, secret))
	defer s.Close()
	c := NewClient(Config{Secret: secret})
	defer c.Close()
	for name, req := range map[string]Request{
		"all rows":          {Columns: []string{columns.Time, columns.Shard, columns.Offset, columns.Name}},
		"half of the rows":  {Columns: []string{columns.Time, columns.Shard, columns.Offset, columns.Name}, Filter: columns.Filter{Products: []int64{2}}},
		"a hundred offsets": {Columns: wantedColumns(), Rows: map[int32][]int64{0: hundred(rows)}},
	} {
		b.Run(name, func(b *testing.B) {
			req.From = map[int32]int64{0: 0}
			for b.Loop() {
				parts, err := c.Fetch(b.Context(), strings.TrimPrefix(s.URL, "http://"), req)
				if err != nil {
					b.Fatal(err)
				}
				release(parts)
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

func hundred(below int64) []int64 {
	var list []int64
	for i := range int64(100) {
		list = append(list, i*below/100)
	}
	return list
}

// kept is a Provider of one shard that returns the same batches each time.
type kept struct {
	recs []arrow.Record
	next int64
}

func (k *kept) Tail(int32, int64) (Part, error) {
	for _, rec := range k.recs {
		rec.Retain()
	}
	return Part{Next: k.next, Rows: slices.Clone(k.recs)}, nil
}
