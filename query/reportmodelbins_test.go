package query

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// The naive model's bins.

// naiveBin is a bin that includes both ends; high is naiveOpenEnd if it is
// open.
type naiveBin struct {
	label     string
	low, high int64
}

const naiveOpenEnd = int64(1) << 60

var naiveLadder = []int64{1, 2, 3, 5, 8, 12}

func naivePlain(v int64) string { return fmt.Sprint(v) }
func naiveClock(v int64) string { return fmt.Sprintf("%d:%02d", v/60, v%60) }

// naiveHundredths is a number of hundredths with one or two decimals.
func naiveHundredths(v int64) string {
	text := naiveDecimal(big.NewInt(v), 2).String()
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func naiveNewBin(low, high int64, label func(int64) string) naiveBin {
	switch {
	case high == naiveOpenEnd:
		return naiveBin{"≥ " + label(low), low, high}
	case low == high:
		return naiveBin{label(low), low, high}
	}
	return naiveBin{label(low) + " - " + label(high), low, high}
}

// naiveAutomatic returns automatic bins; open labels the first one as
// everything up to its end.
func naiveAutomatic(numbers, ladder []int64, least int64, open bool, label func(int64) string) []naiveBin {
	if len(numbers) == 0 {
		return nil
	}
	numbers = slices.Sorted(slices.Values(numbers))
	reach := int64(0)
	for i, v := range numbers { // the smallest that 95 % do not exceed
		if 100*(i+1) >= 95*len(numbers) {
			reach = v
			break
		}
	}
	factor := int64(1)
	for _, f := range []int64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000} {
		if factor = f; ladder[5]*f >= reach {
			break
		}
	}
	var bins []naiveBin
	low := least
	for _, step := range ladder {
		high := step * factor
		bins = append(bins, naiveNewBin(low, high, label))
		low = high + 1
		if high >= reach {
			break
		}
	}
	if open {
		bins[0].label = "≤ " + label(bins[0].high)
	}
	if numbers[len(numbers)-1] >= low {
		bins = append(bins, naiveNewBin(low, naiveOpenEnd, label))
	}
	return bins
}

// naiveBinLabel returns the label of the bin of a number; "" if it is in none.
func naiveBinLabel(bins []naiveBin, n int64) string {
	for _, b := range bins {
		if b.low <= n && n <= b.high {
			return b.label
		}
	}
	return ""
}

// naiveHistogram counts the numbers in each automatic bin.
func naiveHistogram(numbers, ladder []int64, least int64, label func(int64) string) any {
	bins := naiveAutomatic(numbers, ladder, least, least == 0, label)
	out := map[string]any{}
	for _, b := range bins {
		count := 0
		for _, n := range numbers {
			if naiveBinLabel(bins, n) == b.label {
				count++
			}
		}
		out[b.label] = count
	}
	return out
}
