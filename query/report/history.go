package report

import (
	"cmp"
	"errors"
	"math"
	"slices"

	"weir/schemas/rollup"
)

// valueRun is a value that events reported from one day to another, as far as
// is known. Clients seldom change the values that they report every day, so a
// run takes the place of many observations. The observations of the days
// between the first and the last day are not kept.
type valueRun struct {
	observation       // of the first day
	until       Day   // the last day
	untilTime   int64 // of the observation of the last day; unknownTime where it was not kept
	untilOffset int64
}

// runBytes is the size of a valueRun in memory.
const runBytes = 48

// unknownTime is the time of a last day whose observation was not kept.
const unknownTime = math.MinInt64

// errMixedDay says that an observation arrived for a day in a run whose own
// time was not kept, so that it is unknown which of the two is later. The pass
// must be repeated with every observation by itself. It takes a late change of
// a value on a day of which there are other rows.
var errMixedDay = errors.New("observations of one day came mixed")

// markHistory marks the clients that reported a daily property after a time as
// of which its value is read, and reports whether there are any. For all others
// the current value is the value at that time, so their history is not kept.
func (cs *clientStats) markHistory() bool {
	if cs.q.asOf == asOfNow || !cs.q.readsDaily() {
		return false
	}
	found, end := false, cs.q.firstAsOf()
	for at := range cs.units {
		u := &cs.units[at]
		if cs.q.asOf == asOfInstall {
			end = cs.firstDay(int32(at)) + 1
		}
		for slot, daily := range cs.q.props.daily {
			if daily && cs.current[at*len(cs.q.props.daily)+slot].day >= end {
				u.changed, found = true, true
			}
		}
	}
	if found {
		cs.history = make([][]valueRun, len(cs.current))
	}
	return found
}

// addHistory adds the daily values of the clients that markHistory marked, up
// to the last day as of which values are read.
func (cs *clientStats) addHistory(b *rollup.DayBatch, units []int32) error {
	for i, at := range units {
		if at < 0 || !cs.units[at].changed {
			continue
		}
		end := cs.q.days.To
		if cs.q.asOf == asOfInstall {
			end = cs.firstDay(at) + 1
		}
		if Day(b.Day[i]) >= end {
			continue
		}
		if err := cs.addDayValues(at, b.Properties[i]); err != nil {
			return err
		}
	}
	return nil
}

// addDayValues adds the daily properties that one day of a unit reported.
func (cs *clientStats) addDayValues(at int32, properties string) error {
	n := len(cs.daily.names)
	if err := rollup.FindProperties(properties, cs.daily.names, cs.found[:n]); err != nil {
		return err
	}
	runsOf := cs.history[int(at)*len(cs.q.props.reported):]
	for i := range n {
		p, slot := &cs.found[i], cs.daily.slots[i]
		if p.Name == "" {
			continue
		}
		runs, err := cs.addRun(runsOf[slot], cs.observe(p, slot), !cs.unmerged)
		if err != nil {
			return err
		}
		cs.bytes += int64(cap(runs)-cap(runsOf[slot])) * runBytes
		runsOf[slot] = runs
	}
	return nil
}

// dailySlots are the daily properties among the reported ones, with their
// slots.
type dailySlots struct {
	names []string
	slots []int
}

func dailySlotsOf(p *usedProperties) (s dailySlots) {
	for slot, daily := range p.daily {
		if daily {
			s.names, s.slots = append(s.names, p.reported[slot]), append(s.slots, slot)
		}
	}
	return s
}

// newRun returns the run of a single observation.
func newRun(u observation) valueRun {
	return valueRun{observation: u, until: u.day, untilTime: u.time, untilOffset: u.offset}
}

// last returns the observation of the last day.
func (r *valueRun) last() observation {
	return observation{code: r.code, day: r.until, time: r.untilTime, offset: r.untilOffset}
}

// addRun adds the observation of a day to the runs of a property, and returns
// them. Runs ascend by day and do not overlap. With merge, equal values on
// successive days become one run; without it each day has a run of its own,
// which answers exactly whatever the order of rows and takes more memory.
func (cs *clientStats) addRun(runs []valueRun, observed observation, merge bool) ([]valueRun, error) {
	i := len(runs)
	if i > 0 && runs[i-1].until >= observed.day { // rows mostly come by ascending day
		i, _ = slices.BinarySearchFunc(runs, observed.day, func(r valueRun, day Day) int { return cmp.Compare(r.until, day) })
	}
	switch {
	case i < len(runs) && runs[i].day <= observed.day:
		return cs.addWithinRun(runs, i, observed, merge)
	case merge && i > 0 && runs[i-1].code == observed.code:
		runs[i-1].until, runs[i-1].untilTime, runs[i-1].untilOffset = observed.day, observed.time, observed.offset
		return runs, nil
	}
	return slices.Insert(runs, i, newRun(observed)), nil
}

// addWithinRun adds an observation on a day of run i. On the last day the later
// observation wins, and the run may have to end a day earlier. On a day before,
// the observation changes nothing if it has the run's value; any other value
// cannot be placed (errMixedDay).
func (cs *clientStats) addWithinRun(runs []valueRun, i int, observed observation, merge bool) ([]valueRun, error) {
	r := &runs[i]
	single := r.day == r.until
	switch {
	case observed.day == r.until:
		before := r.last()
		if before.time == unknownTime {
			return runs, errMixedDay
		}
		if cs.keepLater(&before, observed); before.code == r.code {
			if r.untilTime, r.untilOffset = before.time, before.offset; single {
				r.observation = before
			}
			return runs, nil
		}
		if single {
			*r = newRun(observed)
			return runs, nil
		}
		r.until, r.untilTime = observed.day-1, unknownTime
		if r.until == r.day {
			*r = newRun(r.observation)
		}
		return cs.addRun(runs, observed, merge)
	case observed.code == r.code && observed.day > r.day:
		return runs, nil // both observations of that day have this value
	case observed.day == r.day:
		first := r.observation
		if cs.keepLater(&first, observed); first.code != r.code {
			return runs, errMixedDay // the day on which the run continues is unknown
		}
		r.observation = first
		return runs, nil
	}
	return runs, errMixedDay
}

// codeBefore returns the code of the last value reported before a day; 0 if
// there is none.
func codeBefore(runs []valueRun, before Day) int32 {
	i, _ := slices.BinarySearchFunc(runs, before, func(r valueRun, day Day) int { return cmp.Compare(r.day, day) })
	if i == 0 {
		return 0
	}
	return runs[i-1].code
}
