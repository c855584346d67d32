package processor

import (
	"fmt"
	"hash/crc32"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/processor/dedupe"
	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
	"weir/schemas/topic"
)

const samples = 50_000

// sampleRecords returns records as the edge writes them, about 250 bytes each: a
// few thousand clients, a few event names, sessions with their start and stop.
func sampleRecords() []*kgo.Record {
	category := "navigation"
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	names := []string{"page_view", "search", "open", "save", "session_start", "session_stop"}
	records := make([]*kgo.Record, samples)
	for i := range records {
		e := schemas.Event{
			Product: 1001, Client: int64(i*7919%5000 + 1), Time: start.UnixMilli() + int64(i)*20,
			Name: names[i*31%len(names)], RandomID: fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i),
			Category: &category, SessionID: fmt.Sprintf("s-%d", i/20), AppName: "demo", AppVersion: "1.4.2", UILocale: "en-GB",
			ClientProps: []byte(`{"prodVersion":"1.4.2","os.platform":"linux"}`),
			Properties:  fmt.Appendf(nil, `{"page":"/docs/%d","took":%d,"ok":true}`, i%97, i%1000),
		}
		if i%4 == 0 {
			v := decimal128.FromI64(int64(i) * 1_000_000_000)
			e.Value = &v
		}
		if e.Name == schemas.SessionStop {
			ms := int64(i % 60_000)
			e.RuntimeMS = &ms
		}
		records[i] = &kgo.Record{
			Topic: topic.Name, Offset: int64(i), Timestamp: start.Add(time.Duration(i) * time.Millisecond),
			Key: topic.Key(nil, e.Product, e.Client), Value: topic.Append(nil, &e),
		}
	}
	return records
}

// newTestGatherer returns a gatherer at offset 0 of an empty shard.
func newTestGatherer(tb testing.TB) *gatherer {
	g := &gatherer{
		dedupe: dedupe.New(24*time.Hour, 0, tb.TempDir(), func() int64 { return 16 << 20 }),
		buffer: &tailBuffer{}, crcTable: crc32.MakeTable(crc32.Castagnoli),
	}
	g.buffer.start(memory.DefaultAllocator, lake.ShardState{})
	return g
}

func takeAll(tb testing.TB, g *gatherer, records []*kgo.Record) {
	for rest := records; len(rest) > 0; {
		n, err := g.gather(rest[:min(recordsPerStep, len(rest))], time.Now())
		if err != nil {
			tb.Fatal(err)
		}
		rest = rest[n:]
	}
}

// BenchmarkDecodeOnly decodes the same bytes and drops them: the lower bound of
// the benchmarks below.
func BenchmarkDecodeOnly(b *testing.B) {
	records := sampleRecords()
	var d topic.Decoder
	var e schemas.Event
	for b.Loop() {
		for _, r := range records {
			if _, err := d.Decode(r.Value, &e); err != nil {
				b.Fatal(err)
			}
		}
	}
	perSecond(b)
}

// BenchmarkGather decodes, looks up duplicates, and appends to columns.
func BenchmarkGather(b *testing.B) {
	records := sampleRecords()
	for b.Loop() {
		g := newTestGatherer(b)
		takeAll(b, g, records)
		release(g.seal(time.Now()).rows)
		g.buffer.stop()
		g.dedupe.Close()
	}
	perSecond(b)
}

// BenchmarkGatherRollup adds the rollups of the cut to BenchmarkGather.
func BenchmarkGatherRollup(b *testing.B) {
	records := sampleRecords()
	for b.Loop() {
		g := newTestGatherer(b)
		takeAll(b, g, records)
		c := g.seal(time.Now())
		set := rollup.NewSet()
		for _, rows := range c.rows {
			if err := set.AddBatch(rows); err != nil {
				b.Fatal(err)
			}
		}
		release(c.rows)
		g.buffer.stop()
		g.dedupe.Close()
	}
	perSecond(b)
}

// BenchmarkCut makes a cut as the processor does, without the commits: decode, look
// up, append, and encode events and rollups as Parquet.
func BenchmarkCut(b *testing.B) {
	records := sampleRecords()
	l := laketest.Lake(b, lake.Config{})
	w := &worker{lake: l, encodeSlots: make(chan struct{}, 1)}
	for b.Loop() {
		g := newTestGatherer(b)
		takeAll(b, g, records)
		c := g.seal(time.Now())
		if err := w.writeFiles(b.Context(), c, map[lake.Table][]lake.DataFile{}); err != nil {
			b.Fatal(err)
		}
		release(c.rows)
		g.buffer.stop()
		g.dedupe.Close()
	}
	perSecond(b)
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N*samples)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}
