package report

import "testing"

// TestSegmentsWithEqualPercentAreOrderedByLabel: percentages are compared as they
// are shown, rounded to tenths.
func TestSegmentsWithEqualPercentAreOrderedByLabel(t *testing.T) {
	s, p := sorting{bySegments: byPercent, segmentsDown: true}, &series{keys: []seriesKey{{label: "a"}, {label: "b"}}, units: []int64{10_000, 10_000}}
	if got := s.segments(p, 0, 1, &tableCell{users: 1}, &tableCell{users: 2}); got >= 0 {
		t.Errorf("order of 1 and 2 of 10,000 clients, both shown as 0.0 percent = %d, want the order of their labels", got)
	}
}
