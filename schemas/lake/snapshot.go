package lake

import (
	"context"
	"errors"
	"time"

	"github.com/apache/iceberg-go"
)

// Snapshot is one state of one table. It never changes.
type Snapshot struct {
	table  Table
	id     int64
	vector Vector
	made   time.Time
}

// ID is Iceberg's snapshot id; 0 for a table without one.
func (s *Snapshot) ID() int64 { return s.id }

// Vector is the state of every shard. The caller must not change it.
func (s *Snapshot) Vector() Vector { return s.vector }

// Time is when the snapshot was committed; zero for a table without one.
func (s *Snapshot) Time() time.Time { return s.made }

// Files lists the data files, read once per snapshot. The caller must not
// change the slice.
func (s *Snapshot) Files(ctx context.Context) ([]DataFile, error) {
	return nil, errors.New("files: not built yet")
}

// Load returns the newest snapshot of t. It costs one catalog query when
// nothing has changed since the last load.
func (l *Lake) Load(ctx context.Context, t Table) (*Snapshot, error) {
	return nil, errors.New("load: not built yet")
}

// DataFile is one Parquet file of a table. It holds rows of one shard and one
// partition.
type DataFile struct {
	Path      string // object key
	Rows      int64
	Bytes     int64
	Shard     int32
	Partition int // months since January 1970, or the bucket of clients
	Min, Max  Bounds

	file iceberg.DataFile
	made time.Time // when this process wrote it; zero when it was read from a manifest
}

// Bounds are the smallest or largest values of a data file, both inclusive; a
// column that the table lacks is zero. Rollups have the start of the day as
// Time; clients have first_time below and last_time above.
type Bounds struct {
	Product int64
	Client  int64
	Time    int64 // epoch milliseconds
	Arrival int64 // epoch milliseconds
	Offset  int64
}

// newDataFile reads shard, partition and bounds of file, a data file of t.
// made is when this process wrote it, zero if it did not.
func newDataFile(t Table, file iceberg.DataFile, made time.Time) (DataFile, error) {
	return DataFile{}, errors.New("data file: not built yet")
}
