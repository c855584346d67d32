package report

import "slices"

// firstDay returns the day of a unit's first event, which is its day of
// installation.
func (cs *clientStats) firstDay(u int32) Day { return cs.q.zone.Day(cs.units[u].first) }

// lastDay returns the day of a unit's last event.
func (cs *clientStats) lastDay(u int32) Day { return cs.q.zone.Day(cs.units[u].last) }

// denseWords is how many words of buckets each unit has at most, used or not.
// Where a range has more buckets, a unit has words for those between its first
// and its last bucket.
const denseWords = 8

// setActive says that a unit was active in a bucket.
func setActive(cs *clientStats, u int32, bucket int) {
	if cs.bucketWords > denseWords {
		cs.bytes += cs.bucketSets[u].add(Day(bucket))
		return
	}
	cs.bucketBits[int(u)*cs.bucketWords+bucket/64] |= 1 << (bucket % 64)
}

// activeIn reports whether a unit was active in a bucket.
func (cs *clientStats) activeIn(u int32, bucket int) bool {
	active := cs.activeBuckets(u)
	return active.has(Day(bucket))
}

// activeBuckets returns the numbers of the buckets in which a unit was active. The
// caller may not change them.
func (cs *clientStats) activeBuckets(u int32) daySet {
	if cs.bucketWords > denseWords {
		return cs.bucketSets[u]
	}
	return daySet{words: cs.bucketBits[int(u)*cs.bucketWords : int(u+1)*cs.bucketWords]}
}

// activeInRange reports whether a unit was active on a day of the range.
func (cs *clientStats) activeInRange(u int32) bool {
	return slices.ContainsFunc(cs.activeBuckets(u).words, func(word uint64) bool { return word != 0 })
}

// activeDaysInRange counts the buckets in which a unit was active; the caller
// splits the range by day.
func (cs *clientStats) activeDaysInRange(u int32) int64 {
	active := cs.activeBuckets(u)
	return active.len()
}
