package export

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/go-cmp/cmp"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/lake"
)

func batchesOf(recs ...arrow.Record) []arrow.Record { return recs }

// scannedContents are the files of a day as scans of their own write them, each of one
// product and kind: what the files of a pass must be, byte for byte.
func (w *dayWorld) scannedContents(day Period) map[string]string {
	w.t.Helper()
	ctx := w.t.Context()
	v, err := w.views.Plan(ctx, view.Request{LakeOnly: true, Rollups: valueTables()})
	if err != nil {
		w.t.Fatal(err)
	}
	defer v.Close()
	want, err := countByProduct(ctx, v, day)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]string{}
	for _, k := range Kinds() {
		for _, product := range productsOf(want, k.Code) {
			var text bytes.Buffer
			if _, _, err := scanJob(v, k, product, day, w.cfg.ClientBytes).write(ctx, &text); err != nil {
				w.t.Fatal(err)
			}
			out[k.FileName(product, day)] = text.String()
		}
	}
	return out
}

// TestFilesOfAPassAreThoseOfScans closes random days of random products, whose clients
// have the same ids, with rollups that are behind, and with memory for one pass, for
// several, and for hardly one product.
func TestFilesOfAPassAreThoseOfScans(t *testing.T) {
	for seed := range uint64(9) {
		memory := []int64{20 << 10, 60 << 10, 1 << 20}[seed%3]
		t.Run(fmt.Sprintf("seed %d, %d KiB", seed, memory>>10), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			products := make([]int64, 2+r.IntN(12))
			for i := range products {
				products[i] = 1000 + int64(i)*int64(1+r.IntN(3))
			}
			w := newDayWorld(t, memory)
			days := 1 + r.IntN(2)
			for n := 0; n < 8*(days+1); n++ {
				at := benchDay.Add(time.Duration(n) * 3 * time.Hour)
				var events []schemas.Event
				for range r.IntN(160) {
					if e := randomEvent(r, len(w.events)+len(events), at, products); int(e.Client%2) == n%2 {
						events = append(events, e)
					}
				}
				w.arrive(int32(n%2), at, events...)
			}
			for _, table := range valueTables() {
				for shard, st := range w.states {
					w.rollUp(table, shard, r.Int64N(st.Next+1))
				}
			}
			w.arrive(0, benchDay.AddDate(0, 0, days))
			w.arrive(1, benchDay.AddDate(0, 0, days))
			want := map[string]string{}
			for day := range days {
				maps.Copy(want, w.scannedContents(DayOf(benchDay.AddDate(0, 0, day))))
			}
			if err := w.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, w.closedContents()); diff != "" {
				t.Errorf("files (-of scans +of passes):\n%s", diff)
			}
			if len(want) < 2*len(products)-2 {
				t.Errorf("%d files of %d products show little", len(want), len(products))
			}
		})
	}
}

// TestLateOldValueIsNotTheLast: an event of long ago that came late, and that no rollup
// has yet, does not hide what was reported between it and the row.
func TestLateOldValueIsNotTheLast(t *testing.T) {
	w := newDayWorld(t, 1<<20)
	report := func(days, hour int, version string) schemas.Event {
		e := schemas.Event{Product: 1, Client: 2, Time: benchDay.AddDate(0, 0, days).UnixMilli() + int64(hour)*3_600_000, Name: "e" + version, RandomID: version}
		if version != "" {
			e.ClientProps = []byte(`{"prodVersion":"` + version + `"}`)
		}
		return e
	}
	w.arrive(0, benchDay.AddDate(0, 0, -1), report(-1, 0, "right"), report(1, 0, "later"))
	w.rollUpAll()
	w.arrive(0, benchDay.Add(time.Hour), report(0, 1, ""))
	w.arrive(0, benchDay.AddDate(0, 0, 1), report(-100, 0, "long ago"))
	w.arrive(1, benchDay.AddDate(0, 0, 1))
	if err := w.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	const row = "2024-03-01T01:00:00,2,,right,"
	if text := w.closedContents()["1_cust_2024-03-01.zip"]; !strings.Contains(text, row) {
		t.Errorf("file has no %q:\n%s", row, text)
	}
}

// manyProducts has products with rows of all kinds that arrived on benchDay, in data
// files of the size of a cut, and closes no day.
func manyProducts(t testing.TB, products, rowsOfEach, files int) *dayWorld {
	t.Helper()
	w := newDayWorld(t, 48<<20)
	r := rand.New(rand.NewPCG(5, 6))
	for file := range files {
		var events []schemas.Event
		for n := range products * rowsOfEach / files {
			product := 1000 + int64(n%products)
			at := benchDay.Add(time.Duration(file) * time.Minute)
			e := randomEvent(r, n, at, []int64{product})
			e.Client = product*100 + r.Int64N(10)
			events = append(events, e)
		}
		w.arrive(int32(file%2), benchDay.Add(time.Duration(file)*time.Minute), events...)
	}
	w.rollUpAll()
	for shard := range int32(2) {
		w.arrive(shard, benchDay.AddDate(0, 0, 1))
	}
	w.rollUpAll()
	return w
}

