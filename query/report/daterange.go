package report

import (
	"math"
	"strconv"
	"strings"
	"time"

	"weir/schemas/values"
)

const (
	// firstWeekday is the first day of a week. The published document does not
	// say which day it is.
	firstWeekday = time.Monday

	// MaxBuckets is the largest number of buckets of a range: ten years of
	// days.
	MaxBuckets = 3700
)

// readRange reads startDate and stopDate, both of which are included, as
// published.
func (b *Body) readRange(today Day, split Split) (Range, error) {
	start, err := ParseDay("startDate", text(b.StartDate), today)
	if err != nil {
		return Range{}, err
	}
	stop, err := ParseDay("stopDate", text(b.StopDate), today)
	if err != nil {
		return Range{}, err
	}
	return NewRange(start, stop, split)
}

// readSplit reads dateSplit. Null and a missing member are no split.
func (b *Body) readSplit() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, nil
	}
	return ParseSplit("dateSplit", *b.DateSplit)
}

// readRequiredSplit reads the dateSplit of reports that require one.
func (b *Body) readRequiredSplit() (Split, error) {
	if b.DateSplit == nil {
		return NoSplit, fieldErrorf("dateSplit", "is required here: day, week or month")
	}
	return b.readSplit()
}

// Day counts days since 1970-01-01, in UTC or in the question's time zone.
type Day int32

// String returns the day as YYYY-MM-DD.
func (d Day) String() string { return d.date().Format(time.DateOnly) }

// date returns the midnight of the day as if it were in UTC: days have no zone
// of their own.
func (d Day) date() time.Time { return time.Unix(int64(d)*86_400, 0).UTC() }

// DayOf returns the UTC day of an instant.
func DayOf(t time.Time) Day { return Day(math.Floor(float64(t.Unix()) / 86_400)) }

// ParseDay reads YYYY-MM-DD, or NOW and NOW-30, which count from today. Days
// before 1970 become 1970-01-01 if they are relative, and are refused
// otherwise: no event can be that old.
func ParseDay(field, text string, today Day) (Day, error) {
	if text == "" {
		return 0, fieldErrorf(field, "is missing")
	}
	if rest, relative := strings.CutPrefix(text, "NOW"); relative {
		if rest == "" {
			return today, nil
		}
		back, ok := strings.CutPrefix(rest, "-")
		n, err := strconv.ParseUint(back, 10, 31)
		if !ok || err != nil {
			return 0, fieldErrorf(field, "%q is not NOW-<days>", text)
		}
		return max(0, today-Day(n)), nil
	}
	d, ok := dateOf(text)
	if ok && d < 0 {
		return 0, fieldErrorf(field, "%q lies before 1970-01-01, the first day that can be asked for", text)
	}
	if !ok {
		return 0, fieldErrorf(field, "%q is not a date like 2024-03-01 or NOW-30", text)
	}
	return d, nil
}

// dateOf reads YYYY-MM-DD.
func dateOf(text string) (Day, bool) {
	t, ok := values.Day(text)
	return DayOf(t), ok
}

// dateIn reads the date that an ISO 8601 text begins with.
func dateIn(text string) (Day, bool) {
	t, ok := values.DayIn(text)
	return DayOf(t), ok
}

// Split is what a range is cut into.
type Split string

// Splits, by their published names.
const (
	NoSplit Split = ""
	ByDay   Split = "day"
	ByWeek  Split = "week"
	ByMonth Split = "month"
)

// ParseSplit reads a dateSplit.
func ParseSplit(field, text string) (Split, error) {
	switch s := Split(text); s {
	case ByDay, ByWeek, ByMonth:
		return s, nil
	default:
		return NoSplit, fieldErrorf(field, "%q is not day, week or month", text)
	}
}

// Bucket is a day, a week or a month of a range, or all of it.
type Bucket struct {
	Key      Day // the day, the Monday or the first of the month, which may lie before the range
	From, To Day // the days of the bucket that are in the range; To is exclusive
}

// Range is a range of days, cut into buckets.
type Range struct {
	From, To Day // To is exclusive
	Buckets  []Bucket
	Open     bool // without an end: a client whose last day is in it was active in it
}

// NewRange returns the days from start to stop, both included, cut into
// buckets. Every bucket is there, even without activity.
func NewRange(start, stop Day, split Split) (Range, error) {
	r := Range{From: start, To: stop + 1}
	if stop < start {
		return r, fieldErrorf("stopDate", "%s lies before startDate, %s", stop, start)
	}
	if split == NoSplit {
		r.Buckets = []Bucket{{Key: start, From: start, To: r.To}}
		return r, nil
	}
	for from := start; from < r.To; {
		key, next := bucketBounds(from, split)
		b := Bucket{Key: key, From: from, To: min(next, r.To)}
		r.Buckets = append(r.Buckets, b)
		from = b.To
		if len(r.Buckets) > MaxBuckets {
			return r, fieldErrorf("stopDate", "the range has more than %d buckets of a %s", MaxBuckets, split)
		}
	}
	return r, nil
}

// OpenRange returns the range from start on as one bucket without an end.
func OpenRange(start Day) Range {
	const end = math.MaxInt32 / 2
	return Range{From: start, To: end, Open: true, Buckets: []Bucket{{Key: start, From: start, To: end}}}
}

// bucketBounds returns the first day of the day, week or month that d is in,
// and of the next.
func bucketBounds(d Day, split Split) (key, next Day) {
	switch split {
	case ByWeek:
		key = monday(d)
		return key, key + 7
	case ByMonth:
		t := d.date()
		first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
		return DayOf(first), DayOf(first.AddDate(0, 1, 0))
	default:
		return d, d + 1
	}
}

// BucketOf returns the index of the bucket of a day; false outside the range.
func (r *Range) BucketOf(d Day) (int, bool) { return r.bucket(d) }

// bucket returns the index of the bucket of a day; false outside the range.
// Ranges of days are indexed directly, others by binary search.
func (r *Range) bucket(d Day) (int, bool) {
	if d < r.From || d >= r.To {
		return 0, false
	}
	low, high := 0, len(r.Buckets)-1
	if high+1 == int(r.To)-int(r.From) {
		return int(d - r.From), true
	}
	for low < high {
		if mid := (low + high + 1) / 2; r.Buckets[mid].From <= d {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low, true
}

// monday returns the first day of the week of d. 1970-01-01 was a Thursday.
func monday(d Day) Day {
	const weekday1970 = time.Thursday
	into := (int(d) + int(weekday1970) - int(firstWeekday)) % 7
	if into < 0 {
		into += 7
	}
	return d - Day(into)
}
