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
	"weir/schemas/tail"
)

const benchEvents = 400_000

// benchFiles has a lake of zstd files with benchEvents events that arrived
// on one day.
func benchFiles(b *testing.B, bucket Bucket) (*Files, Period) {
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
	f, err := New(Config{Builds: 1, DeflateLevel: 1}, Deps{Registry: reg, Lake: l, Owners: owners, Views: views, Bucket: bucket, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	day := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	rng := rand.New(rand.NewPCG(3, 4))
	for n, size := 0, benchEvents/4; n < benchEvents; n += size {
		recs := benchRecords(rng, day, n, size)
		files, err := l.WriteEvents(ctx, 0, recs)
		if err != nil {
			b.Fatal(err)
		}
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

func benchRecords(rng *rand.Rand, day time.Time, first, events int) []arrow.Record {
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
	f, day := benchFiles(b, discardBucket{peak: &peak})
	v, err := f.views.Plan(b.Context(), view.Request{LakeOnly: true})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	for _, kind := range []Kind{RawEvents(), CustomEvents()} {
		job := buildJob{kind: kind, product: 1001, period: day, rows: v.Events(b.Context(), kind.Columns, arrivedIn(day, 1001))}
		var content bytes.Buffer
		if rows, err := kind.WriteCSV(b.Context(), &content, job.rows); err != nil || rows != benchEvents {
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
			for _, err := range job.rows {
				if err != nil {
					return err
				}
			}
			return nil
		})
		run("file", func() error { return f.stream(b.Context(), job, &registry.ExportFile{Key: "x"}) })
		run("deflate only", func() error {
			_, err := WriteZip(b.Context(), io.Discard, f.member(job, time.Now()), func(_ context.Context, w io.Writer) error {
				_, err := w.Write(content.Bytes())
				return err
			})
			return err
		})
	}
}

// heap is what lies on the heap, garbage that is not collected yet included.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
