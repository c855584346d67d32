package lake_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// arrivals are the first and the last millisecond of November 2023 and what comes
// before and after: months of log time.
var arrivals = [4]int64{1_698_796_799_999, 1_698_796_800_000, 1_701_388_799_999, 1_701_388_800_000}

// cutOfMonths writes a cut of one event for each arrival, of another month of event
// time each.
func cutOfMonths(t *testing.T, l *lake.Lake, from int64, arrivals ...int64) lake.Cut {
	t.Helper()
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for i, at := range arrivals {
		offset := from + int64(i)
		b.Append(&schemas.Event{Product: 1, Client: offset % 3, Time: offset * 40 * testDayMS, Name: "n", RandomID: fmt.Sprint(offset)},
			columns.Position{Shard: 2, Offset: offset, Arrival: at})
	}
	batch := b.Batch()
	defer batch.Release()
	made, err := l.WriteEvents(t.Context(), 2, []arrow.Record{batch})
	if err != nil {
		t.Fatal(err)
	}
	c := cut(t, l, 2, from, from+int64(len(arrivals)))
	c.Files = made
	return c
}

// partitions counts the data files of a snapshot by spec and partition.
func partitions(t *testing.T, s *lake.Snapshot) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, f := range dataFiles(t, s) {
		out[fmt.Sprintf("spec %d, %d", f.Spec, f.Partition)]++
	}
	return out
}

// TestTwoSpecsInOneTable commits cuts of both specs to one table, in whatever order,
// and merges those of before into runs.
func TestTwoSpecsInOneTable(t *testing.T) {
	w := laketest.New()
	l, err := w.OpenBeforeRuns(t.Context(), fastConfig())
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, l, []lake.Cut{cutOfMonths(t, l, 0, arrivals[:]...)}, lake.Committed)
	late := cutOfMonths(t, l, 4, arrivals[2], arrivals[3])
	other := open(t, w) // evolves
	if err := lake.EvolveLayout(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, l, []lake.Cut{late}, lake.Committed) // was written of the spec before
	mustCommit(t, l, []lake.Cut{cutOfMonths(t, l, 6, arrivals[3], arrivals[3])}, lake.Committed)
	s := load(t, l, lake.Events)
	want := map[string]int{"spec 0, 0": 1, "spec 0, 1": 1, "spec 0, 2": 1, "spec 0, 4": 1, "spec 0, 5": 1, "spec 0, 6": 1, "spec 1, 647": 1}
	if diff := cmp.Diff(want, partitions(t, s)); diff != "" {
		t.Errorf("data files (-want +got):\n%s", diff)
	}
	rows := scan(t, l, dataFiles(t, s), nil)
	if len(rows) != 8 {
		t.Fatalf("%d rows, want 8", len(rows))
	}
	merged, err := other.Merge(t.Context(), lake.Events, dataFiles(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Replace(t.Context(), lake.Events, dataFiles(t, s), merged); err != nil {
		t.Fatal(err)
	}
	s = load(t, l, lake.Events)
	if diff := cmp.Diff(map[string]int{"spec 1, 645": 1, "spec 1, 646": 1, "spec 1, 647": 1}, partitions(t, s)); diff != "" {
		t.Errorf("merged data files (-want +got):\n%s", diff)
	}
	got := scan(t, l, dataFiles(t, s), nil)
	slices.Sort(rows)
	slices.Sort(got)
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Errorf("rows after the merge (-want +got):\n%s", diff)
	}
}

// TestEvolveLayoutAtOnce evolves a lake from several processes at once, and with
// commits of unknown result.
func TestEvolveLayoutAtOnce(t *testing.T) {
	for _, kind := range laketest.Kinds() {
		w := laketest.New()
		l, err := w.OpenBeforeRuns(t.Context(), fastConfig())
		if err != nil {
			t.Fatal(err)
		}
		w.Faults.Once(laketest.Swap, kind)
		done := make(chan error)
		for range 3 {
			other, err := w.OpenBeforeRuns(t.Context(), fastConfig())
			if err != nil {
				t.Fatal(err)
			}
			go func() { done <- lake.EvolveLayout(t.Context(), other) }()
		}
		for range 3 {
			if err := <-done; err != nil {
				t.Errorf("%v: %v", kind, err)
			}
		}
		w.Faults.Deliver()
		for _, table := range lake.Tables() {
			want := int32(1)
			if table == lake.DeadLetters {
				want = 0 // was by arrival before
			}
			if runs, spec := load(t, l, table).Runs(); !runs || spec != want {
				t.Errorf("%v: %s has runs %t, spec %d, want spec %d", kind, table, runs, spec, want)
			}
		}
	}
}

// dataFiles lists the data files of s.
func dataFiles(t *testing.T, s *lake.Snapshot) []lake.DataFile {
	t.Helper()
	out, err := s.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}
