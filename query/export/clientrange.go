package export

import "math"

// hashEnd is the end of the hashes that clients are divided by, which have 32
// bits.
const hashEnd = 1 << 32

// clientRange is the rows of a pass: those of the clients whose hash is in one
// interval, with event times in another. The ends are not included.
type clientRange struct {
	hashFrom, hashTo uint64
	timeFrom, timeTo int64 // epoch milliseconds
}

// everyClient is the range of all rows.
func everyClient() clientRange {
	return clientRange{hashTo: hashEnd, timeFrom: math.MinInt64, timeTo: math.MaxInt64}
}

// has reports whether a row is in r.
func (r *clientRange) has(client, time int64) bool {
	return r.hasClient(client) && r.timeFrom <= time && time < r.timeTo
}

// hasClient reports whether a client is in r. Multiplying by 2⁶⁴ over the golden
// ratio spreads ids in sequence over all hashes.
func (r *clientRange) hasClient(client int64) bool {
	if r.hashFrom == 0 && r.hashTo == hashEnd {
		return true
	}
	h := uint64(client) * 0x9e3779b97f4a7c15 >> 32
	return r.hashFrom <= h && h < r.hashTo
}

// halves divides r, whose rows v could not hold: by clients, and once there is a
// single one by time, between its rows as far as they are known. ok is false if
// there is no smaller pass.
func (r *clientRange) halves(v *clientValues) (halves [2]clientRange, ok bool) {
	halves = [2]clientRange{*r, *r}
	if len(v.clients) != 1 && r.hashTo-r.hashFrom > 1 {
		middle := r.hashFrom + (r.hashTo-r.hashFrom)/2
		halves[0].hashTo, halves[1].hashFrom = middle, middle
		return halves, true
	}
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range v.clients {
		from, to = min(from, v.clients[i].first.time), max(to, v.clients[i].last.time)
	}
	if from >= to {
		return halves, false
	}
	middle := from + (to-from+1)/2
	halves[0].timeTo, halves[1].timeFrom = middle, middle
	return halves, true
}

// narrow narrows the times of a filter, of which 0 is open, to those of r. has
// decides what the filter leaves open.
func (r *clientRange) narrow(from, to int64) (int64, int64) {
	if r.timeFrom != math.MinInt64 {
		from = r.timeFrom
	}
	if r.timeTo != math.MaxInt64 {
		to = r.timeTo
	}
	return from, to
}
