package report

import (
	"sync"
	"time"

	"weir/schemas/rollup"
)

// Zone says on which day an instant lies. The zero Zone is UTC.
type Zone struct {
	loc *time.Location // nil is UTC
	mu  *sync.Mutex    // guards span
	now *span          // where the last instant lay: most that follow lie there too
}

// span is instants of one offset from UTC; epoch milliseconds.
type span struct{ from, to, offset int64 }

// zone reads timeZone.
func (b *Body) zone() (Zone, error) {
	name := text(b.TimeZone)
	if name == "" || name == "UTC" {
		return Zone{}, nil
	}
	if name == "Local" {
		return Zone{}, wrong("timeZone", "%q is not a time zone like Europe/Malta", name)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return Zone{}, wrong("timeZone", "%q is not a time zone like Europe/Malta", name)
	}
	return Zone{loc: loc, mu: new(sync.Mutex), now: new(span)}, nil
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
	if ms < z.now.from || ms >= z.now.to {
		*z.now = z.span(ms)
	}
	return Day(rollup.Day(ms + z.now.offset))
}

// span is where an instant lies.
func (z Zone) span(ms int64) span {
	at := time.UnixMilli(ms).In(z.loc)
	_, seconds := at.Zone()
	from, to := at.ZoneBounds()
	s := span{from: ms, to: ms + 1, offset: int64(seconds) * 1000}
	if !from.IsZero() {
		s.from = from.UnixMilli()
	}
	if !to.IsZero() {
		s.to = to.UnixMilli()
	}
	return s
}
