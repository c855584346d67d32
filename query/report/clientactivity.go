package report

import (
	"math/bits"
	"slices"
)

// firstDay returns the day of a unit's first event, which is its day of
// installation.
func (cs *clientStats) firstDay(u int32) Day { return cs.q.zone.Day(cs.units[u].first) }

// lastDay returns the day of a unit's last event.
func (cs *clientStats) lastDay(u int32) Day { return cs.q.zone.Day(cs.units[u].last) }

// activeIn reports whether a unit was active in a bucket.
func (cs *clientStats) activeIn(u int32, bucket int) bool {
	return cs.bucketBits[int(u)*cs.bucketWords+bucket/64]&(1<<(bucket%64)) != 0
}

// activeBuckets returns the bits of the buckets in which a unit was active. The
// caller may not change them.
func (cs *clientStats) activeBuckets(u int32) []uint64 {
	return cs.bucketBits[int(u)*cs.bucketWords : int(u+1)*cs.bucketWords]
}

// activeInRange reports whether a unit was active on a day of the range.
func (cs *clientStats) activeInRange(u int32) bool {
	return slices.ContainsFunc(cs.activeBuckets(u), func(word uint64) bool { return word != 0 })
}

// activeDaysInRange counts the buckets in which a unit was active; the caller
// splits the range by day.
func (cs *clientStats) activeDaysInRange(u int32) (n int64) {
	for _, word := range cs.activeBuckets(u) {
		n += int64(bits.OnesCount64(word))
	}
	return n
}