// scannedRows are the events that scans have yielded.
func (w *dayWorld) scannedRows() int64 {
	w.t.Helper()
	families, err := w.figures.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	rows := 0.0
	for _, f := range families {
		if f.GetName() == "weir_query_scanned_rows_total" {
			for _, m := range f.GetMetric() {
				rows += m.GetCounter().GetValue()
			}
		}
	}
	return int64(rows)
}

// TestDayIsReadOnce: closing a day of 1,000 products counts its rows in one scan of few
// columns and reads them in another, whatever the products and kinds, and decodes no
// page of a table twice for it.
func TestDayIsReadOnce(t *testing.T) {
	const products, each, files = 1000, 12, 4
	w := manyProducts(t, products, each, files)
	decoded := lake.DecodedOf(w.lake)
	if err := w.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	recorded, err := w.registry.ExportsWithin(t.Context(), "2024-03-01", "2024-03-01")
	if err != nil || len(recorded) < 2*products {
		t.Fatalf("%d files, %v", len(recorded), err)
	}
	if got, want := w.scannedRows(), int64(2*products*each); got != want {
		t.Errorf("scans yielded %d rows, want %d: each once to be counted and once to be written", got, want)
	}
	// Of a row: all columns, those that are counted, and what the filters of both and of
	// the rollups compare.
	perRow := int64(len(RawEvents().Columns) + 1 + 3 + 3)
	rollups := int64(4 * products * each * 8)
	if got, want := lake.DecodedOf(w.lake)-decoded, perRow*products*each+rollups; got > want {
		t.Errorf("%d values were decoded, want at most %d", got, want)
	}
}

// BenchmarkCloseDay builds the files of a day of 1,000 products and three kinds, and
// holds that against scans of their own for each file. Both put them to nowhere, and
// record them.
func BenchmarkCloseDay(b *testing.B) {
	const products, each, files = 1000, 20, 4
	w := manyProducts(b, products, each, files)
	var peak uint64
	w.Files.bucket = discardBucket{peak: &peak}
	ctx, day := b.Context(), DayOf(benchDay)
	v, err := w.views.Plan(ctx, view.Request{LakeOnly: true, Rollups: valueTables()})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	took := func(build func()) time.Duration {
		start := time.Now()
		build()
		return time.Since(start)
	}
	var alone, together time.Duration
	for b.Loop() {
		want, err := countByProduct(ctx, v, day)
		if err != nil {
			b.Fatal(err)
		}
		together += took(func() {
			w.dropped(b)
			if err := buildDay(ctx, w.Files, v, day); err != nil {
				b.Fatal(err)
			}
		})
		alone += took(func() {
			w.dropped(b)
			d := dayFiles{Files: w.Files, view: v, day: day, want: want}
			for _, p := range d.products(nil) {
				d.stream(ctx, p)
			}
			if err := d.failed.err(ctx); err != nil {
				b.Fatal(err)
			}
		})
	}
	b.ReportMetric(float64(together)/float64(alone), "ratio")
	b.ReportMetric(products*each*float64(b.N)/together.Seconds(), "rows/s")
}

// dropped gives w a registry without files.
func (w *dayWorld) dropped(b *testing.B) {
	b.Helper()
	w.Files.registry = newDayWorld(b, w.cfg.ClientBytes).registry
}

// TestFailedFileStopsNoOther: while the files of a product cannot be put, all others
// are, and the day is not over; then these alone are built, and it is.
func TestFailedFileStopsNoOther(t *testing.T) {
	w := manyProducts(t, 30, 40, 2)
	boom := errors.New("boom")
	w.bucket.fault = func(key string) error {
		if strings.HasPrefix(key, "1003/") {
			return boom
		}
		return nil
	}
	if err := w.Maintain(t.Context()); !errors.Is(err, boom) {
		t.Errorf("close: %v, want %v", err, boom)
	}
	recorded := len(w.closedContents())
	if through, err := w.registry.ExportedThrough(t.Context()); err != nil || recorded != 3*29 || through != "" {
		t.Errorf("%d files are recorded, the last day is %q, %v; want those of 29 products, and no day", recorded, through, err)
	}
	w.bucket.fault, w.bucket.tried = nil, 0
	if err := w.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	through, err := w.registry.ExportedThrough(t.Context())
	if err != nil || through != "2024-03-01" || w.bucket.tried != 3 {
		t.Errorf("the last day is %q, %v, after %d more files, want 3", through, err, w.bucket.tried)
	}
	if diff := cmp.Diff(w.scannedContents(DayOf(benchDay)), w.closedContents()); diff != "" {
		t.Errorf("files (-of scans +of passes):\n%s", diff)
	}
}

// TestStoreThatIsAwayIsNotTriedForEachFile: closing ends after some failures in a row.
func TestStoreThatIsAwayIsNotTriedForEachFile(t *testing.T) {
	w := manyProducts(t, 100, 10, 2)
	boom := errors.New("boom")
	w.bucket.fault = func(string) error { return boom }
	if err := w.Maintain(t.Context()); !errors.Is(err, boom) || w.bucket.tried != maxFailures {
		t.Errorf("close: %v after %d files, want %v after %d", err, w.bucket.tried, boom, maxFailures)
	}
}
