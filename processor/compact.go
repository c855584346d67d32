package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/schemas/lake"
)

// What the processor's own compaction looks for.
const (
	minFilesToMerge    = 8         // small data files of about one size that become one
	maxFileToMerge     = 128 << 20 // data files of this size are left alone
	firstTierBytes     = 128 << 10 // up to this size all are of one size
	maxGroupsPerCommit = 256       // that one commit puts in place
	maxBytesPerCommit  = 32 << 20  // of the data files of such groups; a larger group goes alone
	mergesAtOnce       = 4
	maintenanceShard   = 0 // the owner of this shard looks after snapshots and orphans of all
	orphanAge          = 7 * 24 * time.Hour
	orphanEvery        = 24 * time.Hour
	minSnapshots       = 10 // snapshots of a table, however old
)

// CompactOptions say what Compact looks at. The zero value merges everything
// there is down to one data file per shard, partition and table.
type CompactOptions struct {
	Tables   []lake.Table           // nil means all
	Owned    func(shard int32) bool // only shards it holds for; nil means all
	MinFiles int                    // a partition of a shard with fewer small files is left alone; 0 means 2
	MaxBytes int64                  // larger data files are left alone; 0 means none is
	Tiered   bool                   // only files of about one size are merged, so that a row is rewritten a few times and not at every cut
}

// CompactResult is what Compact has done.
type CompactResult struct {
	Merged  int   // data files that are no longer in the tables
	Written int   // data files that stand in their place
	Bytes   int64 // size of those
	Skipped int   // groups left alone because somebody else had rewritten them
}

// Compact merges the small data files of l. It is safe beside running
// processors and beside itself: a group whose files somebody else has rewritten
// is left alone, and what was written for it is an orphan. Small groups are
// merged side by side and put in place together, since a commit reads all of
// the table's manifests; a large group is merged alone, so that memory is that
// of one large merge.
func Compact(ctx context.Context, l *lake.Lake, opts CompactOptions) (CompactResult, error) {
	var sum CompactResult
	tables := opts.Tables
	if tables == nil {
		tables = lake.Tables()
	}
	for _, t := range tables {
		s, err := l.Load(ctx, t)
		if err != nil {
			return sum, err
		}
		files, err := s.Files(ctx)
		if err != nil {
			return sum, err
		}
		for _, batch := range commitBatches(opts.groups(files)) {
			merged, err := mergeAll(ctx, l, t, batch)
			if err == nil {
				err = sum.replace(ctx, l, t, merged)
			}
			if err != nil {
				return sum, fmt.Errorf("compact %s: %w", t, err)
			}
		}
	}
	return sum, nil
}

// replacement is a group of data files and what stands in their place.
type replacement struct {
	old, made []lake.DataFile
}

// commitBatches are groups that are put in place by one commit.
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

// mergeAll makes one data file of each group.
func mergeAll(ctx context.Context, l *lake.Lake, t lake.Table, groups [][]lake.DataFile) ([]replacement, error) {
	out := make([]replacement, len(groups))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(mergesAtOnce)
	for i, group := range groups {
		g.Go(func() error {
			made, err := l.Merge(ctx, t, group)
			out[i] = replacement{old: group, made: made}
			return err
		})
	}
	return out, g.Wait()
}

// replace puts merged groups in place: all at once, or, where somebody else has
// rewritten a file of one of them, each on its own.
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

// groupKey is what the data files of a group have in common.
type groupKey struct {
	shard     int32
	partition int
	tier      int // of their size; 0 without tiers
}

// groups are the data files to merge with one another, in a stable order.
func (o CompactOptions) groups(files []lake.DataFile) [][]lake.DataFile {
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
	var groups [][]lake.DataFile
	for _, key := range slices.SortedFunc(maps.Keys(byKey), groupKey.compare) {
		if len(byKey[key]) >= max(o.MinFiles, 2) {
			groups = append(groups, byKey[key])
		}
	}
	return groups
}

func (a groupKey) compare(b groupKey) int {
	return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(a.partition, b.partition), cmp.Compare(a.tier, b.tier))
}

// maintain compacts the shards of this process and lets old snapshots go, time
// and again until ctx ends. What goes wrong is tried again the next time.
func (s *Service) maintain(ctx context.Context) error {
	if s.cfg.CompactEvery < 0 {
		return nil
	}
	every := time.NewTicker(s.cfg.CompactEvery)
	defer every.Stop()
	var cleaned time.Time
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		s.compact(ctx)
		if !s.owns(maintenanceShard) {
			continue
		}
		s.expire(ctx)
		if time.Since(cleaned) < orphanEvery {
			continue
		}
		if n, err := s.deps.Lake.DeleteOrphans(ctx, orphanAge); err == nil {
			cleaned = time.Now()
			s.log.InfoContext(ctx, "orphan files deleted", "files", n)
		} else if ctx.Err() == nil {
			s.log.WarnContext(ctx, "orphan files not deleted", "err", err)
		}
	}
}

func (s *Service) compact(ctx context.Context) {
	for _, t := range lake.Tables() {
		began := time.Now()
		did, err := Compact(ctx, s.deps.Lake, CompactOptions{
			Tables: []lake.Table{t}, Owned: s.owns, MinFiles: minFilesToMerge, MaxBytes: maxFileToMerge, Tiered: true,
		})
		s.metrics.compacted.WithLabelValues(string(t)).Add(float64(did.Merged))
		if did.Merged > 0 {
			s.log.InfoContext(ctx, "data files compacted", "table", t, "merged", did.Merged, "made", did.Written,
				"bytes", did.Bytes, "gone", did.Skipped, "took", time.Since(began))
		}
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "compaction stopped, will be tried again", "table", t, "err", err)
		}
	}
}

func (s *Service) expire(ctx context.Context) {
	for _, t := range lake.Tables() {
		if err := s.deps.Lake.ExpireSnapshots(ctx, t, s.cfg.KeepSnapshots, minSnapshots); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old snapshots not expired", "table", t, "err", err)
		}
	}
}
