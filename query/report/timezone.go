package report

import (
	"sync"
	"time"

	"weir/schemas/rollup"
)

// Zone says on which day an instant lies. The zero Zone is UTC.
type Zone struct {
	loc  *time.Location  // nil is UTC
	mu   *sync.Mutex     // guards span
	last *offsetInterval // where the last instant lay: most that follow lie there too
}

// offsetInterval is instants of one offset from UTC; epoch milliseconds.
type offsetInterval struct{ from, to, offset int64 }

// readZone reads timeZone.
func (b *Body) readZone() (Zone, error) {
	name := text(b.TimeZone)
	if name == "" || name == "UTC" {
		return Zone{}, nil
	}
	if name == "Local" {
		return Zone{}, fieldErrorf("timeZone", "%q is not a time zone like Europe/Malta", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return Zone{}, fieldErrorf("timeZone", "%q is not a time zone like Europe/Malta", name)
	}
	return Zone{loc: loc, mu: new(sync.Mutex), last: new(offsetInterval)}, nil
}

// UTC says that days are those of the rollups.
func (z Zone) UTC() bool { return z.loc == nil }

// Day is the day of an epoch millisecond.
func (z Zone) Day(ms int64) Day {
	if z.loc == nil {
		return Day(rollup.Day(ms))
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if ms < z.last.from || ms >= z.last.to {
		*z.last = z.intervalAt(ms)
	}
	return Day(rollup.Day(ms + z.last.offset))
}

// intervalAt is where an instant lies.
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
