package lake_test

import (
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

// incompressibleEvents are events of one month that do not compress: few of them make a large
// file.
func incompressibleEvents(r *rand.Rand, n int) []schemas.Event {
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

// TestLargeFiles has data files of several row groups and many pages. They are
// fetched by ranges, merged as a stream, and read with pages skipped.
func TestLargeFiles(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	world := laketest.New()
	store := &streaming{Store: world.Store}
	l, err := lake.Open(t.Context(), lake.Config{Bucket: laketest.Bucket, Memory: mem}, lake.NewCatalog(world.Pointers, store), store)
	if err != nil {
		t.Fatal(err)
	}
	events := incompressibleEvents(rand.New(rand.NewPCG(1, 1)), 90_000)
	var files []lake.DataFile
	for half := range 2 {
		first := half * 45_000
		more, err := l.WriteEvents(t.Context(), 0, buildBatches(t, memory.DefaultAllocator, 0, int64(first), 4096, events[first:first+45_000]))
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
		t.Errorf("%d bytes stored, the data file has %d: %v", size, merged[0].Bytes, err)
	}
	checkLarge(t, l, merged, events)

	store.fail = errors.New("store said no")
	if _, err := l.Merge(t.Context(), lake.Events, files); !errors.Is(err, store.fail) {
		t.Errorf("merge on a broken store: %v", err)
	}
}

// checkLarge reads few rows and all rows, and compares them with what was
// written.
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
