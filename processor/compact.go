package processor

import (
	"context"

	"weir/schemas/lake"
)

// CompactOptions say what Compact looks at. The zero value merges everything
// there is down to one data file per shard, partition and table.
type CompactOptions struct {
	Tables   []lake.Table           // nil means all
	Owned    func(shard int32) bool // only shards it holds for; nil means all
	MinFiles int                    // a partition of a shard with fewer small files is left alone; 0 means 2
	MaxBytes int64                  // larger data files are left alone; 0 means none is
}

// CompactResult is what Compact has done.
type CompactResult struct {
	Merged int   // data files that are no longer in the tables
	Made   int   // data files that stand in their place
	Bytes  int64 // size of those
	Gone   int   // groups left alone because somebody else had rewritten them
}

// Compact merges the small data files of l. It is safe beside running
// processors and beside itself.
func Compact(ctx context.Context, l *lake.Lake, opts CompactOptions) (CompactResult, error) {
	return CompactResult{}, errStub
}
