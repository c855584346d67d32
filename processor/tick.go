package processor

import (
	"context"

	"weir/schemas/lake"
)

// Committed is, for every shard, the smallest offset of the log that some table
// still needs: what lies below it may leave the log. A shard that is missing in
// a table is missing here.
func Committed(ctx context.Context, l *lake.Lake) (map[int32]int64, error) {
	return nil, errStub
}
