package report

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// valueRun is that events said the same value from one day to another, as far
// as is known: a client seldom changes what it says every day. What was said on
// the days between is not kept.
type valueRun struct {
	observation       // of the first day
	until       Day   // the last day
	untilTime   int64 // of the utterance of that day; unknownTime where it was not kept
	untilOffset int64
}

const unknownTime = math.MinInt64

// errMixedDay says that an utterance came for a day of a run of which the time was
// not kept: the pass must be done again with every utterance by itself. It takes
// a change of value, late, on a day of which there are other rows.
var errMixedDay = errors.New("utterances of one day came mixed")

func newRun(u observation) valueRun {
	return valueRun{observation: u, until: u.day, untilTime: u.time, untilOffset: u.offset}
}

// last is the utterance of the run's last day.
func (r *valueRun) last() observation {
	return observation{code: r.code, day: r.until, time: r.untilTime, offset: r.untilOffset}
}

// addRun adds what was said on a day to the runs of a property, which are
// ascending. Runs of more than one day are made where merge is true.
func (cs *clientStats) addRun(runs []valueRun, observed observation, merge bool) ([]valueRun, error) {
	i := len(runs)
	if i > 0 && runs[i-1].until >= observed.day { // older days mostly come first
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

// addWithinRun adds what was said on a day of run i.
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
		return runs, nil // whichever of the day was later, it said this
	case observed.day == r.day:
		first := r.observation
		if cs.keepLater(&first, observed); first.code != r.code {
			return runs, errMixedDay // on which day the run goes on is not known
		}
		r.observation = first
		return runs, nil
	}
	return runs, errMixedDay
}

// codeBefore is the code of what was said last before a day; 0 when nothing was.
func codeBefore(runs []valueRun, before Day) int32 {
	i, _ := slices.BinarySearchFunc(runs, before, func(r valueRun, day Day) int { return cmp.Compare(r.day, day) })
	if i == 0 {
		return 0
	}
	return runs[i-1].code
}
