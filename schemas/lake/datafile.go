package lake

import (
	"fmt"
	"time"

	"github.com/apache/iceberg-go"

	"weir/schemas/columns"
	"weir/schemas/lake/parquet"
)

const dayMS = 24 * 60 * 60 * 1000

// DataFile is one Parquet file of a table, a run: its rows are sorted. All are of one
// shard and one partition, so a conflict of one shard drops only that shard's files,
// and a shard can be read by itself. That of a snapshot takes 300 bytes of memory at
// most, path included.
type DataFile struct {
	Path      string // object key
	Rows      int64
	Bytes     int64
	Shard     int32
	Partition int32 // value of the partition field: months since January 1970, or a bucket; 0 if the spec has none
	Spec      int32 // partition spec that Partition is of
	Min, Max  Bounds

	written *writtenFile // nil if it was read from a manifest
}

// writtenFile is what a commit needs of a data file that this process has
// written. It takes about 10 kB, so it is not kept of the files of a snapshot,
// of which there may be tens of thousands: see Snapshot.entries.
type writtenFile struct {
	entry iceberg.DataFile
	at    time.Time // when it was written
}

// Bounds are the smallest or largest values of a data file, both inclusive; a
// column that the table lacks is zero. In tables without a column time, Time is
// the start of the day; clients have the smallest first_time and the largest
// last_time.
type Bounds struct {
	Product int64
	Client  int64
	Time    int64 // epoch milliseconds
	Arrival int64 // epoch milliseconds
	Offset  int64
}

// newDataFile describes file, which this process has just written.
func (c boundColumns) newDataFile(file iceberg.DataFile) (DataFile, error) {
	f, err := c.dataFile(file, file.SpecID())
	f.written = &writtenFile{entry: file, at: time.Now()}
	return f, err
}

// boundColumns are the field ids that Bounds and Shard are read from; 0 where
// the table has no such column.
type boundColumns struct {
	shard, product, client, arrival, offset int
	timeMin, timeMax                        timeColumn
}

// timeColumn is a field id, and how the bounds of the column become
// milliseconds.
type timeColumn struct {
	id    int
	perMS int64 // units in a millisecond; 0 unless it is a timestamp
	ms    int64 // milliseconds in a unit; 0 unless it is a date
}

// findBoundColumns finds the columns by name. Every table must have a column
// shard.
func findBoundColumns(schema *iceberg.Schema) (boundColumns, error) {
	id := func(name string) int {
		f, _ := schema.FindFieldByName(name)
		return f.ID
	}
	c := boundColumns{
		shard: id(columns.Shard), product: id(columns.ProductID), client: id(columns.ClientID),
		arrival: id(columns.Arrival), offset: id(columns.Offset),
	}
	switch {
	case id(columns.Time) != 0:
		c.timeMin = timeColumn{id: id(columns.Time), perMS: 1000}
		c.timeMax = c.timeMin
	case id(colDay) != 0:
		c.timeMin = timeColumn{id: id(colDay), ms: dayMS}
		c.timeMax = c.timeMin
	default:
		c.timeMin = timeColumn{id: id(colFirst), perMS: 1000}
		c.timeMax = timeColumn{id: id(colLast), perMS: 1000}
	}
	if c.shard == 0 {
		return c, fmt.Errorf("schema %d has no column shard", schema.ID)
	}
	return c, nil
}

// dataFile reads from the statistics of file what planning needs.
func (c boundColumns) dataFile(file iceberg.DataFile, spec int32) (DataFile, error) {
	lower, upper := file.LowerBoundValues(), file.UpperBoundValues()
	f := DataFile{
		Path:  objectKey(file.FilePath()),
		Rows:  file.Count(),
		Bytes: file.FileSizeBytes(),
		Shard: int32(parquet.DecodeBound(lower[c.shard])),
		Min:   c.boundsOf(lower, c.timeMin),
		Max:   c.boundsOf(upper, c.timeMax),

		Partition: partitionOf(file), Spec: spec,
	}
	if len(lower[c.shard]) == 0 || f.Shard != int32(parquet.DecodeBound(upper[c.shard])) {
		return f, fmt.Errorf("data file %s is not of one shard", f.Path)
	}
	return f, nil
}

// boundsOf returns the bounds that values hold; those of a column that is
// missing are 0.
func (c boundColumns) boundsOf(values map[int][]byte, at timeColumn) Bounds {
	return Bounds{
		Product: parquet.DecodeBound(values[c.product]),
		Client:  parquet.DecodeBound(values[c.client]),
		Time:    parquet.DecodeBound(values[at.id]) / max(at.perMS, 1) * max(at.ms, 1),
		Arrival: parquet.DecodeBound(values[c.arrival]) / 1000,
		Offset:  parquet.DecodeBound(values[c.offset]),
	}
}

// partitionOf returns the value of the file's one partition field; 0 if it has none.
func partitionOf(file iceberg.DataFile) int32 {
	for _, v := range file.Partition() {
		switch n := v.(type) {
		case int32:
			return n
		case int64:
			return int32(n)
		case int:
			return int32(n)
		case iceberg.Date:
			return int32(n)
		}
	}
	return 0
}
