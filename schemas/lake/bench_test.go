package lake_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
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

// cpuTime returns the processor time that this process has used, which other
// load on the machine changes less than wall time.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkScan reads data files back: three columns, all columns, one client
// of 5,000, 500 of them, and the floor under the first, the same pages read by parquet-go
// and looked at no further.
func BenchmarkScan(b *testing.B) {
	w := laketest.New()
	l, err := w.Open(b.Context(), lake.Config{})
	if err != nil {
		b.Fatal(err)
	}
	files, err := l.WriteEvents(b.Context(), 0, newTraffic(1, 5000).batches(b, 0, 0, benchRows, 4096))
	if err != nil {
		b.Fatal(err)
	}
	three := []string{columns.ClientID, columns.Time, columns.Name}
	measure := func(name string, rows int, scan func(b *testing.B) int) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			cpu := cpuTime(b)
			for b.Loop() {
				if got := scan(b); got != rows {
					b.Fatalf("%d rows, want %d", got, rows)
				}
			}
			b.ReportMetric(benchRows*float64(b.N)/(cpuTime(b)-cpu).Seconds(), "rows/cpu-s")
		})
	}
	measure("three", benchRows, func(b *testing.B) int {
		return countRows(b, l.ScanEvents(b.Context(), files, three, columns.Filter{}))
	})
	body, err := w.Store.Get(b.Context(), files[0].Path)
	if err != nil {
		b.Fatal(err)
	}
	measure("three/floor", benchRows, func(b *testing.B) int { return readPages(b, body, three) })
	measure("all", benchRows, func(b *testing.B) int {
		return countRows(b, l.ScanEvents(b.Context(), files, nil, columns.Filter{}))
	})
	measure("all/floor", benchRows, func(b *testing.B) int { return readPages(b, body, nil) })
	one := columns.Filter{Clients: []int64{77<<32 + 7}}
	measure("client", countRows(b, l.ScanEvents(b.Context(), files, nil, one)), func(b *testing.B) int {
		return countRows(b, l.ScanEvents(b.Context(), files, nil, one))
	})
	some := columns.Filter{}
	for client := range int64(500) {
		some.Clients = append(some.Clients, (1+10*client)<<32+7)
	}
	measure("clients", countRows(b, l.ScanEvents(b.Context(), files, three, some)), func(b *testing.B) int {
		return countRows(b, l.ScanEvents(b.Context(), files, three, some))
	})
}

// BenchmarkCount counts the rows of one name, and those of a text that each client
// has its own of: of both, a value of a dictionary is judged once.
func BenchmarkCount(b *testing.B) {
	l := laketest.Lake(b, lake.Config{})
	files, err := l.WriteEvents(b.Context(), 0, newTraffic(1, 5000).batches(b, 0, 0, benchRows, 4096))
	if err != nil {
		b.Fatal(err)
	}
	for column, want := range map[string]string{columns.Name: "commit", columns.User: `{"id":"u77","realm":["webmail"],"groups":["all","core"]}`} {
		b.Run(column, func(b *testing.B) {
			b.ReportAllocs()
			judged := 0
			for b.Loop() {
				n, err := lake.CountEvents(b.Context(), l, files, columns.Filter{}, lake.TextFilter{Column: column, Matches: func(text string) bool {
					judged++
					return text == want
				}})
				if err != nil || n == 0 {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(float64(judged)/float64(b.N)/benchRows, "judged/row")
		})
	}
}

// BenchmarkPruning reads one day of a file that has a month of many products, and
// reports how many rows it decodes for each row of that day.
func BenchmarkPruning(b *testing.B) {
	l := laketest.Lake(b, lake.Config{})
	g := newTraffic(1, 5000)
	g.start, g.step, g.products = 1_698_796_800_000, 30*testDayMS/benchRows, 12 // all of November
	files, err := l.WriteEvents(b.Context(), 0, g.batches(b, 0, 0, benchRows, 4096))
	if err != nil {
		b.Fatal(err)
	}
	day := columns.Filter{TimeFrom: g.start - 10*testDayMS, TimeTo: g.start - 9*testDayMS}
	b.ReportAllocs()
	rows, before := 0, lake.DecodedOf(l)
	for b.Loop() {
		rows += countRows(b, l.ScanEvents(b.Context(), files, []string{columns.Time}, day))
	}
	b.ReportMetric(float64(lake.DecodedOf(l)-before)/float64(rows), "decoded/row")
}

// readPages reads the pages of some columns and returns how many rows they
// have.
func readPages(b *testing.B, body []byte, names []string) (rows int) {
	b.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		b.Fatal(err)
	}
	for _, g := range f.RowGroups() {
		for i, chunk := range g.ColumnChunks() {
			if names != nil && !slices.Contains(names, f.Root().Columns()[i].Name()) {
				continue
			}
			pages := chunk.Pages()
			for {
				page, err := pages.ReadPage()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				_ = page.Data()
				parquet.Release(page)
			}
			if err := pages.Close(); err != nil {
				b.Fatal(err)
			}
		}
		rows += int(g.NumRows())
	}
	return rows
}

// BenchmarkRollups reads a cut's rollup rows back as rows, and merges the data
// files of eight cuts.
func BenchmarkRollups(b *testing.B) {
	l := laketest.Lake(b, lake.Config{})
	g := newTraffic(1, 20_000)
	var days, eventDays, events []lake.DataFile
	for cut := range int64(8) {
		set, batches := rollup.NewSet(), g.batches(b, 0, cut*benchRows/8, benchRows/8, 4096)
		for _, rec := range batches {
			if err := set.AddBatch(rec); err != nil {
				b.Fatal(err)
			}
		}
		files, err := l.WriteRollups(b.Context(), 0, set, lake.ClientDays, lake.EventDays)
		if err != nil {
			b.Fatal(err)
		}
		days, eventDays = append(days, files[lake.ClientDays]...), append(eventDays, files[lake.EventDays]...)
		more, err := l.WriteEvents(b.Context(), 0, batches)
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, more...)
	}
	measure := func(name string, files []lake.DataFile, do func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			rows, cpu := int64(0), cpuTime(b)
			for _, f := range files {
				rows += f.Rows
			}
			for b.Loop() {
				do(b)
			}
			b.ReportMetric(float64(rows)*float64(b.N)/(cpuTime(b)-cpu).Seconds(), "rows/cpu-s")
		})
	}
	measure("scan client days", days, func(b *testing.B) {
		for _, err := range l.ScanClientDays(b.Context(), days, columns.Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	batches := func(t lake.Table, files []lake.DataFile, names ...string) func(*testing.B) {
		return func(b *testing.B) {
			for _, err := range l.ScanRollup(b.Context(), t, files, names, columns.Filter{Products: []int64{1001, 1002, 1003}}) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	measure("numbers of client days", days, batches(lake.ClientDays, days, "client_id", "day", "sessions", "runtime_ms"))
	measure("properties of client days", days, batches(lake.ClientDays, days, "client_id", "day", "properties"))
	measure("counts of event days", eventDays, batches(lake.EventDays, eventDays, "client_id", "day", "category", "name", "count"))
	merge := func(t lake.Table, files []lake.DataFile) func(*testing.B) {
		return func(b *testing.B) {
			if _, err := l.Merge(b.Context(), t, files); err != nil {
				b.Fatal(err)
			}
		}
	}
	measure("merge client days", days, merge(lake.ClientDays, days))
	measure("merge events", events, merge(lake.Events, events))
}
