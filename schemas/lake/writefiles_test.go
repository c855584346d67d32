package lake_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

func TestWriteEventsOfManyMonths(t *testing.T) {
	world := laketest.New()
	l, err := world.OpenBeforeRuns(t.Context(), lake.Config{})
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
	if got := countRows(t, l.ScanEvents(t.Context(), files, []string{columns.Time}, columns.Filter{})); got != 3000 {
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

func TestDataFilesOfEvents(t *testing.T) {
	l := laketest.Lake(t, lake.Config{Prefix: "p"})
	events := []schemas.Event{
		{Product: 2, Client: 9, Time: 1_700_000_000_000, Name: "b", RandomID: "1"},
		{Product: 1, Client: 9, Time: 1_700_000_000_000, Name: "b", RandomID: "2"},
		{Product: 1, Client: 9, Time: 1_699_999_999_000, Name: "a", RandomID: "3"},
		{Product: 1, Client: 8, Time: 1_700_000_000_000, Name: "b", RandomID: "4"},
		{Product: 1, Client: 9, Time: 1_699_999_999_000, Name: "a", RandomID: "5"},
		{Product: 1, Client: 9, Time: -1, Name: "old", RandomID: "6"},
		{Product: 1, Client: 9, Time: 253_402_300_799_999, Name: "far", RandomID: "7"},
	}
	files, err := l.WriteEvents(t.Context(), 3, buildBatches(t, memory.DefaultAllocator, 3, 40, 2, events))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, fmt.Sprintf("%s %d %d: %d rows %v %v", f.Path[:len(f.Path)-len("d9428888-122b-11e1-b85c-61cd3cbb3210.parquet")],
			f.Shard, f.Partition, f.Rows, f.Min, f.Max))
	}
	want := []string{
		"p/events/data/2023-11/3/ 3 646: 7 rows {1 8 -1 1700000000040 40} {2 9 253402300799999 1700000000046 46}",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	order := scan(t, l, files, []string{"random_id"})
	if want := []string{"random_id=6 ", "random_id=4 ", "random_id=3 ", "random_id=5 ", "random_id=2 ", "random_id=7 ", "random_id=1 "}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

func TestWriteEventsOfAnotherShard(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	batches := buildBatches(t, memory.DefaultAllocator, 3, 0, 9, randomEvents(rand.New(rand.NewPCG(1, 1)), 9))
	if _, err := l.WriteEvents(t.Context(), 4, batches); err == nil {
		t.Error("rows of shard 3 were written as of shard 4")
	}
	if files, err := l.WriteEvents(t.Context(), 4, nil); err != nil || len(files) > 0 {
		t.Errorf("nothing written: %v %v", files, err)
	}
}
