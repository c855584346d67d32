package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/schemas/lake"
)

const (
	maxGroupsPerCommit = 256      // groups that one commit replaces
	maxBytesPerCommit  = 32 << 20 // of the data files of such groups; a larger group is replaced alone
)

// CompactOptions limit what Compact merges. The zero value merges all data files to
// one per shard, partition and table, in rounds of runsPerMerge.
type CompactOptions struct {
	Tables []lake.Table           // nil means all
	Owned  func(shard int32) bool // limits Compact to the shards for which it returns true; nil means all
	Due    bool                   // merges only what runPlan finds due, so that a row is rewritten once per level and not once per cut
	Now    time.Time              // tells which shards are quiet, if Due
}

// CompactResult counts what Compact has done.
type CompactResult struct {
	Merged  int   // data files that were replaced
	Written int   // data files that replaced them
	Bytes   int64 // of the files written
	Skipped int   // groups whose files another writer had replaced meanwhile

	Live       int      // data files of the tables when Compact began
	Waiting    int      // data files that waited to be merged when Compact began
	Unreadable []string // data files that cannot be read and so were left alone; at most maxUnreadable a table
}

// Compact merges the small data files of l. It may run beside processors and beside
// other compactions: before a group is replaced, the table is loaded and must
// still list all of its files. A group that has lost one is skipped, and the file
// written for it becomes an orphan. Without that check a row that another
// compaction or an erasure has rewritten would be in the table twice, or come
// back.
//
// The shard states of the tables do not change. One group is merged at a time, so that
// memory is that of one merge. Small groups are replaced by one commit, since a
// commit reads all manifests of the table.
//
// What fails is left as it is, and everything else is compacted all the same: one
// unreadable data file must not stop what lies behind it. The error joins all of them.
func Compact(ctx context.Context, l *lake.Lake, opts CompactOptions) (CompactResult, error) {
	var sum CompactResult
	tables := opts.Tables
	if tables == nil {
		tables = lake.Tables()
	}
	var errs []error
	for _, t := range tables {
		if err := sum.compactTable(ctx, l, t, opts); err != nil {
			errs = append(errs, fmt.Errorf("compact %s: %w", t, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return sum, errors.Join(errs...)
}

// compactTable merges the groups of t, once if only what is due, else until that makes
// no fewer files.
func (r *CompactResult) compactTable(ctx context.Context, l *lake.Lake, t lake.Table, opts CompactOptions) error {
	found := &unreadable{}
	defer func() { r.Unreadable = append(r.Unreadable, found.paths...) }()
	for round := 0; ; round++ {
		before := *r
		groups, files, err := opts.groups(ctx, l, t, found)
		if round == 0 {
			r.Live += files
			r.Waiting += countFiles(groups)
		}
		if err == nil {
			err = r.compactGroups(ctx, l, t, groups, found)
		}
		// Files that another writer replaces, or that are too large to become fewer,
		// would otherwise be tried for ever.
		fewer := r.Merged-before.Merged > r.Written-before.Written
		if err != nil || opts.Due || !fewer || found.many() {
			return errors.Join(append(found.errs, err)...)
		}
	}
}

// compactGroups merges groups.
func (r *CompactResult) compactGroups(ctx context.Context, l *lake.Lake, t lake.Table, groups [][]lake.DataFile, found *unreadable) error {
	var errs []error
	for _, batch := range commitBatches(groups) {
		merged, err := mergeAll(ctx, l, t, batch, found)
		errs = append(errs, err)
		if len(merged) > 0 {
			errs = append(errs, r.replace(ctx, l, t, merged))
		}
		if ctx.Err() != nil || found.many() {
			break
		}
	}
	return errors.Join(errs...)
}

// replacement is a group of data files and the files that replace them.
type replacement struct {
	old, made []lake.DataFile
}

// commitBatches returns the groups in batches, each to be replaced by one commit.
func commitBatches(groups [][]lake.DataFile) [][][]lake.DataFile {
	var out [][][]lake.DataFile
	var size int64
	for _, g := range groups {
		bytes := totalBytes(g)
		if len(out) == 0 || size+bytes > maxBytesPerCommit || len(out[len(out)-1]) == maxGroupsPerCommit {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], g)
		size += bytes
	}
	return out
}

func totalBytes(files []lake.DataFile) (bytes int64) {
	for _, f := range files {
		bytes += f.Bytes
	}
	return bytes
}

func countFiles(groups [][]lake.DataFile) (n int) {
	for _, g := range groups {
		n += len(g)
	}
	return n
}

// mergeAll merges each group, and returns those that it could merge.
func mergeAll(ctx context.Context, l *lake.Lake, t lake.Table, groups [][]lake.DataFile, found *unreadable) ([]replacement, error) {
	var out []replacement
	var errs []error
	for _, group := range groups {
		r, err := mergeReadable(ctx, l, t, group, found)
		if len(r.old) > 0 {
			out = append(out, r)
		}
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// mergeReadable merges the files of a group that can be read. It returns the zero
// replacement when fewer are left than a merge is for: two, or one of a spec before.
func mergeReadable(ctx context.Context, l *lake.Lake, t lake.Table, group []lake.DataFile, found *unreadable) (replacement, error) {
	for least := min(len(group), 2); len(group) >= least && !found.many(); {
		made, err := l.Merge(ctx, t, group)
		if err == nil {
			return replacement{old: group, made: made}, nil
		}
		bad, ok := errors.AsType[*lake.FileError](err)
		if !ok || ctx.Err() != nil {
			return replacement{}, err
		}
		found.add(bad)
		group = slices.DeleteFunc(slices.Clone(group), func(f lake.DataFile) bool { return f.Path == bad.Path })
		if len(group) == 0 {
			break
		}
	}
	return replacement{}, nil
}

// maxUnreadable is how many data files of a table may be unreadable until a compaction
// gives up: then it is the store that cannot be read.
const maxUnreadable = 20

// unreadable collects the data files of one table that cannot be read.
type unreadable struct {
	mu    sync.Mutex // guards what follows
	paths []string
	errs  []error
}

func (u *unreadable) add(e *lake.FileError) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.paths) < maxUnreadable && !slices.Contains(u.paths, e.Path) {
		u.paths, u.errs = append(u.paths, e.Path), append(u.errs, e)
	}
}

func (u *unreadable) has(path string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Contains(u.paths, path)
}

func (u *unreadable) many() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.paths) >= maxUnreadable
}

// replace commits the replacement of all groups at once, or, if another writer has
// replaced a file of one of them, of each group alone.
func (r *CompactResult) replace(ctx context.Context, l *lake.Lake, t lake.Table, groups []replacement) error {
	var all replacement
	for _, g := range groups {
		all.old, all.made = append(all.old, g.old...), append(all.made, g.made...)
	}
	err := l.Replace(ctx, t, all.old, all.made)
	if errors.Is(err, lake.ErrInputsGone) {
		if len(groups) == 1 {
			r.Skipped++
			return nil
		}
		for _, g := range groups {
			if err := r.replace(ctx, l, t, []replacement{g}); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return err
	}
	r.Merged += len(all.old)
	r.Written += len(all.made)
	r.Bytes += totalBytes(all.made)
	return nil
}
