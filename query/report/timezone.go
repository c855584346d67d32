package report

import (
	"slices"
	"strings"
	"sync"
	"time"

	"weir/schemas/rollup"
)

// Zone says which day an instant is on. The zero Zone is UTC. It may be used
// concurrently: it keeps the offset of the last instant under a lock, because
// most instants that follow have the same offset.
type Zone struct {
	loc  *time.Location  // nil is UTC
	mu   *sync.Mutex     // guards last
	last *offsetInterval // the interval of the last instant
}

// offsetInterval is the instants from and before to that have one offset from
// UTC, all in milliseconds.
type offsetInterval struct{ from, to, offset int64 }

// readZone reads timeZone, an IANA name.
func (b *Body) readZone() (Zone, error) { return ParseZone(text(b.TimeZone)) }

// ParseZone returns the zone of an IANA name; "" is UTC. Its error is a
// FieldError of timeZone.
func ParseZone(name string) (Zone, error) {
	if name == "" || name == "UTC" {
		return Zone{}, nil
	}
	if notIANA(name) {
		return Zone{}, fieldErrorf("timeZone", "%q is not a time zone like Europe/Malta", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return Zone{}, fieldErrorf("timeZone", "%q is not a time zone like Europe/Malta", name)
	}
	return Zone{loc: loc, mu: new(sync.Mutex), last: new(offsetInterval)}, nil
}

// notIANA reports whether a name that the machine may know is none of the published
// ones: it could mean another zone on another machine, or count leap seconds.
func notIANA(name string) bool {
	return slices.Contains([]string{"Local", "localtime", "posixrules"}, name) || strings.HasPrefix(name, "right/") || strings.HasPrefix(name, "posix/")
}

// UTC reports whether days are those of the rollups.
func (z Zone) UTC() bool { return z.loc == nil }

// needsEvents reports whether the days of the zone must be counted from events:
// rollups are by UTC day, and a UTC day cannot be divided among the days of
// another zone.
func (z Zone) needsEvents() bool { return !z.UTC() }

// Day returns the day of an epoch millisecond.
func (z Zone) Day(ms int64) Day { return Day(rollup.Day(z.Wall(ms))) }

// Wall returns what clocks of the zone show at an epoch millisecond, as
// milliseconds since they showed 1970-01-01T00:00. An hour that is repeated when
// daylight saving ends has the same times twice.
func (z Zone) Wall(ms int64) int64 {
	if z.loc == nil {
		return ms
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if ms < z.last.from || ms >= z.last.to {
		*z.last = z.intervalAt(ms)
	}
	return ms + z.last.offset
}

// intervalAt returns the interval that an instant is in. Where the zone has no
// earlier or later transition, it begins or ends with the instant.
func (z Zone) intervalAt(ms int64) offsetInterval {
	at := time.UnixMilli(ms).In(z.loc)
	_, seconds := at.Zone()
	from, to := at.ZoneBounds()
	s := offsetInterval{from: ms, to: ms + 1, offset: int64(seconds) * 1000}
	if !from.IsZero() {
		s.from = from.UnixMilli()
	}
	if !to.IsZero() {
		s.to = to.UnixMilli()
	}
	return s
}
