package values

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseInstant(t *testing.T) {
	want := time.Date(2025, 6, 4, 20, 58, 33, 0, time.UTC)
	for _, text := range []string{
		"2025-06-04T20:58:33Z", "2025-06-04T20:58:33", "2025-06-04T20:58:33.000Z", "2025-06-04T20:58:33,000000000Z",
		"2025-06-04T22:58:33+02:00", "2025-06-04T22:58:33+0200", "2025-06-04T22:58:33+02", "2025-06-04T16:28:33.0-04:30",
		"20250604T205833Z", "20250604t205833z", "2025-06-04t20:58:33z", "20250604T205833", "20250604T225833+02", "20250604T225833+0200",
		"20250604T225833.000000000000+02:00", "2025-06-04T205833Z", "20250604T20:58:33Z", "2025-06-05T00:58:33+04:00",
	} {
		if got, wrong := Instant(text); wrong != "" || !got.Equal(want) {
			t.Errorf("%s: %v %s", text, got, wrong)
		}
	}
	midnight := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, text := range []string{
		"2024-03-01", "20240301", "2024-03-01T00", "20240301T0000", "2024-02-29T24:00:00", "20240229T240000Z", "2024-02-29T24:00:00.000Z",
		"2024-02-29T24Z", "2024-02-29T24:00+00:00", "2024-03-01T02:00+02",
	} {
		if got, wrong := Instant(text); wrong != "" || !got.Equal(midnight) {
			t.Errorf("%s: %v %s", text, got, wrong)
		}
	}
	for text, want := range map[string]string{
		"": "missing", "2025": "ISO 8601 date", "2025-06": "ISO 8601 date", "04.06.2025": "ISO 8601 date", "2025-06-31": "ISO 8601 date",
		"1749070713": "time", " 2025-06-04": "ISO 8601 date", "2025-0604": "ISO 8601 date", "202506-04": "ISO 8601 date",
		"2025-06-04 20:58:33": "time", "2025-06-04T25:00Z": "time", "2025-06-04T": "time", "2025-06-04T24:00:01": "time", "2025-06-04T24:00:00.1": "time",
		"2025-06-04T20:5": "time", "2025-06-04T20:58:60Z": "time", "2025-06-04Z": "time", "2025-06-04T20:58:33ZZ": "offset",
		"2025-06-04T20:58:33+25:00": "offset", "2025-06-04T20:58:33+02:": "offset", "2025-06-04T20:58:33+2": "offset", "2025-06-04T20:58:33.Z": "offset",
		"2025-W23-3": "week date", "2025W233T10:00Z": "week date", "2025-155": "ordinal date", "2025155": "ordinal date", "2025-155T10:00:00Z": "ordinal date",
	} {
		if got, wrong := Instant(text); !strings.Contains(wrong, want) || wrong == "" {
			t.Errorf("%q was read as %v, %s; want one about %s", text, got, wrong, want)
		}
	}
}

// instantPattern is the same grammar once more, and does not check numbers.
var instantPattern = regexp.MustCompile(`^(\d{4})(?:-(\d\d)-(\d\d)|(\d\d)(\d\d))` +
	`(?:[Tt](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?|(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?$`)

// FuzzInstant compares Instant with instantPattern and package time.
func FuzzInstant(f *testing.F) {
	for _, text := range []string{
		"2025-06-04T20:58:33.000Z", "20250604T205833,5+0200", "2025-W23-3", "2025-155", "2024-02-29T24:00:00Z", "2024-02-29t24:00z", "0000-01-01T00-23:59",
		"2025-06-04T20:58:33.123456789123+02", "2025-06-31",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, wrong := Instant(text)
		want, ok := naiveInstant(text)
		if (wrong == "") != ok || ok && !got.Equal(want) {
			t.Errorf("%q: %v %q, want %v %v", text, got, wrong, want, ok)
		}
	})
}

func naiveInstant(text string) (time.Time, bool) {
	m := instantPattern.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, false
	}
	number := func(text string) int { n, _ := strconv.Atoi(text); return n }
	fraction := m[9] + m[12]
	hour, minute, second := number(m[6]), number(m[7]+m[10]), number(m[8]+m[11])
	nanos := number((fraction + "000000000")[:9])
	zoneHour, zoneMinute := number(m[14]), number(m[15])
	day, err := time.Parse(time.DateOnly, m[1]+"-"+m[2]+m[4]+"-"+m[3]+m[5])
	if err != nil || hour > 24 || minute > 59 || second > 59 || zoneHour > 23 || zoneMinute > 59 || hour == 24 && minute+second+nanos > 0 {
		return time.Time{}, false
	}
	zone := 3600*zoneHour + 60*zoneMinute
	if m[13] == "-" {
		zone = -zone
	}
	return time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second-zone, nanos, time.UTC), true
}
