package lake_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// someChanges are n changes of a shard at offsets from first on.
func someChanges(r *rand.Rand, shard int32, first int64, n int) []lake.Change {
	out := make([]lake.Change, n)
	for i := range out {
		c := schemas.Change{
			Product: 1 + r.Int64N(2), Client: 1 + r.Int64N(5), Time: 1_700_000_000_000 + r.Int64N(40*testDayMS),
			Kind: schemas.PropertyChange, Operation: schemas.PropertyChange.Operations()[r.IntN(5)],
			Values: fmt.Appendf(nil, `{"ключ":%d}`, r.IntN(100)),
		}
		if r.IntN(3) == 0 {
			c.Kind, c.Operation = schemas.ContactChange, schemas.OpSet
		}
		out[i] = lake.Change{Change: c, Shard: shard, Offset: first + int64(i), Arrival: c.Time + 5}
	}
	return out
}

func changeBatch(t *testing.T, mem memory.Allocator, changes []lake.Change) arrow.Record {
	t.Helper()
	b := columns.NewChangeBuilder(mem)
	defer b.Release()
	for i := range changes {
		c := &changes[i]
		b.Append(&c.Change, columns.Position{Shard: c.Shard, Offset: c.Offset, Arrival: c.Arrival})
	}
	if b.Len() != len(changes) || b.Bytes() < int64(len(changes)) {
		t.Errorf("builder of %d changes reports %d of them, %d bytes", len(changes), b.Len(), b.Bytes())
	}
	rec := b.Batch()
	t.Cleanup(rec.Release)
	return rec
}

func scanChanges(t *testing.T, l *lake.Lake, files []lake.DataFile, f columns.Filter) []lake.Change {
	t.Helper()
	var out []lake.Change
	for c, err := range l.ScanChanges(t.Context(), lake.Prune(files, f), f) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, *c)
	}
	return out
}

func byOffset(a, b lake.Change) int { return cmp.Compare(a.Offset, b.Offset) }

// TestScanAndMergeChanges reads what was written: from the files of many cuts,
// and from the one file that replaces them, in its sort order.
func TestScanAndMergeChanges(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	r := rand.New(rand.NewPCG(8, 1))
	var all []lake.Change
	var files []lake.DataFile
	for cut := range 6 {
		some := someChanges(r, 3, int64(cut)*50, 40)
		all = append(all, some...)
		made, err := l.WriteChanges(t.Context(), 3, []arrow.Record{
			changeBatch(t, memory.DefaultAllocator, some[:10]), changeBatch(t, memory.DefaultAllocator, some[10:]),
		})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, made...)
	}
	check := func(files []lake.DataFile, f columns.Filter, wanted func(lake.Change) bool) {
		t.Helper()
		want := slices.DeleteFunc(slices.Clone(all), func(c lake.Change) bool { return !wanted(c) })
		got := scanChanges(t, l, files, f)
		slices.SortFunc(got, byOffset)
		if diff := gocmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("%+v, %d wanted (-want +got):\n%s", f, len(want), diff)
		}
	}
	checkAll := func(files []lake.DataFile) {
		t.Helper()
		check(files, columns.Filter{}, func(lake.Change) bool { return true })
		check(files, columns.Filter{Products: []int64{2}, Clients: []int64{1, 4}}, func(c lake.Change) bool {
			return c.Product == 2 && (c.Client == 1 || c.Client == 4)
		})
		check(files, columns.Filter{OffsetFrom: map[int32]int64{3: 60}, OffsetTo: map[int32]int64{3: 210}}, func(c lake.Change) bool {
			return c.Offset >= 60 && c.Offset < 210
		})
	}
	checkAll(files)
	var merged []lake.DataFile
	for _, group := range byPartition(files) {
		made, err := l.Merge(t.Context(), lake.Changes, group)
		if err != nil {
			t.Fatal(err)
		}
		if len(made) != 1 {
			t.Errorf("merged to %d files, want 1", len(made))
		}
		rows := scanChanges(t, l, made, columns.Filter{})
		if !slices.IsSortedFunc(rows, func(a, b lake.Change) int {
			return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Client, b.Client), byOffset(a, b))
		}) {
			t.Error("a merged file is not sorted by product, client, offset")
		}
		merged = append(merged, made...)
	}
	if len(merged) < 2 {
		t.Errorf("%d partitions, want several months", len(merged))
	}
	checkAll(merged)
}

func TestWriteNoChanges(t *testing.T) {
	l := laketest.Lake(t, lake.Config{})
	for _, batches := range [][]arrow.Record{nil, {changeBatch(t, memory.DefaultAllocator, nil)}} {
		if files, err := l.WriteChanges(t.Context(), 1, batches); err != nil || len(files) != 0 {
			t.Errorf("WriteChanges = %v, %v; want nothing", files, err)
		}
	}
}
