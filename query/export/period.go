package export

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Period is a range of arrival days, UTC: midnights, both days inclusive.
type Period struct{ First, Last time.Time }

// DayOf returns the day of an instant.
func DayOf(t time.Time) Period {
	day := t.UTC().Truncate(24 * time.Hour)
	return Period{day, day}
}

// MonthOf returns the whole month of an instant.
func MonthOf(t time.Time) Period {
	year, month, _ := t.UTC().Date()
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return Period{first, first.AddDate(0, 1, -1)}
}

// ParsePeriod reads what FirstDay and LastDay wrote.
func ParsePeriod(first, last string) (Period, error) {
	from, err := time.Parse(time.DateOnly, first)
	if err != nil {
		return Period{}, fmt.Errorf("first day: %w", err)
	}
	to, err := time.Parse(time.DateOnly, last)
	if err != nil {
		return Period{}, fmt.Errorf("last day: %w", err)
	}
	return Period{from, to}, nil
}

// End is the first instant that is not in d.
func (d Period) End() time.Time { return d.Last.AddDate(0, 0, 1) }

// Next returns the day after d.
func (d Period) Next() Period { return DayOf(d.End()) }

// Daily reports whether d is one day.
func (d Period) Daily() bool { return d.First.Equal(d.Last) }

// FirstDay is the first day as YYYY-MM-DD.
func (d Period) FirstDay() string { return d.First.Format(time.DateOnly) }

// LastDay is the last day as YYYY-MM-DD.
func (d Period) LastDay() string { return d.Last.Format(time.DateOnly) }

// FileName is the published name of the archive of a product and period.
func (k Kind) FileName(product int64, d Period) string { return k.baseName(product, d) + ".zip" }

// MemberName is the name of the file inside it.
func (k Kind) MemberName(product int64, d Period) string { return k.baseName(product, d) + ".csv" }

func (k Kind) baseName(product int64, d Period) string {
	name := strconv.FormatInt(product, 10) + k.mark + "_" + d.FirstDay()
	if !d.Daily() {
		name += "_to_" + d.LastDay()
	}
	return name
}

// PeriodOf reads what FileName wrote, and refuses any other spelling.
func (k Kind) PeriodOf(product int64, name string) (Period, bool) {
	text, ok := strings.CutPrefix(name, strconv.FormatInt(product, 10)+k.mark+"_")
	if !ok {
		return Period{}, false
	}
	text, _ = strings.CutSuffix(text, ".zip")
	first, last, monthly := strings.Cut(text, "_to_")
	if !monthly {
		last = first
	}
	d, err := ParsePeriod(first, last)
	return d, err == nil && k.FileName(product, d) == name
}
