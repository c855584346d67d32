package lake

import (
	"fmt"
	"time"

	"github.com/apache/iceberg-go"
)

// partitioning is the partition spec of a table, which has one field.
type partitioning struct {
	column    string
	field     string // name of the partition field
	transform iceberg.Transform
	folder    func(value int32) string // of the data files of a partition
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

// monthName returns a month as it is written in the path of a data file.
func monthName(month int32) string {
	year, m := month/12, month%12
	if m < 0 {
		year, m = year-1, m+12
	}
	return fmt.Sprintf("%04d-%02d", 1970+year, m+1)
}
