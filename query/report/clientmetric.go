package report

import "weir/schemas/rollup"

// clientMetric is a number that clients are binned by.
type clientMetric struct {
	name  string
	scale scale
	value func(cs *clientStats, u int32) int64
}

// begunMinutes rounds up to whole minutes, so that a runtime over 0:05 is in no
// bin up to 0:05.
func begunMinutes(cs *clientStats, ms int64) int64 {
	cs.q.overflowed = cs.q.overflowed || ms == rollup.OverflowedRuntime
	minutes := ms / minuteMS
	if ms%minuteMS > 0 {
		minutes++
	}
	return minutes
}

// minuteMS is a minute in milliseconds.
const minuteMS = 60_000
