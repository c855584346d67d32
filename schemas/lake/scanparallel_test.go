package lake_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

// rollupFiles are the data files of rollups of cuts, one file or more of each.
func rollupFiles(t testing.TB, l *lake.Lake, cuts, events int) map[lake.Table][]lake.DataFile {
	t.Helper()
	g := newTraffic(2, 400)
	g.step = 2_000_000 // three weeks and a half in a thousand events
	out := map[lake.Table][]lake.DataFile{}
	for cut := range cuts {
		set := rollup.NewSet()
		for _, rec := range g.batches(t, 1, int64(cut*events), events, 300) {
			if err := set.AddBatch(rec); err != nil {
				t.Fatal(err)
			}
		}
		files, err := l.WriteRollups(t.Context(), 1, set)
		if err != nil {
			t.Fatal(err)
		}
		for table := range files {
			out[table] = append(out[table], files[table]...)
		}
	}
	return out
}

// rollupLines are the rows that f asks for as text.
func rollupLines(t testing.TB, l *lake.Lake, table lake.Table, files []lake.DataFile, names []string, f columns.Filter) []string {
	t.Helper()
	var out []string
	for rec, err := range l.ScanRollup(t.Context(), table, files, names, f) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, lines(t, rec)...)
	}
	return out
}

// TestRollupScanKeepsOrder compares a scan of many files, decoded side by side,
// with scans of each of them.
func TestRollupScanKeepsOrder(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	l := laketest.Lake(t, lake.Config{Memory: mem})
	all := rollupFiles(t, l, 6, 1000)
	r := rand.New(rand.NewPCG(4, 4))
	selections := map[lake.Table][][]string{
		lake.ClientDays: {nil, {"client_id", "day"}, {"properties", "runtime_ms"}},
		lake.EventDays:  {nil, {"name", "category", "count"}, {"value_sum", "client_id"}},
		lake.Clients:    {nil, {"last_time"}, {"properties", "sessions", "client_id"}},
	}
	for table, files := range all {
		for _, names := range selections[table] {
			for range 5 {
				f := columns.Filter{Products: []int64{1001, 1002, 1003}[:1+r.IntN(3)]}
				if table != lake.Clients {
					f.TimeFrom, f.TimeTo = 1_700_000_000_000+r.Int64N(3*30*testDayMS), 1_700_000_000_000+r.Int64N(6*30*testDayMS)
				}
				var want []string
				for i := range files {
					want = append(want, rollupLines(t, l, table, files[i:i+1], names, f)...)
				}
				if diff := cmp.Diff(want, rollupLines(t, l, table, files, names, f)); diff != "" {
					t.Fatalf("%s %v %+v: (-want +got)\n%s", table, names, f, diff)
				}
			}
		}
		if got := len(rollupLines(t, l, table, files, nil, columns.Filter{})); got < 500 {
			t.Errorf("%s: %d rows, want some", table, got)
		}
	}
	for _, err := range l.ScanRollup(t.Context(), lake.Clients, all[lake.Clients], []string{"day"}, columns.Filter{}) {
		if err == nil {
			t.Error("clients have a column day")
		}
	}
}

// TestRollupScanEndsWhenBrokenOff breaks scans off at every batch: by the
// reader, by the context, by a file that is missing. synctest fails if a
// goroutine is left.
func TestRollupScanEndsWhenBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
		defer mem.AssertSize(t, 0)
		w := laketest.New()
		l, err := w.Open(t.Context(), lake.Config{Memory: mem, CacheBytes: -1, Compression: "snappy"})
		if err != nil {
			t.Fatal(err)
		}
		files := rollupFiles(t, l, 12, 600)[lake.EventDays]
		var ends []int // rows up to the end of each file; each is one batch
		for i := range files {
			ends = append(ends, len(rollupLines(t, l, lake.EventDays, files[:i+1], []string{"name"}, columns.Filter{})))
		}
		if len(files) < 10 {
			t.Fatalf("%d files, want some", len(files))
		}
		scan := func(ctx context.Context, files []lake.DataFile, at func(rows int) bool) (rows int, err error) {
			for rec, err := range l.ScanRollup(ctx, lake.EventDays, files, nil, columns.Filter{}) {
				if err != nil {
					return rows, err
				}
				rows += int(rec.NumRows())
				if !at(rows) {
					break
				}
			}
			return rows, nil
		}
		for i, end := range ends {
			if rows, err := scan(t.Context(), files, func(rows int) bool { return rows < end }); rows != end || err != nil {
				t.Errorf("read up to batch %d: %d rows, %v; want %d", i, rows, err, end)
			}
			ctx, stop := context.WithCancel(t.Context())
			rows, err := scan(ctx, files, func(rows int) bool {
				if rows == end {
					stop()
				}
				return true
			})
			if i < len(ends)-5 && !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled at batch %d: %d rows, %v", i, rows, err)
			}
			stop()
			broken := slices.Clone(files)
			broken[i].Path += ".gone"
			rows, err = scan(t.Context(), broken, func(int) bool { return true })
			if want := end - int(files[i].Rows); rows != want || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("file %d is missing: %d rows, %v; want %d", i, rows, err, want)
			}
		}
	})
}
