package lake_test

import (
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// lines are the rows of batches as text, all columns that they have.
func lines(t testing.TB, batches ...arrow.Record) []string {
	t.Helper()
	var out []string
	for _, rec := range batches {
		for i := range int(rec.NumRows()) {
			line := ""
			for c := range int(rec.NumCols()) {
				line += rec.ColumnName(c) + "=" + rec.Column(c).ValueStr(i) + " "
			}
			out = append(out, line)
		}
	}
	return out
}

// scan is all rows of files as text.
func scan(t testing.TB, l *lake.Lake, files []lake.DataFile, names []string) []string {
	t.Helper()
	var out []string
	for rec, err := range l.ScanEvents(t.Context(), files, names, columns.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, lines(t, rec)...)
	}
	return out
}

// countRows is how many rows batches have.
func countRows(t testing.TB, batches iter.Seq2[arrow.Record, error]) (rows int) {
	t.Helper()
	for rec, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		rows += int(rec.NumRows())
	}
	return rows
}

func TestScanReturnsWrittenEvents(t *testing.T) {
	for _, codec := range []string{"zstd", "snappy", "none"} {
		for seed := range uint64(5) {
			mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
			l := laketest.Lake(t, lake.Config{Compression: codec, Memory: mem})
			r := rand.New(rand.NewPCG(seed, 7))
			batches := buildBatches(t, memory.DefaultAllocator, 5, 100, 1+r.IntN(90), randomEvents(r, 1+r.IntN(300)))
			files, err := l.WriteEvents(t.Context(), 5, batches)
			if err != nil {
				t.Fatal(err)
			}
			want, got := lines(t, batches...), scan(t, l, files, nil)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s, seed %d: (-want +got)\n%s", codec, seed, diff)
			}
			mem.AssertSize(t, 0)
		}
	}
}

func TestScanStopsEarly(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := laketest.Lake(t, lake.Config{Memory: mem})
	g := newTraffic(3, 300)
	g.step = 20_000_000 // two years
	files, err := l.WriteEvents(t.Context(), 2, g.batches(t, 2, 0, 3000, 512))
	if err != nil {
		t.Fatal(err)
	}
	for range l.ScanEvents(t.Context(), files, nil, columns.Filter{}) {
		break
	}
	gone := files[len(files)/2]
	gone.Path += "x"
	rows, failed := 0, error(nil)
	for rec, err := range l.ScanEvents(t.Context(), append([]lake.DataFile{files[0], gone}, files...), nil, columns.Filter{}) {
		if err != nil {
			failed = err
			continue
		}
		rows += int(rec.NumRows())
	}
	if failed == nil || rows != int(files[0].Rows) {
		t.Errorf("%d rows and then %v; want the %d of the first file and an error", rows, failed, files[0].Rows)
	}
	for _, err := range l.ScanEvents(t.Context(), files, []string{"nonsense"}, columns.Filter{}) {
		if err == nil {
			t.Error("a column that is not there was scanned")
		}
	}
}
