package report

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAutomaticBins(t *testing.T) {
	check := func(s scale, numbers []int64, want string) {
		t.Helper()
		exact, rounded, ends := distribution{}, distribution{}, s.binEnds()
		for _, n := range numbers {
			exact[n]++
			rounded[roundUp(ends, n)]++
		}
		bins := s.automaticBins(exact)
		var got []string
		for _, b := range bins {
			got = append(got, b.label)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("bins of %v = %s, want %s", numbers, text, want)
		}
		if diff := cmp.Diff(bins, s.automaticBins(rounded), cmp.AllowUnexported(bin{})); diff != "" {
			t.Errorf("%v: bins of rounded numbers differ: %s", numbers, diff)
		}
		if diff := cmp.Diff(histogram(bins, exact), histogram(bins, rounded)); diff != "" {
			t.Errorf("%v: histogram of rounded numbers differs: %s", numbers, diff)
		}
		sum := int64(0)
		for _, n := range histogram(bins, exact) {
			sum += n
		}
		if sum != int64(len(numbers)) {
			t.Errorf("%v: %d numbers are in a bin, want all", numbers, sum)
		}
	}
	check(sessionScale(), nil, "")
	check(sessionScale(), []int64{0}, "≤ 1")
	check(sessionScale(), []int64{0, 4}, "≤ 1, 2, 3, 4 - 5")
	check(sessionScale(), []int64{1, 20}, "≤ 2, 3 - 4, 5 - 6, 7 - 10, 11 - 16, 17 - 24")
	few := make([]int64, 100)
	few[0] = 1_000_000
	check(sessionScale(), few, "≤ 1, ≥ 2")
	check(dayScale(), []int64{1, 4}, "1, 2, 3, 4 - 5")
	check(dayScale(), []int64{1, 20}, "1 - 2, 3 - 4, 5 - 6, 7 - 10, 11 - 16, 17 - 24")
	check(runtimeScale(), []int64{3, 16, 29}, "≤ 0:05, 0:06 - 0:15, 0:16 - 0:30")
	check(runtimeScale(), []int64{1, 1000}, "≤ 0:25, 0:26 - 1:15, 1:16 - 2:30, 2:31 - 5:00, 5:01 - 10:00, 10:01 - 20:00")
	check(averageScale(), []int64{0, 7, 25}, "0.0 - 0.1, 0.11 - 0.2, 0.21 - 0.5")
	check(averageScale(), []int64{501}, "0.0 - 0.2, 0.21 - 0.4, 0.41 - 1.0, 1.01 - 2.0, 2.01 - 4.0, 4.01 - 10.0")
}
