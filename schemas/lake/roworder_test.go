package lake_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/iceberg-go"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

// TestRowsFollowTheLayoutOfTheirTable reads data files back and compares the
// order of their rows with the sort order of the table, and the partition of
// each file with the partition spec. Other engines trust both; the writers and
// merges compute them with code of their own.
func TestRowsFollowTheLayoutOfTheirTable(t *testing.T) {
	t.Run("runs", func(t *testing.T) { testRowsFollowTheLayout(t, laketest.Lake(t, lake.Config{}), true) })
	t.Run("before runs", func(t *testing.T) {
		l, err := laketest.New().OpenBeforeRuns(t.Context(), lake.Config{})
		if err != nil {
			t.Fatal(err)
		}
		testRowsFollowTheLayout(t, l, false)
	})
}

func testRowsFollowTheLayout(t *testing.T, l *lake.Lake, runs bool) {
	t.Helper()
	written := map[lake.Table][]lake.DataFile{}
	r := rand.New(rand.NewPCG(8, 8))
	const cuts = 3
	for cut := range cuts {
		for table, files := range writeEveryTable(t, l, r, int64(cut), cuts) {
			written[table] = append(written[table], files...)
		}
	}
	for _, table := range lake.Tables() {
		byValue := byPartition(written[table])
		partition, sort := lake.Layout(table, runs)
		if (len(byValue) > 1) != (partition.Column != "") {
			t.Errorf("%s: rows of %d partitions were written, want several unless it has none: writeEveryTable must write rows of each table", table, len(byValue))
		}
		decisive := make([]bool, len(sort))
		for _, files := range byValue {
			merged, err := l.Merge(t.Context(), table, files)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range append(files, merged...) {
				checkLayout(t, l, table, file, partition, sort, decisive)
			}
		}
		for i, k := range sort {
			if !decisive[i] {
				t.Errorf("%s: no two rows differ first in sort key %s: the order by it was not tested", table, k.Column)
			}
		}
	}
}

// writeEveryTable writes the rows of one cut to every table, with the writers
// that the processor uses. The values are few, so that rows are often equal in
// the first keys of a sort order, and the offsets of the cuts alternate, so that
// a merge takes rows from all of them in turns.
func writeEveryTable(t *testing.T, l *lake.Lake, r *rand.Rand, cut, cuts int64) map[lake.Table][]lake.DataFile {
	t.Helper()
	const shard, rows, second = 1, 600, int64(1000)
	days := []int64{-1, 0, 20_512, 20_513, 20_543, 20_544} // the last and first days of months, before 1970 too
	moment := func() int64 { return days[r.IntN(len(days))]*testDayMS + r.Int64N(3)*second }
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	var changes []lake.Change
	var letters []lake.DeadLetter
	for i := range int64(rows) {
		at := columns.Position{Shard: shard, Offset: i*cuts + cut, Arrival: moment()}
		product, client := 1+r.Int64N(2), 1+r.Int64N(4)
		b.Append(&schemas.Event{Product: product, Client: client, Time: moment(), Name: fmt.Sprint("n", r.IntN(2)), RandomID: fmt.Sprint(at.Offset)}, at)
		change := schemas.Change{Product: product, Client: client, Time: moment(), Kind: schemas.ContactChange, Operation: schemas.OpSet, Values: []byte(`{}`)}
		changes = append(changes, lake.Change{Change: change, Shard: shard, Offset: at.Offset, Arrival: at.Arrival})
		letters = append(letters, lake.DeadLetter{Shard: shard, Offset: at.Offset, Arrival: at.Arrival, Reason: "r"})
	}
	events := b.Batch()
	defer events.Release()
	r.Shuffle(len(letters), func(i, k int) { letters[i], letters[k] = letters[k], letters[i] })
	set := rollup.NewSet()
	if err := set.AddBatch(events); err != nil {
		t.Fatal(err)
	}
	files, err := l.WriteRollups(t.Context(), shard, set)
	if err != nil {
		t.Fatal(err)
	}
	for table, write := range map[lake.Table]func() ([]lake.DataFile, error){
		lake.Events: func() ([]lake.DataFile, error) { return l.WriteEvents(t.Context(), shard, []arrow.Record{events}) },
		lake.Changes: func() ([]lake.DataFile, error) {
			return l.WriteChanges(t.Context(), shard, []arrow.Record{changeBatch(t, memory.DefaultAllocator, changes)})
		},
		lake.DeadLetters: func() ([]lake.DataFile, error) { return l.WriteDeadLetters(t.Context(), shard, letters) },
	} {
		if files[table], err = write(); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// checkLayout compares the rows of file with the sort order and the partition
// spec of its table. It sets decisive where two rows that follow one another
// differ first in that sort key.
func checkLayout(t *testing.T, l *lake.Lake, table lake.Table, file lake.DataFile, partition lake.SortKey, sort []lake.SortKey, decisive []bool) {
	t.Helper()
	var last []any
	row := 0
	for rec, err := range l.ScanAll(t.Context(), table, file) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			want := any(int64(0))
			if partition.Column != "" {
				want = transformed(t, rec, partition, i)
			}
			if want != int64(file.Partition) {
				t.Errorf("%s: row %d is of partition %v by the partition spec, in a file of %d", table, row, want, file.Partition)
				return
			}
			var next []any
			for _, k := range sort {
				next = append(next, transformed(t, rec, k, i))
			}
			for k := range last {
				c := compareNullsFirst(last[k], next[k])
				if c > 0 {
					t.Errorf("%s: row %d with keys %v follows one with %v: wrong by sort key %s", table, row, next, last, sort[k].Column)
					return
				}
				if c < 0 {
					decisive[k] = true
					break
				}
			}
			last = next
			row++
		}
	}
	if int64(row) != file.Rows {
		t.Errorf("%s: read %d rows of %d", table, row, file.Rows)
	}
}

// transformed applies the transform of k to its column in a row. It returns an
// int64, a string, or nil for null.
func transformed(t *testing.T, rec arrow.Record, k lake.SortKey, row int) any {
	t.Helper()
	column := rec.Column(rec.Schema().FieldIndices(k.Column)[0])
	if column.IsNull(row) {
		return nil
	}
	var value iceberg.Literal
	switch c := column.(type) {
	case *array.Int32:
		value = iceberg.NewLiteral(c.Value(row))
	case *array.Int64:
		value = iceberg.NewLiteral(c.Value(row))
	case *array.Date32:
		value = iceberg.NewLiteral(iceberg.Date(c.Value(row)))
	case *array.Timestamp:
		value = iceberg.NewLiteral(iceberg.Timestamp(c.Value(row)))
	default:
		value = iceberg.NewLiteral(c.ValueStr(row)) // strings, in a dictionary or not
	}
	switch v := k.Transform.Apply(iceberg.Optional[iceberg.Literal]{Val: value, Valid: true}).Val.Any().(type) {
	case int32:
		return int64(v)
	case iceberg.Date:
		return int64(v)
	case iceberg.Timestamp:
		return int64(v)
	case int64, string:
		return v
	default:
		t.Fatalf("sort key or partition %s has values of %T", k.Column, v)
		return nil
	}
}

// compareNullsFirst orders values that transformed returned for one column.
func compareNullsFirst(a, b any) int {
	switch {
	case a == nil || b == nil:
		return cmp.Compare(boolInt(a != nil), boolInt(b != nil))
	default:
		if s, ok := a.(string); ok {
			other, _ := b.(string)
			return cmp.Compare(s, other)
		}
		x, _ := a.(int64)
		y, _ := b.(int64)
		return cmp.Compare(x, y)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
