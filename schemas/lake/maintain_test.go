package lake_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// putData puts the object of a data file that MakeFile only describes.
func putData(t *testing.T, w *laketest.Backend, fs []lake.DataFile) {
	t.Helper()
	for _, f := range fs {
		if err := w.Store.Put(t.Context(), f.Path, []byte("rows")); err != nil {
			t.Fatal(err)
		}
	}
}

// eventKeys lists the objects of events whose key has part.
func eventKeys(t *testing.T, w *laketest.Backend, part string) []string {
	t.Helper()
	var found []string
	for o, err := range w.Store.List(t.Context(), "events/") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Key, part) {
			found = append(found, o.Key)
		}
	}
	return found
}

func TestExpireSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := laketest.New()
		l := open(t, w)
		threeCuts(t, l)
		old, merged := replacementOf(t, l)
		putData(t, w, slices.Concat(old, merged))
		if err := l.Replace(t.Context(), lake.Events, old, merged); err != nil {
			t.Fatal(err)
		}
		held := load(t, l, lake.Events)
		before := held.ShardStates()

		time.Sleep(30 * time.Minute)
		if err := l.ExpireSnapshots(t.Context(), lake.Events, time.Hour, 1); err != nil {
			t.Fatal(err)
		}
		if got := len(eventKeys(t, w, ".parquet")); got != 4 {
			t.Errorf("%d data files are left while snapshots are young, want 4", got)
		}
		time.Sleep(time.Hour)
		if err := l.ExpireSnapshots(t.Context(), lake.Events, time.Hour, 1); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{merged[0].Path}, eventKeys(t, w, ".parquet")); diff != "" {
			t.Errorf("data files (-want +got):\n%s", diff)
		}
		if got := eventKeys(t, w, "/snap-"); len(got) != 1 {
			t.Errorf("manifest lists = %q, want one", got)
		}

		// Everything that is left can be read, and written to.
		again := open(t, w)
		s := load(t, again, lake.Events)
		if s.ID() != held.ID() || !maps.Equal(s.ShardStates(), before) || len(files(t, s)) != 2 {
			t.Errorf("snapshot %d with %v and %q", s.ID(), s.ShardStates(), files(t, s))
		}
		mustCommit(t, again, []lake.Cut{cut(t, again, 0, 30, 40)}, lake.Committed)
	})
}

func TestExpireSnapshotsKeepsTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := laketest.New()
		l := open(t, w)
		for i := range int64(10) {
			mustCommit(t, l, []lake.Cut{cut(t, l, 0, 10*i, 10*i+10)}, lake.Committed)
		}
		time.Sleep(48 * time.Hour)
		if err := l.ExpireSnapshots(t.Context(), lake.Events, time.Hour, 4); err != nil {
			t.Fatal(err)
		}
		if got := len(eventKeys(t, w, "/snap-")); got != 4 {
			t.Errorf("%d snapshots are left, want 4", got)
		}
		if got := len(files(t, load(t, open(t, w), lake.Events))); got != 10 {
			t.Errorf("%d files, want 10", got)
		}
	})
}

func TestMetadataStaysSmall(t *testing.T) {
	w := laketest.New()
	l := open(t, w)
	for i := range int64(60) {
		mustCommit(t, l, []lake.Cut{cut(t, l, 0, 10*i, 10*i+10)}, lake.Committed)
	}
	if got := len(eventKeys(t, w, ".metadata.json")); got > 25 {
		t.Errorf("%d metadata files after 60 commits", got)
	}
	s := load(t, l, lake.Events)
	if got := len(files(t, s)); got != 60 {
		t.Errorf("%d files, want 60", got)
	}
}

// TestOrphans deletes the files of failed attempts, and none that is in use.
func TestOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := laketest.New()
		l := open(t, w)
		threeCuts(t, l)
		used, _ := replacementOf(t, l)
		putData(t, w, used)
		for _, step := range []laketest.Step{laketest.PutList, laketest.PutMetadata, laketest.Swap} {
			w.Faults.Once(step, laketest.Applied)
			next := load(t, l, lake.Events).ShardStates()[0].Next
			mustCommit(t, l, []lake.Cut{cut(t, l, 0, next, next+10)}, lake.Committed)
		}
		w.Faults.Set(nil)
		orphan, err := l.MakeFile(lake.Events, 0, 500, 10)
		if err != nil {
			t.Fatal(err)
		}
		statistics := "events/metadata/numbers.puffin"
		if err := w.Store.Put(t.Context(), statistics, nil); err != nil {
			t.Fatal(err)
		}
		putData(t, w, []lake.DataFile{orphan})
		before := files(t, load(t, l, lake.Events))

		if n, err := l.DeleteOrphans(t.Context(), 7*24*time.Hour); n != 0 || err != nil {
			t.Errorf("deleted %d young files, %v", n, err)
		}
		time.Sleep(8 * 24 * time.Hour)
		n, err := l.DeleteOrphans(t.Context(), 7*24*time.Hour)
		if err != nil || n < 3 {
			t.Errorf("deleted %d orphans, %v; want the data file and those of failed attempts", n, err)
		}
		if got := eventKeys(t, w, ".parquet"); len(got) != len(used) || slices.Contains(got, orphan.Path) {
			t.Errorf("data files left: %q", got)
		}
		if len(eventKeys(t, w, statistics)) != 1 {
			t.Error("a file of a kind that is not ours was deleted")
		}
		if diff := cmp.Diff(before, files(t, load(t, open(t, w), lake.Events))); diff != "" {
			t.Errorf("files (-before +after):\n%s", diff)
		}
		if n, err := l.DeleteOrphans(t.Context(), 7*24*time.Hour); n != 0 || err != nil {
			t.Errorf("deleted %d more, %v", n, err)
		}
		if _, err := l.DeleteOrphans(t.Context(), time.Hour); err == nil {
			t.Error("files an hour old were taken for orphans")
		}
	})
}
