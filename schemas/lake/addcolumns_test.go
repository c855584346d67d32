package lake_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

const columnsBefore = 27 // of events, before value_text came

// openBefore opens the lake as the version before value_text did.
func openBefore(t *testing.T, w *laketest.Backend) *lake.Lake {
	t.Helper()
	l, err := lake.OpenBefore(t.Context(), lake.Config{Bucket: laketest.Bucket}, lake.NewCatalog(w.Pointers, w.Store), w.Store, columnsBefore)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// commitEvents commits an event for each text of its value, as shard 0 from offset on.
func commitEvents(t *testing.T, l *lake.Lake, offset int64, width int, values ...string) []lake.DataFile {
	t.Helper()
	var events []schemas.Event
	for i, text := range values {
		events = append(events, schemas.Event{Product: 1, Client: 1, Time: offset + int64(i), Name: "e", RandomID: fmt.Sprint(offset, i), ValueText: text})
	}
	whole := buildBatches(t, memory.DefaultAllocator, 0, offset, 100, events)[0]
	rec := array.NewRecord(arrow.NewSchema(whole.Schema().Fields()[:width], nil), whole.Columns()[:width], whole.NumRows())
	defer rec.Release()
	files, err := l.WriteEvents(t.Context(), 0, []arrow.Record{rec})
	if err != nil {
		t.Fatal(err)
	}
	c := cut(t, l, 0, offset, offset+int64(len(values)))
	c.Files = files
	mustCommit(t, l, []lake.Cut{c}, lake.Committed)
	return files
}

// valueTexts are the values of all rows, by offset; "-" is null.
func valueTexts(t *testing.T, l *lake.Lake) string {
	t.Helper()
	files, err := load(t, l, lake.Events).Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byOffset := map[int64]string{}
	for rec, err := range l.ScanEvents(t.Context(), files, []string{columns.ValueText, columns.Offset}, columns.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		v, err := columns.Bind(rec)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v.Rows {
			byOffset[v.Offset[i]] = strings.Clone(v.ValueText.At(i))
			if v.ValueText.Null(i) {
				byOffset[v.Offset[i]] = "-"
			}
		}
	}
	var out []string
	for offset := range int64(len(byOffset)) {
		out = append(out, byOffset[offset])
	}
	return strings.Join(out, " ")
}

// eventColumns are the columns of the table of events as other engines see them.
func eventColumns(t *testing.T, w *laketest.Backend) []string {
	t.Helper()
	tbl, err := lake.NewCatalog(w.Pointers, w.Store).LoadTable(t.Context(), table.Identifier{"weir", "events"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, f := range tbl.Schema().Fields() {
		if f.ID != i+1 {
			t.Errorf("column %s has id %d, want %d", f.Name, f.ID, i+1)
		}
		names = append(names, f.Name)
	}
	if mapping := tbl.Properties()[table.DefaultNameMappingKey]; strings.Count(mapping, `"field-id"`) != len(names) {
		t.Errorf("the name mapping is of other columns: %s", mapping)
	}
	return names
}

// TestTablesGetColumns opens a lake of the version before with this one, while a
// process of the version before goes on. All rows stay; its merges drop the values of
// the column that it does not know, and nothing else.
func TestTablesGetColumns(t *testing.T) {
	w := laketest.New()
	before := openBefore(t, w)
	first := commitEvents(t, before, 0, columnsBefore, "ignored", "ignored")
	if got := eventColumns(t, w); len(got) != columnsBefore {
		t.Fatalf("columns of before: %q", got)
	}
	now := open(t, w)
	want := []string{}
	for _, f := range columns.Schema().Fields() {
		want = append(want, f.Name)
	}
	if diff := cmp.Diff(want, eventColumns(t, w)); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	second := commitEvents(t, now, 2, len(want), "1.50", "")
	commitEvents(t, before, 4, columnsBefore, "ignored")
	commitEvents(t, now, 5, len(want), "2.50")
	openBefore(t, w) // of a process that is rolled back: it takes no column away
	if diff := cmp.Diff(want, eventColumns(t, w)); diff != "" {
		t.Errorf("columns after a roll back (-want +got):\n%s", diff)
	}
	if got := valueTexts(t, now); got != "- - 1.50 - - 2.50" {
		t.Errorf("values = %s", got)
	}
	old := slices.Concat(first, second)
	merged, err := now.Merge(t.Context(), lake.Events, old)
	if err != nil {
		t.Fatal(err)
	}
	if err := now.Replace(t.Context(), lake.Events, old, merged); err != nil {
		t.Fatal(err)
	}
	if got := valueTexts(t, open(t, w)); got != "- - 1.50 - - 2.50" {
		t.Errorf("values after a merge = %s", got)
	}
	again, err := before.Merge(t.Context(), lake.Events, merged)
	if err != nil {
		t.Fatal(err)
	}
	if rows := scan(t, now, again, []string{columns.Offset, columns.ValueText}); len(rows) != 4 || strings.Contains(strings.Join(rows, ""), "1.50") {
		t.Errorf("merged by the version before: %q", rows)
	}
}

// TestColumnsAreAddedOnce: processes that start together, and each step that fails in
// each way, end with each column once.
func TestColumnsAreAddedOnce(t *testing.T) {
	all := columns.Schema().NumFields()
	w := laketest.New()
	openBefore(t, w)
	var g sync.WaitGroup
	for range 4 {
		g.Go(func() {
			if _, err := w.Open(t.Context(), lake.Config{}); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if got := eventColumns(t, w); len(got) != all {
		t.Errorf("after four starts at once: %q", got)
	}
	for _, step := range []laketest.Step{laketest.PutMetadata, laketest.Swap} {
		for _, kind := range laketest.Kinds() {
			w := laketest.New()
			before := openBefore(t, w)
			w.Faults.Once(step, kind)
			now := open(t, w)
			commitEvents(t, before, 0, columnsBefore, "")
			w.Faults.Deliver()
			commitEvents(t, now, 1, all, "1.50")
			if got := eventColumns(t, w); len(got) != all || valueTexts(t, now) != "- 1.50" {
				t.Errorf("%s %s: %d columns, values %s", step, kind, len(got), valueTexts(t, now))
			}
		}
	}
}
