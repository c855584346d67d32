package values

import "time"

// Instant reads an ISO 8601 date, or date and time, as far as people use
// it: YYYY-MM-DD or YYYYMMDD; then, after T or t, HH, HH:MM or HHMM, HH:MM:SS or
// HHMMSS, with a fraction of the second after a point or a comma, 24:00:00 being
// the end of the day; then Z, z or an offset ±HH, ±HHMM or ±HH:MM. Without an
// offset it is UTC; a date alone is its midnight. Each part may be of the basic or
// of the extended format. What is smaller than a nanosecond is cut off.
//
// It returns what is wrong with a text that it cannot read, for the person who
// sent it; "" is nothing.
func Instant(text string) (time.Time, string) {
	if text == "" {
		return time.Time{}, "is missing"
	}
	s := instantText(text)
	if s.weekOrOrdinal() {
		return time.Time{}, "is a week date or an ordinal date, which are not supported; send YYYY-MM-DD"
	}
	day, ok := s.date()
	if !ok {
		return time.Time{}, "is not an ISO 8601 date like 2025-06-01T00:00:00Z"
	}
	if s == "" {
		return day, ""
	}
	clock, ok := s.clock()
	if !ok {
		return time.Time{}, "has no ISO 8601 time like T00:00:00 after its date"
	}
	offset, ok := s.offset()
	if !ok || s != "" {
		return time.Time{}, "has no ISO 8601 offset like Z or +02:00 after its time"
	}
	return day.Add(clock - offset), ""
}

// instantText is what is left to read of a date and time.
type instantText string

// weekOrOrdinal reports whether the date is one of the two forms of ISO 8601
// that name no month: 2025-W23-1 and 2025-152, with or without hyphens.
func (s instantText) weekOrOrdinal() bool {
	if _, ok := s.number(4, 0, 9999); !ok {
		return false
	}
	s.skip('-')
	if s.skip('W') || s.skip('w') {
		return true
	}
	_, ok := s.number(3, 0, 999)
	return ok && (s == "" || !isDigit(s[0]) && s[0] != '-')
}

// date reads YYYY-MM-DD or YYYYMMDD.
func (s *instantText) date() (time.Time, bool) {
	year, ok := s.number(4, 0, 9999)
	if !ok {
		return time.Time{}, false
	}
	extended := s.skip('-')
	month, ok := s.number(2, 1, 12)
	if !ok || s.skip('-') != extended {
		return time.Time{}, false
	}
	day, ok := s.number(2, 1, 31)
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return at, ok && at.Day() == day // 31 June is 1 July
}

// clock reads T and the time since midnight.
func (s *instantText) clock() (time.Duration, bool) {
	if !s.skip('T') && !s.skip('t') {
		return 0, false
	}
	hour, ok := s.number(2, 0, 24)
	at := time.Duration(hour) * time.Hour
	extended := s.skip(':')
	if !ok || !extended && !s.digitNext() {
		return at, ok
	}
	minute, ok := s.number(2, 0, 59)
	at += time.Duration(minute) * time.Minute
	if ok && (extended && s.skip(':') || !extended && s.digitNext()) {
		var second int
		second, ok = s.number(2, 0, 59)
		at += time.Duration(second)*time.Second + s.fraction()
	}
	return at, ok && at <= 24*time.Hour
}

// fraction reads a point or a comma and digits; without both it is 0.
func (s *instantText) fraction() time.Duration {
	rest := *s
	if !rest.skip('.') && !rest.skip(',') || !rest.digitNext() {
		return 0
	}
	var sum time.Duration
	for unit := time.Second / 10; rest.digitNext(); unit /= 10 {
		sum += time.Duration(rest[0]-'0') * unit
		rest = rest[1:]
	}
	*s = rest
	return sum
}

// offset reads Z or how far a zone is ahead of UTC; nothing is UTC.
func (s *instantText) offset() (time.Duration, bool) {
	if *s == "" || s.skip('Z') || s.skip('z') {
		return 0, true
	}
	sign := time.Duration(1)
	if s.skip('-') {
		sign = -1
	} else if !s.skip('+') {
		return 0, false
	}
	hour, ok := s.number(2, 0, 23)
	minute := 0
	if ok && (s.skip(':') || *s != "") {
		minute, ok = s.number(2, 0, 59)
	}
	return sign * (time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute), ok
}

// number reads exactly n digits.
func (s *instantText) number(n, least, most int) (int, bool) {
	if len(*s) < n {
		return 0, false
	}
	v := 0
	for _, c := range []byte((*s)[:n]) {
		if !isDigit(c) {
			return 0, false
		}
		v = 10*v + int(c-'0')
	}
	*s = (*s)[n:]
	return v, v >= least && v <= most
}

// skip reads one character if it is c.
func (s *instantText) skip(c byte) bool {
	if *s == "" || (*s)[0] != c {
		return false
	}
	*s = (*s)[1:]
	return true
}

func (s *instantText) digitNext() bool { return *s != "" && isDigit((*s)[0]) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
