package report

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// pastRun is that events said the same value from one day to another, as far
// as is known: a client seldom changes what it says every day. What was said on
// the days between is not kept.
type pastRun struct {
	utterance         // of the first day
	until       Day   // the last day
	untilTime   int64 // of the utterance of that day; unknownTime where it was not kept
	untilOffset int64
}

const unknownTime = math.MinInt64

// errMixed says that an utterance came for a day of a run of which the time was
// not kept: the pass must be done again with every utterance by itself. It takes
// a change of value, late, on a day of which there are other rows.
var errMixed = errors.New("utterances of one day came mixed")

func newRun(u utterance) pastRun {
	return pastRun{utterance: u, until: u.day, untilTime: u.time, untilOffset: u.offset}
}

// last is the utterance of the run's last day.
func (r *pastRun) last() utterance {
	return utterance{code: r.code, day: r.until, time: r.untilTime, offset: r.untilOffset}
}

// remember adds what was said on a day to the runs of a property, which are
// ascending. Runs of more than one day are made where merge is true.
func (f *facts) remember(past []pastRun, said utterance, merge bool) ([]pastRun, error) {
	i := len(past)
	if i > 0 && past[i-1].until >= said.day { // older days mostly come first
		i, _ = slices.BinarySearchFunc(past, said.day, func(r pastRun, day Day) int { return cmp.Compare(r.until, day) })
	}
	switch {
	case i < len(past) && past[i].day <= said.day:
		return f.within(past, i, said, merge)
	case merge && i > 0 && past[i-1].code == said.code:
		past[i-1].until, past[i-1].untilTime, past[i-1].untilOffset = said.day, said.time, said.offset
		return past, nil
	}
	return slices.Insert(past, i, newRun(said)), nil
}

// within adds what was said on a day of run i.
func (f *facts) within(past []pastRun, i int, said utterance, merge bool) ([]pastRun, error) {
	r := &past[i]
	whole := r.day == r.until
	switch {
	case said.day == r.until:
		before := r.last()
		if before.time == unknownTime {
			return past, errMixed
		}
		if f.later(&before, said); before.code == r.code {
			if r.untilTime, r.untilOffset = before.time, before.offset; whole {
				r.utterance = before
			}
			return past, nil
		}
		if whole {
			*r = newRun(said)
			return past, nil
		}
		r.until, r.untilTime = said.day-1, unknownTime
		if r.until == r.day {
			*r = newRun(r.utterance)
		}
		return f.remember(past, said, merge)
	case said.code == r.code && said.day > r.day:
		return past, nil // whichever of the day was later, it said this
	case said.day == r.day:
		first := r.utterance
		if f.later(&first, said); first.code != r.code {
			return past, errMixed // on which day the run goes on is not known
		}
		r.utterance = first
		return past, nil
	}
	return past, errMixed
}

// pastCode is the code of what was said last before a day; 0 when nothing was.
func pastCode(past []pastRun, before Day) int32 {
	i, _ := slices.BinarySearchFunc(past, before, func(r pastRun, day Day) int { return cmp.Compare(r.day, day) })
	if i == 0 {
		return 0
	}
	return past[i-1].code
}
