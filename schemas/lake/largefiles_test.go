package lake_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// bulky are events of one month that do not compress: few of them make a large
// file.
func bulky(r *rand.Rand, n int) []schemas.Event {
	noise := make([]byte, 200)
	out := make([]schemas.Event, n)
	for i := range out {
		for k := range noise {
			noise[k] = byte(r.Uint32())
		}
		out[i] = schemas.Event{
			Product: 1, Client: 1 + r.Int64N(2000), Time: 1_700_000_000_000 + r.Int64N(10*testDayMS), Name: "n",
			RandomID: fmt.Sprint(i), Properties: fmt.Appendf(nil, `{"noise":%q}`, hex.EncodeToString(noise)),
		}
		if i%3 == 0 {
			out[i].Offline = new(i%2 == 0)
		}
	}
	return out
}

// TestLargeFiles has data files of several row groups and many pages, fetched
// by ranges, merged as a stream, and read with pages left out.
func TestLargeFiles(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	world := laketest.New()
	store := &streaming{Store: world.Store}
	l, err := lake.Open(t.Context(), lake.Config{Bucket: laketest.Bucket, Memory: mem}, lake.NewCatalog(world.Pointers, store), store)
	if err != nil {
		t.Fatal(err)
	}
	events := bulky(rand.New(rand.NewPCG(1, 1)), 90_000)
	var files []lake.DataFile
	for half := range 2 {
		first := half * 45_000
		more, err := l.WriteEvents(t.Context(), 0, build(t, memory.DefaultAllocator, 0, int64(first), 4096, events[first:first+45_000]))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	merged, err := l.Merge(t.Context(), lake.Events, files)
	if err != nil {
		t.Fatal(err)
	}
	if len(merged) != 1 || merged[0].Rows != 90_000 || store.uploads != 1 || files[0].Bytes < 8<<20 {
		t.Fatalf("%d uploads, %+v", store.uploads, merged)
	}
	size, err := store.Stat(t.Context(), merged[0].Path)
	if err != nil || size != merged[0].Bytes {
		t.Errorf("%d bytes stored, %d told: %v", size, merged[0].Bytes, err)
	}
	checkLarge(t, l, merged, events)

	store.fail = errors.New("store said no")
	if _, err := l.Merge(t.Context(), lake.Events, files); !errors.Is(err, store.fail) {
		t.Errorf("merge on a broken store: %v", err)
	}
}

// checkLarge reads few rows and all rows, and compares them to what was sent.
func checkLarge(t *testing.T, l *lake.Lake, files []lake.DataFile, events []schemas.Event) {
	filters := []columns.Filter{
		{},
		{Clients: []int64{7}},
		{Clients: []int64{7, 1999}, TimeFrom: 1_700_300_000_000},
		{TimeFrom: 1_700_300_000_000, TimeTo: 1_700_300_060_000},
		{OffsetFrom: map[int32]int64{0: 89_990}},
	}
	for _, f := range filters {
		want := 0
		for i, e := range events {
			if (f.Clients == nil || e.Client == f.Clients[0] || e.Client == f.Clients[len(f.Clients)-1]) && e.Time >= f.TimeFrom &&
				(f.TimeTo == 0 || e.Time < f.TimeTo) && int64(i) >= f.OffsetFrom[0] {
				want++
			}
		}
		got := 0
		names := []string{columns.Offset, columns.Properties, columns.Offline, columns.Client, columns.RandomID, columns.Name}
		for rec, err := range l.ScanEvents(t.Context(), files, names, f) {
			if err != nil {
				t.Fatal(err)
			}
			v, err := columns.Bind(rec)
			if err != nil {
				t.Fatal(err)
			}
			for i := range v.Rows {
				e := &events[v.Offset[i]]
				if diff := sameEvent(&v, i, e); diff != "" {
					t.Fatalf("%+v: offset %d: %s", f, v.Offset[i], diff)
				}
			}
			got += v.Rows
		}
		if got != want {
			t.Errorf("%+v: %d rows, want %d", f, got, want)
		}
	}
}

func sameEvent(v *columns.View, i int, e *schemas.Event) string {
	if v.RandomID.At(i) != e.RandomID || v.Properties.At(i) != string(e.Properties) || v.Name.At(i) != e.Name || !v.ClientProps.Null(i) {
		return cmp.Diff(e, v.RandomID.At(i)+v.Properties.At(i))
	}
	if v.Offline.Null(i) != (e.Offline == nil) || (e.Offline != nil && v.Offline.At(i) != *e.Offline) {
		return "offline"
	}
	return ""
}

func TestWriteEventsOfManyMonths(t *testing.T) {
	world := laketest.New()
	l, err := world.Open(t.Context(), lake.Config{})
	if err != nil {
		t.Fatal(err)
	}
	g := newTraffic(3, 300)
	g.step = 120_000_000 // eleven years
	batches := g.batches(t, 2, 0, 3000, 512)
	files, err := l.WriteEvents(t.Context(), 2, batches)
	if err != nil || len(files) < 120 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	if got := count(t, l.ScanEvents(t.Context(), files, []string{columns.Time}, columns.Filter{})); got != 3000 {
		t.Errorf("%d rows", got)
	}

	world.Faults.Once(laketest.PutData, laketest.Lost)
	if files, err := l.WriteEvents(t.Context(), 2, batches); err == nil || files != nil {
		t.Errorf("a put was lost: %d files, %v", len(files), err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if files, err := l.WriteEvents(ctx, 2, batches); !errors.Is(err, context.Canceled) || files != nil {
		t.Errorf("canceled: %d files, %v", len(files), err)
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
