package lake

import (
	"fmt"
	"time"

	"github.com/apache/iceberg-go"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// partitioning is one way to divide the rows of a table: by one column, or not at
// all.
type partitioning struct {
	column    string // "" if rows are not divided
	field     string // name of the partition field
	transform iceberg.Transform
	folder    func(value int32) string // of the data files of a partition
}

// byArrivalMonth makes a partition of each UTC month of log time. A shard's log time
// never runs backwards, so what it gathers is of one month, and an ended month gets
// no more data files.
func byArrivalMonth() partitioning {
	return partitioning{columns.Arrival, "arrival_month", iceberg.MonthTransform{}, monthName}
}

// undivided makes no partitions.
func undivided() partitioning {
	return partitioning{folder: func(int32) string { return "all" }}
}

// byMonth makes a partition of each UTC month of a date or timestamp column.
func byMonth(column, field string) partitioning {
	return partitioning{column, field, iceberg.MonthTransform{}, func(month int32) string { return "month=" + monthName(month) }}
}

// byBucket makes n partitions by a hash of a column.
func byBucket(column, field string, n int) partitioning {
	return partitioning{column, field, iceberg.BucketTransform{NumBuckets: n}, func(bucket int32) string { return fmt.Sprintf("bucket=%02d", bucket) }}
}

// monthOfDay returns the month of a day since 1970, in months since January
// 1970, as Iceberg's month transform does.
func monthOfDay(day int32) int32 {
	at := time.Unix(int64(day)*24*60*60, 0).UTC()
	return int32((at.Year()-1970)*12 + int(at.Month()) - 1)
}

// MonthOf returns the UTC month of a time in epoch milliseconds, as partitions count
// them: in months since January 1970.
func MonthOf(ms int64) int32 { return monthOfDay(rollup.Day(ms)) }

// startOfMonth returns when a month begins, in epoch milliseconds.
func startOfMonth(month int32) int64 {
	return time.Date(1970, time.January+time.Month(month), 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

// monthName returns a month as it is written in the path of a data file.
func monthName(month int32) string {
	year, m := month/12, month%12
	if m < 0 {
		year, m = year-1, m+12
	}
	return fmt.Sprintf("%04d-%02d", 1970+year, m+1)
}
