package lake_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/apache/iceberg-go/table"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// threeCuts commits three files of shard 0 and one of shard 1.
func threeCuts(t *testing.T, l *lake.Lake) {
	t.Helper()
	mustCommit(t, l, []lake.Cut{cut(t, l, 0, 0, 10), cut(t, l, 1, 0, 5)}, lake.Committed, lake.Committed)
	mustCommit(t, l, []lake.Cut{cut(t, l, 0, 10, 20)}, lake.Committed)
	mustCommit(t, l, []lake.Cut{cut(t, l, 0, 20, 30)}, lake.Committed)
}

// replacementOf returns the files of shard 0, oldest first, and a file to
// replace them.
func replacementOf(t *testing.T, l *lake.Lake) (old, merged []lake.DataFile) {
	t.Helper()
	all, err := load(t, l, lake.Events).Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	for _, f := range all {
		if f.Shard == 0 {
			old = append(old, f)
			rows += f.Rows
		}
	}
	f, err := l.MakeFile(lake.Events, 0, 0, rows)
	if err != nil {
		t.Fatal(err)
	}
	return old, []lake.DataFile{f}
}

func TestReplaceCopiesShardStates(t *testing.T) {
	l := laketest.Lake(t, fastConfig())
	threeCuts(t, l)
	before := load(t, l, lake.Events)
	old, merged := replacementOf(t, l)
	if err := l.Replace(t.Context(), lake.Events, old, merged); err != nil {
		t.Fatal(err)
	}
	after := load(t, l, lake.Events)
	if !maps.Equal(before.ShardStates(), after.ShardStates()) || before.ID() == after.ID() {
		t.Errorf("shard states %v, want %v", after.ShardStates(), before.ShardStates())
	}
	want := []string{"shard 0, 30 rows from 0", "shard 1, 5 rows from 0"}
	if diff := cmp.Diff(want, files(t, after)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if got := len(files(t, before)); got != 4 {
		t.Errorf("the snapshot before has %d files, want 4", got)
	}
	mustCommit(t, l, []lake.Cut{cut(t, l, 0, 30, 40)}, lake.Committed)
}

// TestReplaceNamesItsOperation: a merge that keeps all rows is a replace, one of
// rollup rows an overwrite, to whoever reads the changes of the table.
func TestReplaceNamesItsOperation(t *testing.T) {
	for rows, want := range map[int64]table.Operation{20: table.OpReplace, 15: table.OpOverwrite} {
		l := laketest.Lake(t, fastConfig())
		for i := range int64(2) {
			f, err := l.MakeFile(lake.ClientDays, 0, 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			c := lake.Cut{ID: fmt.Sprint(i), From: 10 * i, To: state(10*i + 10), Files: []lake.DataFile{f}, Sealed: time.Now()}
			if _, err := l.Commit(t.Context(), lake.ClientDays, []lake.Cut{c}); err != nil {
				t.Fatal(err)
			}
		}
		old, err := load(t, l, lake.ClientDays).Files(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		merged, err := l.MakeFile(lake.ClientDays, 0, 0, rows)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Replace(t.Context(), lake.ClientDays, old, []lake.DataFile{merged}); err != nil {
			t.Fatal(err)
		}
		after := load(t, l, lake.ClientDays)
		if got := after.Operation(); got != want || len(files(t, after)) != 1 {
			t.Errorf("20 rows become %d by %s of %d files, want %s", rows, got, len(files(t, after)), want)
		}
	}
}

// Each step of a replacement fails, both ways, while a cut is committed in
// between: rows are there once.
func TestReplaceCrashTable(t *testing.T) {
	kinds := map[string]laketest.Kind{"lost": laketest.Lost, "applied": laketest.Applied, "late": laketest.Late}
	for _, step := range laketest.Steps()[1:] {
		for name, kind := range kinds {
			t.Run(fmt.Sprintf("%s %s", step, name), func(t *testing.T) {
				w := laketest.New()
				l, other := open(t, w), open(t, w)
				threeCuts(t, l)
				old, merged := replacementOf(t, l)
				next := cut(t, other, 0, 30, 40)
				w.Faults.Set(func(s laketest.Step) laketest.Kind {
					if s != step {
						return laketest.None
					}
					w.Faults.Set(nil)
					mustCommit(t, other, []lake.Cut{next}, lake.Committed)
					return kind
				})
				if err := l.Replace(t.Context(), lake.Events, old, merged); err != nil {
					t.Fatal(err)
				}
				w.Faults.Deliver()
				if err := l.Replace(t.Context(), lake.Events, old, merged); err != nil {
					t.Fatalf("the same again: %v", err)
				}
				s := load(t, open(t, w), lake.Events)
				if got := s.ShardStates()[0].Next; got != 40 {
					t.Errorf("next = %d, want 40", got)
				}
				if got := len(files(t, s)); got != 3 {
					t.Errorf("files = %q", files(t, s))
				}
			})
		}
	}
}

func TestReplaceChecksInputsAgain(t *testing.T) {
	w := laketest.New()
	a, b := open(t, w), open(t, w)
	threeCuts(t, a)
	oldA, mergedA := replacementOf(t, a)
	oldB, mergedB := replacementOf(t, b)
	w.Faults.Set(func(s laketest.Step) laketest.Kind {
		if s == laketest.PutMetadata { // a has looked, and has not yet swapped
			w.Faults.Set(nil)
			if err := b.Replace(t.Context(), lake.Events, oldB, mergedB); err != nil {
				t.Error(err)
			}
		}
		return laketest.None
	})
	if err := a.Replace(t.Context(), lake.Events, oldA, mergedA); !errors.Is(err, lake.ErrInputsGone) {
		t.Errorf("replace files that another process has replaced: %v", err)
	}
	want := []string{"shard 0, 30 rows from 0", "shard 1, 5 rows from 0"}
	if diff := cmp.Diff(want, files(t, load(t, a, lake.Events))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestReplaceRefusesToLoseRows(t *testing.T) {
	l := laketest.Lake(t, fastConfig())
	threeCuts(t, l)
	old, merged := replacementOf(t, l)
	elsewhere, err := l.MakeFile(lake.Events, 1, 0, 30)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, files []lake.DataFile }{
		"nothing":          {nil, merged},
		"fewer rows":       {old[1:], merged},
		"no rows":          {old, nil},
		"another shard":    {old, []lake.DataFile{elsewhere}},
		"what may be gone": {old, []lake.DataFile{lake.SetWrittenAt(merged[0], time.Now().Add(-30*time.Hour))}},
	} {
		if err := l.Replace(t.Context(), lake.Events, c.old, c.files); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got := len(files(t, load(t, l, lake.Events))); got != 4 {
		t.Errorf("%d files, want 4", got)
	}
}

// Rows of events, of changes and of dead letters count one by one; those of
// rollups merge, so fewer of them may take the place of more.
func TestReplaceGuardsRowsOfEveryTable(t *testing.T) {
	l := laketest.Lake(t, fastConfig())
	for _, table := range lake.Tables() {
		more, err := l.MakeFile(table, 0, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		fewer, err := l.MakeFile(table, 0, 0, 9)
		if err != nil {
			t.Fatal(err)
		}
		err = l.Replace(t.Context(), table, []lake.DataFile{more}, []lake.DataFile{fewer})
		guarded := err != nil && !errors.Is(err, lake.ErrInputsGone) // the next thing that is looked at
		if want := !slices.Contains(lake.Rollups(), table); guarded != want {
			t.Errorf("%s: 9 rows in the place of 10: %v; refused %t, want %t", table, err, guarded, want)
		}
	}
}
