package lake

import (
	"context"
	"errors"
)

// Merge puts the rows of files, all of one shard and partition of t, as one
// data file, or as several where it would pass 512 MB. Rollup rows of one key
// become one row. The files themselves stay as they are: Replace them.
func (l *Lake) Merge(ctx context.Context, t Table, files []DataFile) ([]DataFile, error) {
	return nil, errors.New("merge: not built yet")
}
