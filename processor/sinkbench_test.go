package processor

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/parquet-go/parquet-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	"weir/processor/dedupe"
	"weir/schemas"
	"weir/schemas/eventpb"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/topic"
)

const (
	sinkCuts    = 4
	sinkCutRows = 40 << 10 // fewer than the 74,000 that the default of Config.GatherBytes gives a shard of four: commits weigh more here
	sinkSamples = sinkCuts * sinkCutRows
)

// BenchmarkSink takes records of one shard from bytes to commits, as the processor
// does: live ones of one hour, and a history of two years. It reports the processor
// time of each stage per million events, and the ratio to a floor that is run in
// turns with it. Stages are told apart by a profile of the whole, which has 100
// samples a second: -benchtime 20x gives figures to about a twentieth.
//
//	go test ./processor -run '^$' -bench '^BenchmarkSink$' -benchtime 20x
func BenchmarkSink(b *testing.B) {
	for _, shape := range []struct {
		name string
		step int64 // milliseconds from one session to the next
	}{{"live", 400}, {"history", 7 * 3_600_000}} {
		b.Run(shape.name, func(b *testing.B) {
			records := sinkRecords(shape.step)
			profile := stageProfile{}
			var sink, floor time.Duration
			for b.Loop() {
				l := laketest.Lake(b, lake.Config{})
				sink += profile.measure(b, func() { runSink(b, l, records) })
				floor += processorTime(b, func() { runSinkFloor(b, records) })
			}
			events := float64(b.N) * sinkSamples / 1e6
			profile.report(b, sink.Seconds()/events)
			b.ReportMetric(sink.Seconds()/floor.Seconds(), "×floor")
			b.ReportMetric(sink.Seconds()/events, "s/M")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// sinkRecords returns records like those of a product with thousands of clients:
// sessions of ten events, whose client and user are the same in each, and one
// session after the other. Every 500th record is sent twice.
func sinkRecords(step int64) []*kgo.Record {
	r := rand.New(rand.NewPCG(1, 2))
	start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	records := make([]*kgo.Record, 0, sinkSamples)
	for session := int64(0); len(records) < sinkSamples; session++ {
		client, at := 1+r.Int64N(6000), start.UnixMilli()+session*step
		for n := range 10 {
			e := sinkEvent(r, client, session, n)
			e.Time = at + int64(n)*r.Int64N(20_000)
			records = append(records, sinkRecord(start, len(records), &e))
			if r.IntN(500) == 0 {
				records = append(records, sinkRecord(start, len(records), &e))
			}
		}
	}
	return records[:sinkSamples]
}

func sinkEvent(r *rand.Rand, client, session int64, n int) schemas.Event {
	e := schemas.Event{
		Product: 1001, Client: client<<32 + 7, Name: []string{"edit", "edit", "edit", "commit", "open", "search"}[r.IntN(6)],
		RandomID:  fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<16), r.Int64N(1<<48)),
		SessionID: fmt.Sprintf("9cc48ec0-8eea-c1e0-%04x-%012x", client, session), AppVersion: fmt.Sprintf("v1.%d.0", client%5),
		User:        fmt.Appendf(nil, `{"id":"u%d","realm":["webmail"],"groups":["all","core"]}`, client<<32+7),
		ClientProps: fmt.Appendf(nil, `{"prodVersion":"v1.%d.0","prodEdition":"webmail","C01":"-0700"}`, client%5),
	}
	switch n {
	case 0:
		e.Name = schemas.SessionStart
		return e
	case 9:
		e.Name, e.RuntimeMS = schemas.SessionStop, new(r.Int64N(3_600_000))
		return e
	}
	e.Category = new([]string{"vcs", "config", "(root)"}[r.IntN(3)])
	switch e.Name {
	case "edit":
		e.Value = new(decimal128.FromI64(r.Int64N(100) * 1_000_000_000))
		e.Properties = fmt.Appendf(nil, `{"language":"%s","op":"add"}`, []string{"Go", "C", "Other"}[r.IntN(3)])
	case "commit":
		e.Properties = fmt.Appendf(nil, `{"files":%d,"merge":false}`, r.IntN(40))
	}
	return e
}

func sinkRecord(start time.Time, n int, e *schemas.Event) *kgo.Record {
	return &kgo.Record{
		Topic: topic.Name, Offset: int64(n), Timestamp: start.Add(time.Duration(n) * time.Millisecond),
		Key: topic.Key(nil, e.Product, e.Client), Value: topic.Append(nil, e),
	}
}

// runSink gathers records as one shard of l, and writes and commits a cut whenever it
// has sinkCutRows of them.
func runSink(b *testing.B, l *lake.Lake, records []*kgo.Record) {
	w := &worker{lake: l, encodeSlots: make(chan struct{}, 1)}
	g := &gatherer{
		dedupe: dedupe.New(24*time.Hour, 0, b.TempDir(), func() int64 { return 64 << 20 }),
		buffer: &tailBuffer{}, crcTable: crc32.MakeTable(crc32.Castagnoli),
	}
	defer g.dedupe.Close()
	g.buffer.start(memory.DefaultAllocator, lake.ShardState{})
	defer g.buffer.stop()
	for cut := range slices.Chunk(records, sinkCutRows) {
		takeAll(b, g, cut)
		c, files := g.seal(time.Now()), map[lake.Table][]lake.DataFile{}
		if err := w.writeFiles(b.Context(), c, files); err != nil {
			b.Fatal(err)
		}
		for _, t := range lake.Tables() {
			outcomes, err := l.Commit(b.Context(), t, cutsFor(t, []*submission{{cut: c, files: files}}))
			if err != nil || outcomes[0] != lake.Committed {
				b.Fatal(outcomes, err)
			}
		}
		release(c.rows)
		g.buffer.dropCommitted()
	}
	if got := g.state.Counters; got.Stored+got.Duplicates != int64(len(records)) || got.Duplicates == 0 {
		b.Fatalf("counters are %+v", got)
	}
}

// floorEvent is an event as a data file by hand would have it.
type floorEvent struct {
	Product    int64  `parquet:"product_id,dict"`
	Client     int64  `parquet:"client_id,dict"`
	Day        int32  `parquet:"day,date"`
	Time       int64  `parquet:"time,timestamp(millisecond)"`
	Name       string `parquet:"name,dict"`
	Category   string `parquet:"category,dict"`
	Value      *int64 `parquet:"value,optional"`
	Runtime    *int64 `parquet:"runtime_ms,optional"`
	Session    string `parquet:"session_id,dict"`
	RandomID   string `parquet:"random_id"`
	AppVersion string `parquet:"app_version,dict"`
	User       string `parquet:"user,dict"`
	Props      string `parquet:"client,dict"`
	Properties string `parquet:"properties"`
}

// runSinkFloor is what one would write by hand: records decoded by the generated code,
// sorted, and written as one Parquet file by parquet-go. It checks nothing, knows no
// duplicates, keeps no rollups and commits nothing.
func runSinkFloor(b *testing.B, records []*kgo.Record) {
	rows := make([]floorEvent, 0, len(records))
	var r eventpb.Record
	for _, record := range records {
		if err := proto.Unmarshal(record.Value, &r); err != nil {
			b.Fatal(err)
		}
		row := floorEvent{
			Product: r.GetProductId(), Client: r.GetClientId(), Day: int32(r.GetTimeMs() / 86_400_000), Time: r.GetTimeMs(), Name: r.GetName(),
			Category: r.GetCategory(), Runtime: r.RuntimeMs, Session: r.GetSessionId(), RandomID: r.GetRandomId(), AppVersion: r.GetAppVersion(),
			User: string(r.GetUser()), Props: string(r.GetClient()), Properties: string(r.GetProperties()),
		}
		if v := r.GetValue(); v != nil {
			row.Value = new(int64(v.GetLo()))
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b floorEvent) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Day, b.Day), cmp.Compare(a.Client, b.Client), cmp.Compare(a.Time, b.Time))
	})
	var body bytes.Buffer
	w := parquet.NewGenericWriter[floorEvent](&body, parquet.Compression(&parquet.Zstd))
	if _, err := w.Write(rows); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, &body)
}

// processorTime returns the processor time that the process uses while do runs, its
// garbage collection with it. It begins with a collected heap.
func processorTime(b *testing.B, do func()) time.Duration {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	runtime.GC()
	before := used()
	do()
	return used() - before
}
