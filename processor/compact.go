package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"weir/schemas/lake"
)

const (
	maxGroupsPerCommit = 256      // groups that one commit replaces
	maxBytesPerCommit  = 32 << 20 // of the data files of such groups; a larger group is replaced alone
	mergesAtOnce       = 4
	maxFilesPerMerge   = 8         // a merge holds a row group of each file; more files take several merges
	firstTierBytes     = 128 << 10 // a tier spans a factor of four in size, the first one ends at twice this
)

// CompactOptions limit what Compact merges. The zero value merges all data files to
// one per shard, partition and table, in rounds of maxFilesPerMerge.
type CompactOptions struct {
	Tables   []lake.Table           // nil means all
	Owned    func(shard int32) bool // limits Compact to the shards for which it returns true; nil means all
	MinFiles int                    // a partition of a shard with fewer small files is left alone; 0 means 2
	MaxBytes int64                  // data files of this size or larger are left alone; 0 means no limit
	Tiered   bool                   // only files of about one size are merged, so that a row is rewritten once per tier and not once per cut
}

// CompactResult counts what Compact has done.
type CompactResult struct {
	Merged  int   // data files that were replaced
	Written int   // data files that replaced them
	Bytes   int64 // of the files written
	Skipped int   // groups whose files another writer had replaced meanwhile

	Unreadable []string // data files that cannot be read and so were left alone; at most maxUnreadable a table
}

// Compact merges the small data files of l. It may run beside processors and beside
// other compactions: before a group is replaced, the table is loaded and must
// still list all of its files. A group that has lost one is skipped, and the file
// written for it becomes an orphan. Without that check a row that another
// compaction or an erasure has rewritten would be in the table twice, or come
// back.
//
// The shard states of the tables do not change. Small groups are merged
// concurrently and replaced by one commit, since a commit reads all manifests of
// the table; a large group is merged alone, so that memory is that of one large
// merge.
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

// compactTable merges the groups of t until that makes no fewer files.
func (r *CompactResult) compactTable(ctx context.Context, l *lake.Lake, t lake.Table, opts CompactOptions) error {
	found := &unreadable{}
	defer func() { r.Unreadable = append(r.Unreadable, found.paths...) }()
	for again := true; again; {
		before := *r
		var err error
		if again, err = r.compactOnce(ctx, l, t, opts, found); err != nil {
			return errors.Join(append(found.errs, err)...)
		}
		// Files that another writer replaces, or that are too large to become fewer,
		// would otherwise be tried for ever.
		again = again && r.Merged-before.Merged > r.Written-before.Written
	}
	return errors.Join(found.errs...)
}

// compactOnce merges the groups of t once. It reports whether a group had more
// files than one merge takes, so that the files made are to be merged too.
func (r *CompactResult) compactOnce(ctx context.Context, l *lake.Lake, t lake.Table, opts CompactOptions, found *unreadable) (again bool, err error) {
	s, err := l.Load(ctx, t)
	if err != nil {
		return false, err
	}
	files, err := s.Files(ctx)
	if err != nil {
		return false, err
	}
	groups, again := opts.groups(slices.DeleteFunc(slices.Clone(files), func(f lake.DataFile) bool { return found.has(f.Path) }))
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
	return again && !found.many(), errors.Join(errs...)
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

// mergeAll merges each group into one data file, and returns those that it could merge.
func mergeAll(ctx context.Context, l *lake.Lake, t lake.Table, groups [][]lake.DataFile, found *unreadable) ([]replacement, error) {
	out, errs := make([]replacement, len(groups)), make([]error, len(groups))
	var g errgroup.Group
	g.SetLimit(mergesAtOnce)
	for i, group := range groups {
		g.Go(func() error {
			out[i], errs[i] = mergeReadable(ctx, l, t, group, found)
			return nil
		})
	}
	_ = g.Wait() // no merge returns an error: a failed one must not end the others
	return slices.DeleteFunc(out, func(r replacement) bool { return len(r.old) == 0 }), errors.Join(errs...)
}

// mergeReadable merges the files of a group that can be read. It returns the zero
// replacement when fewer than two are left.
func mergeReadable(ctx context.Context, l *lake.Lake, t lake.Table, group []lake.DataFile, found *unreadable) (replacement, error) {
	group = slices.Clone(group)
	for len(group) > 1 && !found.many() {
		made, err := l.Merge(ctx, t, group)
		if err == nil {
			return replacement{old: group, made: made}, nil
		}
		bad, ok := errors.AsType[*lake.FileError](err)
		if !ok || ctx.Err() != nil {
			return replacement{}, err
		}
		found.add(bad)
		group = slices.DeleteFunc(group, func(f lake.DataFile) bool { return f.Path == bad.Path })
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

// groupKey is what the data files of a group have in common. Only files of one
// shard are merged, since a commit moves or drops one shard's rows at a time.
type groupKey struct {
	shard     int32
	partition int
	tier      int // of their size; 0 unless CompactOptions.Tiered
}

// groups returns the data files to merge with each other, at most
// maxFilesPerMerge in a group, in a stable order. more reports that a partition of
// a shard has several groups.
func (o CompactOptions) groups(files []lake.DataFile) (groups [][]lake.DataFile, more bool) {
	byKey := map[groupKey][]lake.DataFile{}
	for _, f := range files {
		if o.Owned != nil && !o.Owned(f.Shard) || o.MaxBytes > 0 && f.Bytes >= o.MaxBytes {
			continue
		}
		key := groupKey{shard: f.Shard, partition: f.Partition}
		if o.Tiered {
			key.tier = bits.Len64(uint64(f.Bytes/firstTierBytes)) / 2
		}
		byKey[key] = append(byKey[key], f)
	}
	least := max(o.MinFiles, 2)
	for _, key := range slices.SortedFunc(maps.Keys(byKey), groupKey.compare) {
		if len(byKey[key]) < least {
			continue
		}
		more = more || len(byKey[key]) > maxFilesPerMerge
		for part := range slices.Chunk(byKey[key], maxFilesPerMerge) {
			if len(part) >= min(least, maxFilesPerMerge) {
				groups = append(groups, part)
			}
		}
	}
	return groups, more
}

func (a groupKey) compare(b groupKey) int {
	return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(a.partition, b.partition), cmp.Compare(a.tier, b.tier))
}
