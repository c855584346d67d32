package report

import (
	"fmt"
	"maps"
	"slices"
	"sort"
)

// bin is an interval of whole numbers, both ends included.
type bin struct {
	low, high int64
	open      bool // everything from low on
	label     string
}

// binOf is the bin of a number, −1 if it is in none.
func binOf(bins []bin, n int64) int {
	return slices.IndexFunc(bins, func(b bin) bool { return n >= b.low && (b.open || n <= b.high) })
}

// scale is how numbers are binned.
type scale struct {
	ladder []int64 // upper ends of automatic bins, to be multiplied
	min    int64   // the smallest number there can be
	below  bool    // the first automatic bin is written as "≤ N"
	label  func(int64) string
}

// The scales of all reports: days and sessions and events are numbers, runtime
// is in minutes, averages are in hundredths.
func dayScale() scale {
	return scale{ladder: []int64{1, 2, 3, 5, 8, 12}, min: 1, label: plainLabel}
}

func sessionScale() scale {
	return scale{ladder: []int64{1, 2, 3, 5, 8, 12}, below: true, label: plainLabel}
}

func runtimeScale() scale {
	return scale{ladder: []int64{5, 15, 30, 60, 120, 240}, below: true, label: clockLabel}
}

func averageScale() scale {
	return scale{ladder: []int64{10, 20, 50, 100, 200, 500}, label: hundredthLabel}
}

func plainLabel(n int64) string { return fmt.Sprint(n) }

// clockLabel is h:mm of minutes.
func clockLabel(minutes int64) string { return fmt.Sprintf("%d:%02d", minutes/60, minutes%60) }

// hundredthLabel has one decimal at least, two at most.
func hundredthLabel(n int64) string {
	if n%10 == 0 {
		return fmt.Sprintf("%d.%d", n/100, n/10%10)
	}
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}

// bin is the bin from low to high.
func (s *scale) bin(low, high int64) bin {
	if low == high {
		return bin{low: low, high: high, label: s.label(low)}
	}
	return bin{low: low, high: high, label: s.label(low) + " - " + s.label(high)}
}

func (s *scale) openBin(low int64) bin {
	return bin{low: low, open: true, label: "≥ " + s.label(low)}
}

// distribution is how many there are of each number: of a tally of automatic bins,
// rounded up to the next end that a bin can have, so that it stays small
// whatever the numbers, and the bins come out as of the numbers themselves.
type distribution map[int64]int64

// maxFactor bounds what the ladder is multiplied with: the ends stay int64.
const maxFactor = 1_000_000_000_000_000

// factors yields 1, 2, 5, 10, 20, 50, ….
func factors(yield func(int64) bool) {
	for ten := int64(1); ten <= maxFactor; ten *= 10 {
		if !yield(ten) || !yield(2*ten) || !yield(5*ten) {
			return
		}
	}
}

// binEnds are all ends that an automatic bin can have, ascending.
func (s *scale) binEnds() []int64 {
	all := map[int64]bool{}
	for f := range factors {
		for _, step := range s.ladder {
			all[step*f] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// roundUp is the smallest of ends that n does not exceed.
func roundUp(ends []int64, n int64) int64 {
	i := sort.Search(len(ends), func(i int) bool { return ends[i] >= n })
	return ends[min(i, len(ends)-1)]
}

// automaticBins cuts numbers into bins. The published algorithm is not known; this
// is ours:
//
//   - The upper ends are those of the scale's ladder, times the smallest of 1,
//     2, 5, 10, 20, 50, … with which the ladder reaches the 95th percentile (the
//     smallest number that at least 95 of 100 do not exceed), so that few large
//     numbers do not decide. The ladder ends at the first end that reaches it.
//   - What lies beyond is one open bin, which is there if somebody is in it.
func (s *scale) automaticBins(numbers distribution) []bin {
	if len(numbers) == 0 {
		return nil
	}
	percentile95, largest := numbers.percentile(95), slices.Max(slices.Collect(maps.Keys(numbers)))
	factor := s.factor(percentile95)
	var out []bin
	low := s.min
	for _, step := range s.ladder {
		high := step * factor
		next := s.bin(low, high)
		if len(out) == 0 && s.below {
			next.label = "≤ " + s.label(high)
		}
		out = append(out, next)
		low = high + 1
		if high >= percentile95 {
			break
		}
	}
	if largest >= low {
		out = append(out, s.openBin(low))
	}
	return out
}

// percentile is the smallest number that at least p of 100 do not exceed.
func (c distribution) percentile(p int64) int64 {
	var all, below int64
	for _, n := range c {
		all += n
	}
	for _, number := range slices.Sorted(maps.Keys(c)) {
		if below += c[number]; below*100 >= all*p {
			return number
		}
	}
	return 0
}

func (s *scale) factor(target int64) int64 {
	top := s.ladder[len(s.ladder)-1]
	for f := range factors {
		if top*f >= target {
			return f
		}
	}
	return maxFactor
}

// histogram is how many of numbers are in each bin.
func histogram(bins []bin, numbers distribution) []int64 {
	out := make([]int64, len(bins))
	for number, n := range numbers {
		if at := binOf(bins, number); at >= 0 {
			out[at] += n
		}
	}
	return out
}

// encodeBins spells a histogram.
func encodeBins(bins []bin, counts []int64) Object {
	out := Object{}
	for i := range bins {
		out = append(out, Member{bins[i].label, counts[i]})
	}
	return out
}
