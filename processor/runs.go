package processor

import (
	"cmp"
	"context"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"weir/schemas/lake"
)

const (
	runsPerMerge    = 8         // inputs of one merge, of which each holds a row group in memory
	bytesPerMerge   = 128 << 20 // of the inputs of one merge
	finalRun        = 64 << 20  // a run of this size is left alone
	firstLevelBytes = 64 << 10  // level 0 ends here, and each level has eight times the size of the one before
	quietAfter      = 5 * time.Minute
	smallLevels     = 2 // levels of a quiet shard that merge with each other, up to 4 MiB
)

// runPlan decides which runs of a table are merged. A merge takes adjacent runs, so
// that each run stays an interval of offsets and of arrival: what is asked by
// either (the tail of a shard, a day's file, the dedupe window) leaves out whole
// files, and a row is rewritten once per level.
type runPlan struct {
	runs bool  // the table has the spec of runs; before, files of one partition merge
	spec int32 // partition spec of what is written
	now  time.Time
	logs lake.ShardStates // tells the log time of each shard
	all  bool             // everything is merged, whether it is due or not

	lastArrival map[int32]int64 // of a row of each shard; epoch milliseconds
}

// groups returns the groups of files of t that are to be merged, and how many files t
// has.
func (o CompactOptions) groups(ctx context.Context, l *lake.Lake, t lake.Table, found *unreadable) (groups [][]lake.DataFile, count int, err error) {
	s, err := l.Load(ctx, t)
	if err != nil {
		return nil, 0, err
	}
	files, err := s.Files(ctx)
	if err != nil {
		return nil, 0, err
	}
	p := runPlan{now: o.Now, logs: s.ShardStates(), all: !o.Due}
	p.runs, p.spec = s.Runs()
	if p.lastArrival, err = lastArrivals(ctx, l, t, files); err != nil {
		return nil, 0, err
	}
	return p.merges(slices.DeleteFunc(slices.Clone(files), func(f lake.DataFile) bool {
		return found.has(f.Path) || o.Owned != nil && !o.Owned(f.Shard)
	})), len(files), nil
}

// runGroup is what runs have in common that may be merged with each other.
type runGroup struct {
	shard     int32
	older     bool  // of a spec before runs; a merge makes runs of them
	partition int32 // months since 1970, unless older
}

func (a runGroup) compare(b runGroup) int {
	return cmp.Or(cmp.Compare(a.shard, b.shard), compareBools(a.older, b.older), cmp.Compare(a.partition, b.partition))
}

// compareBools orders false before true.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// merges returns the groups of files to merge, small ones first, so that the many
// small files become few before large ones are rewritten.
func (p *runPlan) merges(files []lake.DataFile) [][]lake.DataFile {
	groups := p.groups(files)
	var out [][]lake.DataFile
	for _, key := range slices.SortedFunc(maps.Keys(groups), runGroup.compare) {
		out = append(out, p.mergesOf(key, groups[key])...)
	}
	slices.SortStableFunc(out, func(a, b []lake.DataFile) int { return cmp.Compare(totalBytes(a), totalBytes(b)) })
	return out
}

// groups divides files into those that may be merged with each other, each in the
// order of the log. Files of a foreign spec are left alone until the table has runs.
func (p *runPlan) groups(files []lake.DataFile) map[runGroup][]lake.DataFile {
	groups := map[runGroup][]lake.DataFile{}
	for _, f := range files {
		key := runGroup{shard: f.Shard, older: f.Spec != p.spec, partition: f.Partition}
		switch {
		case f.Bytes >= finalRun && !p.all, key.older && !p.runs:
			continue
		case key.older:
			key.partition = 0
		}
		groups[key] = append(groups[key], f)
	}
	for _, g := range groups {
		slices.SortStableFunc(g, compareRuns)
	}
	return groups
}

// compareRuns is the order of the log. The runs of rollups carry no offsets: their rows
// merge in any order, so the large ones come first, and runs of one size are adjacent.
func compareRuns(a, b lake.DataFile) int {
	return cmp.Or(cmp.Compare(a.Min.Offset, b.Min.Offset), cmp.Compare(a.Partition, b.Partition), cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path))
}

// mergesOf returns the merges of one group. Of a group that grows, eight runs of one
// level make one of the next; what is left of a shard that is quiet, and of a month
// that has ended, merges whatever its number.
func (p *runPlan) mergesOf(key runGroup, runs []lake.DataFile) [][]lake.DataFile {
	switch {
	case key.older:
		return chunks(runs, 1, bytesPerMerge)
	case p.all:
		return chunks(runs, 2, math.MaxInt64)
	case p.ended(key):
		return chunks(runs, 2, bytesPerMerge)
	}
	levels, least := levelsOf(runs), runsPerMerge
	if p.quiet(key.shard) {
		least = 2
		for i := range levels {
			levels[i] = max(levels[i], smallLevels)
		}
	}
	var out [][]lake.DataFile
	for from := 0; from < len(runs); {
		to := from
		for to < len(runs) && levels[to] == levels[from] {
			to++
		}
		out = append(out, chunks(runs[from:to], least, bytesPerMerge)...)
		from = to
	}
	return out
}

// levelsOf returns the level of each run, by its size and by those after it: new runs
// come last, so a small one with a larger one after it has no more of its size to
// wait for.
func levelsOf(runs []lake.DataFile) []int {
	levels, level := make([]int, len(runs)), 0
	for i, f := range slices.Backward(runs) {
		level = max(level, (bits.Len64(uint64(f.Bytes)/firstLevelBytes)+2)/3)
		levels[i] = level
	}
	return levels
}

// chunks divides runs into merges of runsPerMerge runs and that many bytes at most. One
// of fewer than least runs is left out unless bytes end it.
func chunks(runs []lake.DataFile, least int, most int64) (out [][]lake.DataFile) {
	for from := 0; from < len(runs); {
		to, bytes := from, int64(0)
		for to < len(runs) && to-from < runsPerMerge && (to == from || bytes+runs[to].Bytes <= most) {
			bytes += runs[to].Bytes
			to++
		}
		if n := to - from; n >= least || n > 1 && to < len(runs) && n < runsPerMerge {
			out = append(out, runs[from:to])
		}
		from = to
	}
	return out
}

// quiet reports whether nothing has arrived in the shard for quietAfter.
func (p *runPlan) quiet(shard int32) bool {
	last, known := p.lastArrival[shard]
	return known && p.now.UnixMilli()-last > quietAfter.Milliseconds()
}

// ended reports whether the group is of a month of log time that is over.
func (p *runPlan) ended(key runGroup) bool {
	if !p.runs || key.partition == 0 {
		return false
	}
	return key.partition < lake.MonthOf(p.logs[key.shard].LogTime)
}

// lastArrivals returns when the last row of each shard arrived, as files of t tell, or
// those of events if t does not know.
func lastArrivals(ctx context.Context, l *lake.Lake, t lake.Table, files []lake.DataFile) (map[int32]int64, error) {
	if isRollup(t) {
		s, err := l.Load(ctx, lake.Events)
		if err != nil {
			return nil, err
		}
		if files, err = s.Files(ctx); err != nil {
			return nil, err
		}
	}
	last := map[int32]int64{}
	for _, f := range files {
		last[f.Shard] = max(last[f.Shard], f.Max.Arrival)
	}
	return last, nil
}
