package export

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/decimal128"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/registry"
	"weir/schemas/rollup"
	"weir/schemas/tail"
)

const benchEvents = 400_000

var benchDay = time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)

// benchFiles has a lake of zstd files with benchEvents events that arrived
// on one day; one of reportedBy events has $client.
func benchFiles(b *testing.B, bucket Bucket, reportedBy int) (*Files, Period) {
	b.Helper()
	ctx, log := b.Context(), slog.New(slog.DiscardHandler)
	reg, err := registry.Open(ctx, "sqlite:"+filepath.Join(b.TempDir(), "registry.db"), log)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { reg.Close() })
	l := laketest.Lake(b, lake.Config{})
	owners := view.NewOwners(reg)
	views, err := view.NewReader(view.Config{MaxScans: 1}, view.Deps{Lake: l, Tail: tail.NewClient(tail.Config{}), Owners: owners, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	f, err := New(Config{Builds: 1, DeflateLevel: 1, ClientBytes: 128 << 20}, Deps{Registry: reg, Lake: l, Owners: owners, Views: views, Bucket: bucket, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	day := benchDay
	rng := rand.New(rand.NewPCG(3, 4))
	for n, size := 0, benchEvents/4; n < benchEvents; n += size {
		recs := benchRecords(rng, day, n, size, reportedBy)
		files, err := l.WriteEvents(ctx, 0, recs)
		if err != nil {
			b.Fatal(err)
		}
		benchRollUp(b, l, int64(n), int64(n+size), recs)
		for _, rec := range recs {
			rec.Release()
		}
		to := lake.ShardState{Next: int64(n + size), LogTime: day.UnixMilli(), Counters: lake.Counters{Stored: int64(n + size)}}
		cut := lake.Cut{ID: fmt.Sprint(n), From: int64(n), To: to, Files: files, Sealed: time.Now()}
		if out, err := l.Commit(ctx, lake.Events, []lake.Cut{cut}); err != nil || out[0] != lake.Committed {
			b.Fatalf("commit: %v, %v", out, err)
		}
	}
	return f, DayOf(day)
}

// benchRollUp commits the client days and clients of recs, and of the first also 30
// days before: their events are not there.
func benchRollUp(b *testing.B, l *lake.Lake, from, to int64, recs []arrow.Record) {
	b.Helper()
	set := rollup.NewSet()
	for _, rec := range recs {
		if err := set.AddBatch(rec); err != nil {
			b.Fatal(err)
		}
	}
	for back := 1; back <= 30 && from == 0; back++ {
		for _, rec := range benchRecords(rand.New(rand.NewPCG(7, 8)), benchDay.AddDate(0, 0, -back), 0, 20_000, 1) {
			if err := set.AddBatch(rec); err != nil {
				b.Fatal(err)
			}
			rec.Release()
		}
	}
	for _, t := range valueTables() {
		files, err := l.WriteRollups(b.Context(), 0, set, t)
		if err != nil {
			b.Fatal(err)
		}
		cut := lake.Cut{ID: fmt.Sprint(t, to), From: from, To: lake.ShardState{Next: to}, Files: files[t], Sealed: time.Now()}
		if out, err := l.Commit(b.Context(), t, []lake.Cut{cut}); err != nil || out[0] != lake.Committed {
			b.Fatalf("commit of %s: %v, %v", t, out, err)
		}
	}
}

func benchRecords(rng *rand.Rand, day time.Time, first, events, reportedBy int) []arrow.Record {
	rows := columns.NewBuilder(memory.DefaultAllocator)
	defer rows.Release()
	var recs []arrow.Record
	for n := first; n < first+events; n++ {
		client := rng.Int64N(10_000)
		category, value := []string{"File", "Edit", "View"}[rng.IntN(3)], decimal128.FromI64(rng.Int64N(1e6)*1e6)
		e := schemas.Event{
			Product: 1001, Client: 1e15 + client*7919, Time: day.UnixMilli() + int64(n)*37, Name: "Open " + category,
			RandomID: fmt.Sprintf("%08x-%04x-%012x", rng.Uint32(), rng.Uint32()&0xffff, rng.Uint64()&0xffffffffffff),
			Category: &category, Value: &value, SessionID: fmt.Sprintf("s-%x", client*977), AppKey: "app",
			ClientProps: fmt.Appendf(nil, `{"prodEdition":"Pro","prodVersion":"3.%d","prodLanguage":"de","os.version":"MS Win 10","osWordLength":"64-bit","cpuCores":%d,"ram":8192,"geography.country":"DE"}`, client%50, 2+client%8),
			Properties:  fmt.Appendf(nil, `{"file":"document-%d.txt","size":%d,"readOnly":%t}`, rng.IntN(1e5), rng.IntN(1e6), n%2 == 0),
		}
		if n%reportedBy > 0 {
			e.ClientProps = nil
		}
		rows.Append(&e, columns.Position{Offset: int64(n), Arrival: day.UnixMilli()})
		if rows.Len() == 1<<14 || n == first+events-1 {
			recs = append(recs, rows.Batch())
		}
	}
	return recs
}

// discardBucket keeps nothing of what it is given. It looks now and then how
// much lies on the heap.
type discardBucket struct {
	Bucket
	peak *uint64
}

func (d discardBucket) Upload(_ context.Context, _ string, r io.Reader) (int64, error) {
	var all int64
	for {
		n, err := io.CopyN(io.Discard, r, 2<<20)
		all += n
		*d.peak = max(*d.peak, heap())
		if err == io.EOF { //nolint:errorlint // CopyN returns it bare
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// BenchmarkExportFile is a whole export: scan of the lake, CSV, deflate,
// upload to nowhere. The floor is the same bytes, deflated only.
func BenchmarkExportFile(b *testing.B) {
	var peak uint64
	f, day := benchFiles(b, discardBucket{peak: &peak}, 1)
	v, err := f.views.Plan(b.Context(), view.Request{LakeOnly: true, Rollups: valueTables()})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	for _, kind := range []Kind{RawEvents(), CustomEvents()} {
		job := scanJob(v, kind, 1001, day, f.cfg.ClientBytes)
		events := v.Events(b.Context(), kind.Columns, arrivedIn(day, 1001))
		var content bytes.Buffer
		if rows, _, err := job.write(b.Context(), &content); err != nil || rows != benchEvents {
			b.Fatalf("%d rows, %v", rows, err)
		}
		run := func(name string, once func() error) {
			b.Run(kind.Code+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(content.Len()))
				runtime.GC()
				before := heap()
				peak = before
				for b.Loop() {
					if err := once(); err != nil {
						b.Fatal(err)
					}
				}
				perSecond := benchEvents * float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(perSecond, "rows/s")
				b.ReportMetric(perSecond/float64(runtime.GOMAXPROCS(0)), "rows/s/core")
				b.ReportMetric(float64(peak-before)/(1<<20), "heap-MiB")
			})
		}
		run("scan", func() error {
			for _, err := range events {
				if err != nil {
					return err
				}
			}
			return nil
		})
		run("file", func() error {
			_, err := f.stream(b.Context(), job, &registry.ExportFile{Key: "x"})
			return err
		})
		run("deflate only", func() error {
			_, err := WriteZip(b.Context(), io.Discard, f.member(job, time.Now()), func(_ context.Context, w io.Writer) error {
				_, err := w.Write(content.Bytes())
				return err
			})
			return err
		})
	}
}

// BenchmarkClientValues holds whole exports with the properties of clients at each
// event against exports with those that each event reports itself: where every event
// has $client, where one of 20 has, and with little memory.
func BenchmarkClientValues(b *testing.B) {
	for _, reportedBy := range []int{1, 20} {
		var peak uint64
		f, day := benchFiles(b, discardBucket{peak: &peak}, reportedBy)
		v, err := f.views.Plan(b.Context(), view.Request{LakeOnly: true, Rollups: valueTables()})
		if err != nil {
			b.Fatal(err)
		}
		run := func(kind Kind, memory int64) {
			b.Run(fmt.Sprintf("%s/one of %d/%d MiB", kind.Code, reportedBy, memory>>20), func(b *testing.B) {
				with, without := scanJob(v, kind, 1001, day, memory), scanJob(v, kind, 1001, day, memory)
				without.write = func(ctx context.Context, w io.Writer) (int64, int, error) {
					n, err := writeCSV(ctx, kind, w, v.Events(ctx, scanColumns(kind.Columns), arrivedIn(day, 1001)))
					return n, 1, err
				}
				passes := 0
				took := func(job buildJob) time.Duration {
					start := time.Now()
					var err error
					if passes, err = f.stream(b.Context(), job, &registry.ExportFile{Key: "x"}); err != nil {
						b.Fatal(err)
					}
					return time.Since(start)
				}
				var all, own time.Duration
				for b.Loop() {
					own += took(without)
					all += took(with)
				}
				b.ReportMetric(float64(all)/float64(own), "ratio")
				b.ReportMetric(benchEvents*float64(b.N)/all.Seconds(), "rows/s")
				b.ReportMetric(float64(passes), "passes")
			})
		}
		run(CustomEvents(), 128<<20)
		run(RawEvents(), 128<<20)
		run(CustomEvents(), 1<<20)
		v.Close()
	}
}

// heap is what lies on the heap, garbage that is not collected yet included.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
