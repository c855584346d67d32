package lake

import (
	"context"
	"errors"

	"weir/schemas/rollup"
)

// DeadLetter is a record that could not be decoded.
type DeadLetter struct {
	Shard   int32
	Offset  int64
	Arrival int64  // log time; epoch milliseconds
	Reason  string // why not
	Key     []byte
	Value   []byte
}

// WriteRollups puts the rows of set as data files of tables, or of every
// rollup table when none is named.
func (l *Lake) WriteRollups(ctx context.Context, shard int32, set *rollup.Set, tables ...Table) (map[Table][]DataFile, error) {
	return nil, errors.New("write rollups: not built yet")
}

// WriteDeadLetters puts letters, all of one shard, as one data file for each
// month of arrival.
func (l *Lake) WriteDeadLetters(ctx context.Context, shard int32, letters []DeadLetter) ([]DataFile, error) {
	return nil, errors.New("write dead letters: not built yet")
}
