package report

import (
	"errors"
	"math/rand/v2"
	"testing"
)

// TestRunsAnswerLikeSingleObservations adds the same observations with and without
// merging them to runs, in random order, and compares the value before each day.
func TestRunsAnswerLikeSingleObservations(t *testing.T) {
	mixed, merged := 0, 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		cs := newClientStats(&base{}, hashRange{to: hashEnd})
		for _, raw := range []string{`"a"`, `"b"`, `"c"`} {
			cs.codeOf(raw)
		}
		var observed []observation
		for n := range 1 + r.IntN(14) {
			day := Day(r.IntN(9))
			if r.IntN(3) > 0 && n > 0 {
				day = max(observed[n-1].day, day)
			}
			observed = append(observed, observation{code: int32(r.IntN(4)), day: day, time: int64(day)*10 + r.Int64N(3), offset: int64(r.IntN(40))})
		}
		var unmerged, runs []valueRun
		var err, errRuns error
		for _, u := range observed {
			if unmerged, err = cs.addRun(unmerged, u, false); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if errRuns == nil {
				runs, errRuns = cs.addRun(runs, u, true)
			}
		}
		if errors.Is(errRuns, errMixedDay) {
			mixed++
			continue
		}
		if len(runs) < len(unmerged) {
			merged++
		}
		for before := range Day(11) {
			want, at := int32(0), observation{time: unset, day: minDay}
			for _, u := range observed {
				if u.day < before {
					cs.keepLater(&at, u)
					want = at.code
				}
			}
			if got := codeBefore(unmerged, before); got != want {
				t.Fatalf("seed %d, before day %d: unmerged code %d, want %d", seed, before, got, want)
			}
			if got := codeBefore(runs, before); got != want {
				t.Fatalf("seed %d, before day %d: runs %v have code %d, want %d of %v", seed, before, runs, got, want, observed)
			}
		}
	}
	if mixed == 0 || merged < 300 {
		t.Errorf("%d of 3000 seeds failed with errMixedDay and %d had merged runs, want both kinds", mixed, merged)
	}
}
