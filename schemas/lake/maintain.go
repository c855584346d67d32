package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
	"golang.org/x/sync/errgroup"
)

// minOrphanAge is the youngest a file may be to be deleted as an orphan. A cut
// may be committed for a day (Config.MaxCutAge) after its files were put, and
// the clocks of processes and store differ; the second day is the margin.
const minOrphanAge = 2 * 24 * time.Hour

// deleteBatch is how many objects one request deletes.
const deleteBatch = 500

// ExpireSnapshots drops the snapshots of t that are older than olderThan,
// except the newest keep ones, and deletes the files that only they had. A
// query that reads an expired snapshot fails, so olderThan must be longer than
// the longest query. Files that an error keeps from being deleted are left to
// DeleteOrphans.
func (l *Lake) ExpireSnapshots(ctx context.Context, t Table, olderThan time.Duration, keep int) error {
	before, after, err := l.expireSnapshots(ctx, t, olderThan, keep)
	if err != nil || before == nil {
		return err
	}
	// Only now may files be deleted: the shorter list of snapshots is committed,
	// every later commit builds on it, and so no snapshot can refer again to what
	// only the dropped ones had.
	if err := l.deleteUnreachable(ctx, before, after); err != nil {
		return fmt.Errorf("delete files of expired snapshots of %s: %w", t, err)
	}
	return nil
}

// expireSnapshots commits the shorter list of snapshots and returns the
// metadata before and after it, nil when no snapshot was old enough.
func (l *Lake) expireSnapshots(ctx context.Context, t Table, olderThan time.Duration, keep int) (before, after table.Metadata, err error) {
	st := l.tables[t]
	st.commitMu.Lock()
	defer st.commitMu.Unlock()

	err = l.retryCommit(ctx, func() (string, error) {
		base, err := l.Load(ctx, t)
		if err != nil {
			return "", err
		}
		before, after = nil, nil
		tx, err := base.tbl.NewTransactionOnBranchWithError(table.MainBranch)
		if err != nil {
			return base.metadataLocation, err
		}
		err = tx.ExpireSnapshots(table.WithOlderThan(olderThan), table.WithRetainLast(max(keep, 1)), table.WithPostCommit(false))
		if err != nil {
			return base.metadataLocation, err
		}
		done, err := tx.Commit(ctx)
		if err != nil {
			return base.metadataLocation, err
		}
		if done.MetadataLocation() != base.metadataLocation {
			before, after = base.tbl.Metadata(), done.Metadata()
		}
		return base.metadataLocation, nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("expire snapshots of %s: %w", t, err)
	}
	return before, after, nil
}

// deleteUnreachable deletes the files that can be reached from before and not
// from after.
func (l *Lake) deleteUnreachable(ctx context.Context, before, after table.Metadata) error {
	kept, err := l.reachable(ctx, nearest(before.Snapshots(), after.Snapshots()), nil)
	if err != nil {
		return err
	}
	dropped := slices.DeleteFunc(slices.Clone(before.Snapshots()), func(s table.Snapshot) bool {
		return after.SnapshotByID(s.SnapshotID) != nil
	})
	gone, err := l.reachable(ctx, dropped, kept)
	if err != nil {
		return err
	}
	var keys []string
	for key := range gone {
		if !kept[key] {
			keys = append(keys, key)
		}
	}
	return l.deleteAll(ctx, keys)
}

// nearest returns those of the kept snapshots after that must be looked at to know
// which files of the dropped ones of before are still in use. It is the oldest
// alone, if Weir made each snapshot on the one before and the oldest ones were
// dropped: Weir adds a file once, so what has left a table does not come back, and
// what the oldest lacks, later ones lack too. If another engine has gone back to an
// earlier snapshot, or made a branch, a tag or a snapshot, it is all of them.
func nearest(before, after []table.Snapshot) []table.Snapshot {
	before, after = inOrder(before), inOrder(after)
	if len(after) == 0 || !isChain(before) || !isChain(after) || after[len(after)-1].SnapshotID != before[len(before)-1].SnapshotID {
		return after
	}
	return after[:1]
}

// inOrder returns snapshots in the order in which they were committed.
func inOrder(snapshots []table.Snapshot) []table.Snapshot {
	return slices.SortedStableFunc(slices.Values(snapshots), func(a, b table.Snapshot) int {
		return cmp.Compare(a.SequenceNumber, b.SequenceNumber)
	})
}

// isChain reports whether Weir made all of snapshots, each on the one before.
func isChain(snapshots []table.Snapshot) bool {
	for i, s := range snapshots {
		if s.Summary == nil || s.Summary.Properties[shardStatesProperty] == "" {
			return false
		}
		if i > 0 && (s.ParentSnapshotID == nil || *s.ParentSnapshotID != snapshots[i-1].SnapshotID) {
			return false
		}
	}
	return true
}

// DeleteOrphans deletes the files of all tables that no snapshot refers to and
// that are older than olderThan, which must be two days at least, and returns
// how many it deleted. Orphans are the files of attempts that failed or whose
// result stayed unknown: writers never delete those themselves. See
// schemas/DESIGN.md "After an error".
func (l *Lake) DeleteOrphans(ctx context.Context, olderThan time.Duration) (int, error) {
	if olderThan < minOrphanAge {
		return 0, fmt.Errorf("delete orphans: %s is too young, the least is %s", olderThan, minOrphanAge)
	}
	deleted := 0
	for _, t := range Tables() {
		n, err := l.deleteOrphans(ctx, t, time.Now().Add(-olderThan))
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("delete orphans of %s: %w", t, err)
		}
	}
	return deleted, nil
}

