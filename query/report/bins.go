package report

import (
	"fmt"
	"maps"
	"slices"
	"sort"
)

// bin is an interval of whole numbers that includes both ends.
type bin struct {
	low, high int64
	open      bool // no upper end
	label     string
}

// binOf returns the index of the bin of a number; −1 if it is in none. Bins
// ascend.
func binOf(bins []bin, n int64) int {
	i := sort.Search(len(bins), func(i int) bool { return bins[i].open || n <= bins[i].high })
	if i == len(bins) || n < bins[i].low {
		return -1
	}
	return i
}

// scale says how numbers of one kind are cut into bins and labelled.
type scale struct {
	ladder []int64 // upper ends of automatic bins before the factor
	min    int64   // the smallest possible number
	below  bool    // the first automatic bin is labelled "≤ N"
	label  func(int64) string
}

// dayScale is the scale of days and of occurrences of events, which are 1 or
// more. The other scales are those of sessions, of runtime in minutes, and of
// averages in hundredths. The labels follow the samples of the published
// document: "3", "4 - 5", "≤ 1", "≥ 13", and "h:mm" for runtime.
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

// clockLabel is a number of minutes as h:mm.
func clockLabel(minutes int64) string { return fmt.Sprintf("%d:%02d", minutes/60, minutes%60) }

// hundredthLabel is a number of hundredths with one or two decimals.
func hundredthLabel(n int64) string {
	if n%10 == 0 {
		return fmt.Sprintf("%d.%d", n/100, n/10%10)
	}
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}

// bin returns the bin from low to high.
func (s *scale) bin(low, high int64) bin {
	if low == high {
		return bin{low: low, high: high, label: s.label(low)}
	}
	return bin{low: low, high: high, label: s.label(low) + " - " + s.label(high)}
}

// openBin returns the bin from low on, without an upper end.
func (s *scale) openBin(low int64) bin {
	return bin{low: low, open: true, label: "≥ " + s.label(low)}
}

// distribution counts clients by a number. For automatic bins the numbers are
// rounded up to the next end that a bin can have: then a distribution has few
// keys whatever the numbers, and the bins and the counts in them are those of
// the exact numbers.
type distribution map[int64]int64

// maxFactor bounds the factors of a ladder, so that ends fit 64 bits.
const maxFactor = 1_000_000_000_000_000

// factors yields 1, 2, 5, 10, 20, 50, … up to 5 × maxFactor.
func factors(yield func(int64) bool) {
	for ten := int64(1); ten <= maxFactor; ten *= 10 {
		if !yield(ten) || !yield(2*ten) || !yield(5*ten) {
			return
		}
	}
}

// binEnds returns all ends that an automatic bin can have, ascending.
func (s *scale) binEnds() []int64 {
	all := map[int64]bool{}
	for f := range factors {
		for _, step := range s.ladder {
			all[step*f] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// roundUp returns the smallest of the ends that is not less than n; the largest
// end if there is none.
func roundUp(ends []int64, n int64) int64 {
	i := sort.Search(len(ends), func(i int) bool { return ends[i] >= n })
	return ends[min(i, len(ends)-1)]
}

// automaticBins cuts numbers into bins. The published document does not give
// the algorithm of its bins. This one reproduces its samples:
//
//   - The upper ends are those of the ladder of the scale, times the smallest
//     factor of 1, 2, 5, 10, 20, 50, … with which the ladder reaches the 95th
//     percentile (the smallest number that at least 95 of 100 clients do not
//     exceed), so that a few large numbers do not decide. The bins end at the
//     first end that reaches the percentile.
//   - One open bin holds larger numbers, if there are any.
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

// percentile returns the smallest number that at least p of 100 clients do not
// exceed.
func (d distribution) percentile(p int64) int64 {
	var all, below int64
	for _, n := range d {
		all += n
	}
	for _, number := range slices.Sorted(maps.Keys(d)) {
		if below += d[number]; below*100 >= all*p {
			return number
		}
	}
	return 0
}

// factor returns the smallest factor with which the ladder reaches the target.
func (s *scale) factor(target int64) int64 {
	top := s.ladder[len(s.ladder)-1]
	for f := range factors {
		if top*f >= target {
			return f
		}
	}
	return maxFactor
}

// histogram counts the clients in each bin. Numbers in no bin are not counted.
func histogram(bins []bin, numbers distribution) []int64 {
	out := make([]int64, len(bins))
	for number, n := range numbers {
		if at := binOf(bins, number); at >= 0 {
			out[at] += n
		}
	}
	return out
}

// encodeBins encodes a histogram as an object of labels and counts.
func encodeBins(bins []bin, counts []int64) Object {
	out := Object{}
	for i := range bins {
		out = append(out, Member{bins[i].label, counts[i]})
	}
	return out
}
