package report

// clientMetric is a number that clients are binned by.
type clientMetric struct {
	name  string
	scale scale
	value func(cs *clientStats, u int32) int64
}

// begunMinutes rounds up to whole minutes, so that a runtime over 0:05 is in no
// bin up to 0:05.
func begunMinutes(ms int64) int64 { return (ms + minuteMS - 1) / minuteMS }

// minuteMS is a minute in milliseconds.
const minuteMS = 60_000