// deleteOrphans deletes the orphans of t that were last modified before that
// time. It lists the objects first and looks afterwards at what is in use: a
// file that is put and committed in between is then seen as used. The other
// order would delete it.
func (l *Lake) deleteOrphans(ctx context.Context, t Table, before time.Time) (int, error) {
	var old []string
	for o, err := range l.store.List(ctx, l.tableKey(t)+"/") {
		if err != nil {
			return 0, fmt.Errorf("list: %w", err)
		}
		if o.Modified.Before(before) {
			old = append(old, o.Key)
		}
	}
	if len(old) == 0 {
		return 0, nil
	}
	s, err := l.Load(ctx, t)
	if err != nil {
		return 0, err
	}
	meta := s.tbl.Metadata()
	used, err := l.reachable(ctx, meta.Snapshots(), nil)
	if err != nil {
		return 0, err
	}
	used[objectKey(s.metadataLocation)] = true
	for e := range meta.PreviousFiles() {
		used[objectKey(e.MetadataFile)] = true
	}
	old = slices.DeleteFunc(old, func(key string) bool { return used[key] || isForeign(key) })
	return len(old), l.deleteAll(ctx, old)
}

// isForeign reports whether key is of a kind that Weir does not write; Iceberg
// has other ways to refer to such files, for instance to statistics.
func isForeign(key string) bool {
	return !slices.ContainsFunc([]string{".parquet", ".avro", ".metadata.json"}, func(suffix string) bool {
		return strings.HasSuffix(key, suffix)
	})
}

// reachable returns the keys of the manifest lists, manifests and data files of
// snapshots. It does not open manifests in known, whose files are in known too.
func (l *Lake) reachable(ctx context.Context, snapshots []table.Snapshot, known map[string]bool) (map[string]bool, error) {
	var mu sync.Mutex // guards keys
	keys := map[string]bool{}
	claim := func(uri string) bool {
		mu.Lock()
		defer mu.Unlock()
		key := objectKey(uri)
		fresh := !keys[key] && !known[key]
		keys[key] = true
		return fresh
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(manifestReaders)
	for _, s := range snapshots {
		g.Go(func() error {
			files := fileIO{ctx: ctx, store: l.store}
			claim(s.ManifestList)
			manifests, err := s.Manifests(files)
			if err != nil {
				return fmt.Errorf("read manifests of snapshot %d: %w", s.SnapshotID, err)
			}
			for _, m := range manifests {
				if !claim(m.FilePath()) {
					continue
				}
				if err := claimEntries(m, files, claim); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return keys, g.Wait()
}

// claimEntries claims the live data files of m.
func claimEntries(m iceberg.ManifestFile, files fileIO, claim func(uri string) bool) error {
	for entry, err := range m.Entries(files, true) {
		if err != nil {
			return fmt.Errorf("read manifest %s: %w", m.FilePath(), err)
		}
		claim(entry.DataFile().FilePath())
	}
	return nil
}

// deleteAll deletes keys in batches. It goes on after an error, so that one
// batch cannot keep the others from being deleted.
func (l *Lake) deleteAll(ctx context.Context, keys []string) error {
	var errs []error
	for batch := range slices.Chunk(keys, deleteBatch) {
		if err := l.store.Delete(ctx, batch...); err != nil {
			errs = append(errs, fmt.Errorf("delete %d objects: %w", len(batch), err))
		}
	}
	return errors.Join(errs...)
}
