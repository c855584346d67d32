package report

import (
	"fmt"
	"slices"
)

// bin is an interval of whole numbers, both ends included.
type bin struct {
	low, high   int64
	first, last bool // open: everything up to high, from low on
	label       string
}

// scale is how automatic bins are cut.
type scale struct {
	ladder []int64 // upper ends, to be multiplied
	least  int64   // the smallest number there can be; the first bin is open if it is below the first upper end
	label  func(int64) string
}

// automatic cuts the numbers of all clients into bins. The published algorithm
// is not known; this is ours:
//
//   - The upper ends are those of the scale's ladder, times the smallest of 1,
//     2, 5, 10, 20, 50, … with which the ladder reaches the 95th percentile (the
//     smallest number that at least 95 of 100 clients do not exceed), so that
//     few clients with large numbers do not decide. The ladder ends at the first
//     end that reaches it.
//   - What lies beyond is one open bin, which is there if somebody is in it.
func (s *scale) automatic(numbers []int64) []bin {
	if len(numbers) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(numbers))
	reach := sorted[(len(sorted)*95+99)/100-1]
	factor := s.factor(reach)
	var out []bin
	low := s.least
	for _, step := range s.ladder {
		high := step * factor
		out = append(out, s.bin(low, high, len(out) == 0 && s.least < step))
		low = high + 1
		if high >= reach {
			break
		}
	}
	if sorted[len(sorted)-1] >= low {
		out = append(out, bin{low: low, last: true, label: "≥ " + s.label(low)})
	}
	return out
}

func (s *scale) factor(reach int64) int64 {
	top := s.ladder[len(s.ladder)-1]
	for ten := int64(1); ; ten *= 10 {
		for _, digit := range []int64{1, 2, 5} {
			if top*ten*digit >= reach {
				return ten * digit
			}
		}
	}
}

func (s *scale) bin(low, high int64, open bool) bin {
	b := bin{low: low, high: high, first: open}
	switch {
	case open:
		b.label = "≤ " + s.label(high)
	case low == high:
		b.label = s.label(low)
	default:
		b.label = s.label(low) + " - " + s.label(high)
	}
	return b
}

// in is the bin of a number. Bins follow one another without a gap.
func in(bins []bin, n int64) int {
	return slices.IndexFunc(bins, func(b bin) bool { return b.last || n <= b.high })
}

func plainLabel(n int64) string { return fmt.Sprint(n) }

// clockLabel is h:mm of minutes.
func clockLabel(minutes int64) string { return fmt.Sprintf("%d:%02d", minutes/60, minutes%60) }
