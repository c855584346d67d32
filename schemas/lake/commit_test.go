package lake_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// fastConfig is a Config whose retries cost no time.
func fastConfig() lake.Config { return lake.Config{Backoff: time.Nanosecond} }

// state is a shard at next, having begun at 0, with everything stored.
func state(next int64) lake.ShardState {
	return lake.ShardState{Next: next, LogTime: 1000 + next, Counters: lake.Counters{Stored: next}}
}

// cut is a cut of events of shard from one offset to the next, with one file of its rows.
func cut(t testing.TB, l *lake.Lake, shard int32, from, to int64) lake.Cut {
	t.Helper()
	f, err := l.MakeFile(lake.Events, shard, from, to-from)
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("cut-%d-%d-%d", shard, from, to)
	return lake.Cut{ID: id, Shard: shard, From: from, To: state(to), Files: []lake.DataFile{f}, Sealed: time.Now()}
}

func open(t testing.TB, w *laketest.Backend) *lake.Lake {
	t.Helper()
	l, err := w.Open(t.Context(), fastConfig())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func load(t testing.TB, l *lake.Lake, tbl lake.Table) *lake.Snapshot {
	t.Helper()
	s, err := l.Load(t.Context(), tbl)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func files(t testing.TB, s *lake.Snapshot) []string {
	t.Helper()
	list, err := s.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range list {
		paths = append(paths, fmt.Sprintf("shard %d, %d rows from %d", f.Shard, f.Rows, f.Min.Offset))
	}
	return paths
}

// mustCommit commits cuts and expects outcomes.
func mustCommit(t testing.TB, l *lake.Lake, cuts []lake.Cut, want ...lake.Outcome) {
	t.Helper()
	got, err := l.Commit(t.Context(), lake.Events, cuts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("outcomes (-want +got):\n%s", diff)
	}
}

func TestAdvance(t *testing.T) {
	at := func(next int64, cut string) lake.ShardState {
		s := state(next)
		s.Cut = cut
		return s
	}
	to := func(id string, from, next int64) lake.Cut {
		return lake.Cut{ID: id, Shard: 1, From: from, To: state(next)}
	}
	erased := at(10, "a")
	erased.Counters.Erased, erased.First, erased.LogTime = 3, 4, 5000
	later := at(20, "b")
	later.Counters.Erased, later.First, later.LogTime = 3, 4, 5000

	for _, c := range []struct {
		name    string
		current lake.ShardStates
		cut     lake.Cut
		want    lake.ShardStates
		outcome lake.Outcome
	}{
		{"the first of a shard", nil, to("a", 0, 10), lake.ShardStates{1: at(10, "a")}, lake.Committed},
		{"the first of a shard, from elsewhere", nil, to("a", 5, 10), lake.ShardStates{}, lake.Conflict},
		{"where it starts", lake.ShardStates{1: at(10, "a")}, to("b", 10, 20), lake.ShardStates{1: at(20, "b")}, lake.Committed},
		{"ours already", lake.ShardStates{1: at(20, "b")}, to("b", 10, 20), lake.ShardStates{1: at(20, "b")}, lake.Committed},
		{"at its end by somebody else", lake.ShardStates{1: at(20, "x")}, to("b", 10, 20), lake.ShardStates{1: at(20, "x")}, lake.AlreadyApplied},
		{"past its end", lake.ShardStates{1: at(30, "x")}, to("b", 10, 20), lake.ShardStates{1: at(30, "x")}, lake.AlreadyApplied},
		{"in the middle", lake.ShardStates{1: at(15, "x")}, to("b", 10, 20), lake.ShardStates{1: at(15, "x")}, lake.Conflict},
		{"before its start", lake.ShardStates{1: at(5, "x")}, to("b", 10, 20), lake.ShardStates{1: at(5, "x")}, lake.Conflict},
		{"of nothing", lake.ShardStates{1: at(10, "x")}, to("b", 10, 10), lake.ShardStates{1: at(10, "x")}, lake.AlreadyApplied},
		{"other shards stay", lake.ShardStates{0: at(7, "o"), 1: at(10, "a")}, to("b", 10, 20), lake.ShardStates{0: at(7, "o"), 1: at(20, "b")}, lake.Committed},
		{"beginning, erasures and log time stay", lake.ShardStates{1: erased}, to("b", 10, 20), lake.ShardStates{1: later}, lake.Committed},
	} {
		got, outcomes := lake.Advance(c.current, []lake.Cut{c.cut})
		if diff := cmp.Diff(c.want, got); diff != "" || outcomes[0] != c.outcome {
			t.Errorf("%s: outcome %v, want %v; shard states (-want +got):\n%s", c.name, outcomes[0], c.outcome, diff)
		}
	}
}

func TestAdvanceDropsOneShardAlone(t *testing.T) {
	current := lake.ShardStates{0: state(10), 1: state(15), 2: state(10)}
	cuts := []lake.Cut{
		{ID: "a", Shard: 0, From: 10, To: state(20)},
		{ID: "b", Shard: 1, From: 10, To: state(20)},
		{ID: "c", Shard: 2, From: 10, To: state(20)},
	}
	next, outcomes := lake.Advance(current, cuts)
	if diff := cmp.Diff([]lake.Outcome{lake.Committed, lake.Conflict, lake.Committed}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if next[0].Next != 20 || next[1] != current[1] || next[2].Next != 20 {
		t.Errorf("shard states = %v", next)
	}
	if current[0].Next != 10 {
		t.Error("the current shard states were changed")
	}
}

func TestCommitCarriesFilesAndShardsTogether(t *testing.T) {
	l := laketest.Lake(t, fastConfig())
	mustCommit(t, l, []lake.Cut{cut(t, l, 0, 0, 10), cut(t, l, 1, 0, 5)}, lake.Committed, lake.Committed)
	mustCommit(t, l, []lake.Cut{cut(t, l, 1, 5, 7)}, lake.Committed)

	s := load(t, l, lake.Events)
	if s.ShardStates()[0].Next != 10 || s.ShardStates()[1].Next != 7 || s.ShardStates()[1].Cut != "cut-1-5-7" {
		t.Errorf("shard states = %v", s.ShardStates())
	}
	want := []string{"shard 1, 2 rows from 5", "shard 0, 10 rows from 0", "shard 1, 5 rows from 0"}
	if diff := cmp.Diff(want, files(t, s)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// An owner's cut that holds only duplicates moves the offset from 100 to 150.
// Without a snapshot of its own, a zombie's cut to 120 would then be accepted:
// properties alone do not move the snapshot that a commit asserts.
func TestZombieAgainstCutOfDuplicates(t *testing.T) {
	w := laketest.New()
	owner, zombie := open(t, w), open(t, w)
	mustCommit(t, owner, []lake.Cut{cut(t, owner, 0, 0, 100)}, lake.Committed)
	load(t, zombie, lake.Events)

	before := load(t, owner, lake.Events).ID()
	duplicates := lake.Cut{ID: "duplicates", From: 100, To: state(150), Sealed: time.Now()}
	mustCommit(t, owner, []lake.Cut{duplicates}, lake.Committed)
	if load(t, owner, lake.Events).ID() == before {
		t.Error("a cut without files made no snapshot")
	}
	mustCommit(t, zombie, []lake.Cut{cut(t, zombie, 0, 100, 120)}, lake.AlreadyApplied)
	if got := load(t, zombie, lake.Events).ShardStates()[0].Next; got != 150 {
		t.Errorf("next = %d, want 150", got)
	}
}

// Each step fails once, as lost and as applied; the cut is in the table once,
// whether the same process goes on or another one starts.
func TestCommitCrashTable(t *testing.T) {
	kinds := map[string]laketest.Kind{"lost": laketest.Lost, "applied": laketest.Applied, "late": laketest.Late}
	for _, step := range laketest.Steps()[1:] { // data files are put before Commit
		for name, kind := range kinds {
			t.Run(fmt.Sprintf("%s %s", step, name), func(t *testing.T) {
				w := laketest.New()
				l := open(t, w)
				mustCommit(t, l, []lake.Cut{cut(t, l, 0, 0, 10), cut(t, l, 1, 0, 10)}, lake.Committed, lake.Committed)
				c := cut(t, l, 0, 10, 20)

				w.Faults.Once(step, kind)
				mustCommit(t, l, []lake.Cut{c}, lake.Committed)
				w.Faults.Deliver()

				restarted := open(t, w)
				mustCommit(t, restarted, []lake.Cut{c}, lake.Committed)
				mustCommit(t, restarted, []lake.Cut{cut(t, restarted, 0, 20, 30)}, lake.Committed)
				want := []string{"shard 0, 10 rows from 20", "shard 0, 10 rows from 10", "shard 0, 10 rows from 0", "shard 1, 10 rows from 0"}
				if diff := cmp.Diff(want, files(t, load(t, l, lake.Events))); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// An attempt that timed out is applied just before the one that repeats it.
func TestCommitLateBeforeItsRepetition(t *testing.T) {
	w := laketest.New()
	l := open(t, w)
	swaps := 0
	w.Faults.Set(func(s laketest.Step) laketest.Kind {
		if s != laketest.Swap {
			return laketest.None
		}
		swaps++
		if swaps == 1 {
			return laketest.Late
		}
		w.Faults.Deliver()
		return laketest.None
	})
	mustCommit(t, l, []lake.Cut{cut(t, l, 0, 0, 10)}, lake.Committed)
	if diff := cmp.Diff([]string{"shard 0, 10 rows from 0"}, files(t, load(t, l, lake.Events))); diff != "" || swaps != 2 {
		t.Errorf("%d swaps; files (-want +got):\n%s", swaps, diff)
	}
}

// The process dies with the step: its error reaches nobody.
func TestCommitCrashAtEachStep(t *testing.T) {
	kinds := map[string]laketest.Kind{"lost": laketest.Lost, "applied": laketest.Applied}
	for _, step := range laketest.Steps()[1:] {
		for name, kind := range kinds {
			t.Run(fmt.Sprintf("%s %s", step, name), func(t *testing.T) {
				w := laketest.New()
				l := open(t, w)
				mustCommit(t, l, []lake.Cut{cut(t, l, 0, 0, 10)}, lake.Committed)
				w.Faults.Set(func(s laketest.Step) laketest.Kind {
					if s == step {
						return kind
					}
					return laketest.None
				})
				c := cut(t, l, 0, 10, 20)
				_, err := l.Commit(t.Context(), lake.Events, []lake.Cut{c})
				wantErr := kind != laketest.Applied || step != laketest.Swap // that one is found by its id
				if wantErr != errors.Is(err, laketest.ErrInjected) {
					t.Fatalf("commit while %s fails: %v", step, err)
				}

				w.Faults.Set(nil)
				next := open(t, w)
				from := load(t, next, lake.Events).ShardStates()[0].Next
				if want := map[bool]int64{true: 10, false: 20}[wantErr]; from != want {
					t.Fatalf("next = %d after the crash, want %d", from, want)
				}
				mustCommit(t, next, []lake.Cut{cut(t, next, 0, from, 30)}, lake.Committed)
				rows := int64(0)
				list, err := load(t, next, lake.Events).Files(t.Context())
				for _, f := range list {
					rows += f.Rows
				}
				if err != nil || rows != 30 {
					t.Errorf("%d rows, %v; want 30", rows, err)
				}
			})
		}
	}
}

func TestCommitMeetsAnotherWriter(t *testing.T) {
	w := laketest.New()
	a, b := open(t, w), open(t, w)
	mustCommit(t, a, []lake.Cut{cut(t, a, 0, 0, 10)}, lake.Committed)
	load(t, b, lake.Events)
	other := cut(t, a, 1, 0, 10)
	w.Faults.Set(func(s laketest.Step) laketest.Kind {
		if s == laketest.PutMetadata { // b has checked, and has not yet swapped
			w.Faults.Set(nil)
			mustCommit(t, a, []lake.Cut{other}, lake.Committed)
		}
		return laketest.None
	})
	mustCommit(t, b, []lake.Cut{cut(t, b, 0, 10, 20)}, lake.Committed)
	if got := load(t, b, lake.Events).ShardStates(); got[0].Next != 20 || got[1].Next != 10 {
		t.Errorf("shard states = %v, want shard 0 at 20 and shard 1 at 10", got)
	}
}

// loadHook is a catalog that calls before, once, ahead of the n-th look at where a
// table is.
type loadHook struct {
	*laketest.Pointers
	n      int
	before func()
}

func (h *loadHook) Location(ctx context.Context, name string) (string, error) {
	if h.n--; h.n == 0 {
		h.before()
	}
	return h.Pointers.Location(ctx, name)
}

// Another owner of the same shard commits at any moment of our commit. Ours is then
// refused, whichever load it was checked on.
func TestCommitMeetsAnotherOwner(t *testing.T) {
	story := func(t *testing.T, w *laketest.Backend, hook *loadHook, meet func(before func())) {
		t.Helper()
		theirs := open(t, w)
		ours, err := lake.Open(t.Context(), lake.Config{Bucket: laketest.Bucket, Backoff: time.Nanosecond}, lake.NewCatalog(hook, w.Store), w.Store)
		if err != nil {
			t.Fatal(err)
		}
		mustCommit(t, theirs, []lake.Cut{cut(t, theirs, 0, 0, 10)}, lake.Committed)
		load(t, ours, lake.Events)
		met := false
		meet(func() {
			met = true
			mustCommit(t, theirs, []lake.Cut{cut(t, theirs, 0, 10, 15)}, lake.Committed)
		})
		mustCommit(t, ours, []lake.Cut{cut(t, ours, 0, 10, 20)}, lake.Conflict)
		want := []string{"shard 0, 5 rows from 10", "shard 0, 10 rows from 0"}
		if diff := cmp.Diff(want, files(t, load(t, ours, lake.Events))); diff != "" || !met {
			t.Errorf("met %t; files (-want +got):\n%s", met, diff)
		}
	}
	for n := range 2 {
		t.Run(fmt.Sprintf("before load %d", n+1), func(t *testing.T) {
			w := laketest.New()
			hook := &loadHook{Pointers: w.Pointers}
			story(t, w, hook, func(before func()) { hook.n, hook.before = n+1, before })
		})
	}
	for _, step := range laketest.Steps()[1:] {
		t.Run("before "+string(step), func(t *testing.T) {
			w := laketest.New()
			story(t, w, &loadHook{Pointers: w.Pointers}, func(before func()) {
				w.Faults.Set(func(s laketest.Step) laketest.Kind {
					if s == step {
						w.Faults.Set(nil)
						before()
					}
					return laketest.None
				})
			})
		})
	}
}

func TestCommitDropsOldCuts(t *testing.T) {
	l := laketest.Lake(t, fastConfig())
	old := cut(t, l, 0, 0, 10)
	old.Sealed = time.Now().Add(-25 * time.Hour)
	mustCommit(t, l, []lake.Cut{old, cut(t, l, 1, 0, 10)}, lake.Conflict, lake.Committed)
	if _, known := load(t, l, lake.Events).ShardStates()[0]; known {
		t.Error("the old cut shows")
	}
}

// A cut that the table shows stays committed, however old it is.
func TestOldCutThatWasAppliedStaysCommitted(t *testing.T) {
	at := state(10)
	at.Cut = "a"
	old := lake.Cut{ID: "a", To: state(10), Sealed: time.Now().Add(-48 * time.Hour)}
	_, outcomes := lake.AdvanceRecent(lake.ShardStates{0: at}, []lake.Cut{old}, time.Now())
	if outcomes[0] != lake.Committed {
		t.Errorf("outcome = %v, want committed", outcomes[0])
	}
}

func TestCommitRefusesContradictoryCuts(t *testing.T) {
	l := laketest.Lake(t, fastConfig())
	a := cut(t, l, 0, 0, 10)
	other := a
	other.Shard = 1
	back := lake.Cut{ID: "x", From: 10, To: state(5)}
	for name, cuts := range map[string][]lake.Cut{
		"two of a shard":          {a, a},
		"files of another shard":  {other},
		"an end before its start": {back},
		"no id":                   {{To: state(5)}},
	} {
		if _, err := l.Commit(t.Context(), lake.Events, cuts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
