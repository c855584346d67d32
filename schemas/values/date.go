package values

import "time"

// Forms of dates with a time in the Events API.
const (
	SecondLayout = "2006-01-02T15:04:05"
	MinuteLayout = "2006-01-02T15:04"
)

// Day reads a date of a request, YYYY-MM-DD, as its midnight in UTC.
func Day(text string) (time.Time, bool) {
	t, err := time.Parse(time.DateOnly, text)
	return t, err == nil
}

// DayIn reads the date that an ISO 8601 text of a value begins with: YYYY-MM-DD,
// alone or before T or a space. The day is the one that is written, whatever the
// offset behind it.
func DayIn(text string) (time.Time, bool) {
	const n = len(time.DateOnly)
	text = trim(text)
	if len(text) < n || (len(text) > n && text[n] != 'T' && text[n] != ' ') {
		return time.Time{}, false
	}
	return Day(text[:n])
}

// DateTime reads a date of the Events API: YYYY-MM-DD, with THH:MM or THH:MM:SS or
// without, UTC, and nothing else. Package time would also take a fraction.
func DateTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, MinuteLayout, SecondLayout} {
		if len(text) != len(layout) {
			continue
		}
		t, err := time.Parse(layout, text)
		return t, err == nil
	}
	return time.Time{}, false
}
