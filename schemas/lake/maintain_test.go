package lake_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/iceberg-go/table"
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

// listCounter is an object store that counts how many manifest lists are read.
type listCounter struct {
	lake.ObjectStore
	lists int
}

func (s *listCounter) Get(ctx context.Context, key string) ([]byte, error) {
	if strings.Contains(key, "/snap-") {
		s.lists++
	}
	return s.ObjectStore.Get(ctx, key)
}

// TestExpireSnapshotsReadsFewLists expires one of many snapshots, as each minute
// does: it must not read all that are kept.
func TestExpireSnapshotsReadsFewLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := laketest.New()
		s := &listCounter{ObjectStore: w.Store}
		l, err := lake.Open(t.Context(), lake.Config{Bucket: laketest.Bucket, Memory: laketest.OverwriteFreed}, lake.NewCatalog(w.Pointers, s), s)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(30) {
			mustCommit(t, l, []lake.Cut{cut(t, l, 0, 10*i, 10*i+10)}, lake.Committed)
			time.Sleep(time.Minute)
		}
		s.lists = 0
		if err := l.ExpireSnapshots(t.Context(), lake.Events, 29*time.Minute+time.Second, 1); err != nil {
			t.Fatal(err)
		}
		if got := lake.LiveSnapshots(l, lake.Events); got != 30 || s.lists > 3 {
			t.Errorf("%d lists were read to expire one of %d snapshots", s.lists, got)
		}
	})
}

// setRef makes a branch or a tag of events show a snapshot, as another engine may.
func setRef(t *testing.T, l *lake.Lake, name string, snapshot int64, kind table.RefType) {
	t.Helper()
	if err := l.SetRef(t.Context(), lake.Events, name, snapshot, kind); err != nil {
		t.Fatal(err)
	}
}

// mergeAndAddAgain merges all files of l into one that has no object, and has
// another engine add f again.
func mergeAndAddAgain(t *testing.T, l *lake.Lake, f lake.DataFile) {
	t.Helper()
	old, merged := replacementOf(t, l)
	if err := l.Replace(t.Context(), lake.Events, old, merged); err != nil {
		t.Fatal(err)
	}
	if err := l.AddAgain(t.Context(), lake.Events, []lake.DataFile{f}); err != nil {
		t.Fatal(err)
	}
}

// TestExpireSnapshotsAfterAnotherEngine expires a snapshot of a table whose history
// another engine has changed: what any kept snapshot has must stay.
func TestExpireSnapshotsAfterAnotherEngine(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, l *lake.Lake, ids []int64, cuts []lake.Cut)
		keep   int
		want   []int // cuts whose file must be left
	}{
		"back to an earlier snapshot": {func(t *testing.T, l *lake.Lake, ids []int64, _ []lake.Cut) {
			setRef(t, l, table.MainBranch, ids[1], table.BranchRef)
		}, 10, []int{0, 1}},
		"back, and a cut again": {func(t *testing.T, l *lake.Lake, ids []int64, cuts []lake.Cut) {
			setRef(t, l, table.MainBranch, ids[2], table.BranchRef)
			mustCommit(t, l, []lake.Cut{cut(t, l, 1, 0, 5)}, lake.Committed)
			mustCommit(t, l, cuts[3:], lake.Committed)
		}, 2, []int{0, 1, 2, 3}},
		"a tag": {func(t *testing.T, l *lake.Lake, ids []int64, _ []lake.Cut) {
			setRef(t, l, "first", ids[0], table.TagRef)
		}, 2, []int{0, 1, 2, 3}},
		"a file again": {func(t *testing.T, l *lake.Lake, _ []int64, cuts []lake.Cut) {
			mergeAndAddAgain(t, l, cuts[1].Files[0])
		}, 2, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := laketest.New()
				l := open(t, w)
				var ids []int64
				var cuts []lake.Cut
				for i := range int64(4) {
					next := cut(t, l, 0, 10*i, 10*i+10)
					mustCommit(t, l, []lake.Cut{next}, lake.Committed)
					putData(t, w, next.Files)
					ids, cuts = append(ids, load(t, l, lake.Events).ID()), append(cuts, next)
				}
				c.change(t, l, ids, cuts)
				time.Sleep(time.Hour)
				if err := l.ExpireSnapshots(t.Context(), lake.Events, time.Minute, c.keep); err != nil {
					t.Fatal(err)
				}
				var want []string
				for _, i := range c.want {
					want = append(want, cuts[i].Files[0].Path)
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, eventKeys(t, w, ".parquet")); diff != "" {
					t.Errorf("data files (-want +got):\n%s", diff)
				}
			})
		})
	}
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

// TestMetadataFilesLiveAsLongAsSnapshots keeps each metadata file while the
// snapshot that it shows is live, and no longer.
func TestMetadataFilesLiveAsLongAsSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := laketest.New()
		l := open(t, w)
		const commits, young = 60, 15
		for i := range int64(commits) {
			time.Sleep(time.Minute)
			mustCommit(t, l, []lake.Cut{cut(t, l, 0, 10*i, 10*i+10)}, lake.Committed)
		}
		if got := len(eventKeys(t, w, ".metadata.json")); got != commits {
			t.Errorf("%d metadata files of %d snapshots", got, commits)
		}
		if err := l.ExpireSnapshots(t.Context(), lake.Events, young*time.Minute, 1); err != nil {
			t.Fatal(err)
		}
		mustCommit(t, l, []lake.Cut{cut(t, l, 0, 10*commits, 10*commits+10)}, lake.Committed)
		snapshots, metadata := len(eventKeys(t, w, "/snap-")), len(eventKeys(t, w, ".metadata.json"))
		if snapshots != young+2 || metadata != snapshots+1 { // and the one that expiry wrote
			t.Errorf("%d metadata files of %d snapshots, want %d of %d", metadata, snapshots, young+3, young+2)
		}
	})
}

// TestOldTablesKeepTheirMetadata raises the limit of a table of the version before.
func TestOldTablesKeepTheirMetadata(t *testing.T) {
	w := laketest.New()
	l := open(t, w)
	if err := l.SetProperty(t.Context(), lake.Events, table.MetadataPreviousVersionsMaxKey, "20"); err != nil {
		t.Fatal(err)
	}
	l = open(t, w)
	for i := range int64(30) {
		mustCommit(t, l, []lake.Cut{cut(t, l, 0, 10*i, 10*i+10)}, lake.Committed)
	}
	if got := len(eventKeys(t, w, ".metadata.json")); got < 30 {
		t.Errorf("%d metadata files after 30 commits", got)
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
