package lake

import (
	"slices"
	"testing"
)

// A table with a forgotten fact would be created with a spec of field 0, or
// could lose rows in a compaction.
func TestEveryTableIsDescribedInFull(t *testing.T) {
	rows := tables()
	events := slices.IndexFunc(rows, func(r tableRow) bool { return r.table == Events })
	for i, r := range rows {
		columns := r.schema()
		for _, p := range []partitioning{r.partition, r.before} {
			divided := fieldID(columns, p.column) != 0 && p.field != "" && p.transform != nil
			if divided != (p.column != "") || p.folder == nil {
				t.Errorf("%s: partitioning %+v is not complete", r.table, p)
			}
		}
		if divided := r.partition.column != ""; divided == (r.rollup != nil) || divided && r.partition.column != "arrival" {
			t.Errorf("%s is divided by %q: events, changes and dead letters are by arrival, rollups are not", r.table, r.partition.column)
		}
		for _, k := range r.sort {
			if fieldID(columns, k.column) == 0 || k.transform == nil {
				t.Errorf("%s: sort key %+v is not of a column", r.table, k)
			}
		}
		if len(r.sort) == 0 || r.merge == nil {
			t.Errorf("%s: there is no sort order or no merge", r.table)
		}
		if derived := r.rollup != nil; derived != (i > events) || derived == r.rowGuard || r.counters != (r.table == Events) {
			t.Errorf("%s is number %d (events is %d), rollup %t, row guard %t, counters %t", r.table, i, events, derived, r.rowGuard, r.counters)
		}
		if _, err := findBoundColumns(icebergSchema(columns)); err != nil {
			t.Errorf("%s: %v", r.table, err)
		}
	}
	if Table("nonsense").HasCounters() {
		t.Error("an unknown table has counters")
	}
}
