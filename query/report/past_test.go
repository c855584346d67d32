package report

import (
	"errors"
	"math/rand/v2"
	"testing"
)

// TestPastRuns holds runs to every utterance by itself, in any order.
func TestPastRuns(t *testing.T) {
	mixed, merged := 0, 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := newFacts(&base{}, part{to: wholePart})
		for _, raw := range []string{`"a"`, `"b"`, `"c"`} {
			f.code(raw)
		}
		var said []utterance
		for n := range 1 + r.IntN(14) {
			day := Day(r.IntN(9))
			if r.IntN(3) > 0 && n > 0 {
				day = max(said[n-1].day, day)
			}
			said = append(said, utterance{code: int32(r.IntN(4)), day: day, time: int64(day)*10 + r.Int64N(3), offset: int64(r.IntN(40))})
		}
		var apart, runs []pastRun
		var err, errRuns error
		for _, u := range said {
			if apart, err = f.remember(apart, u, false); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if errRuns == nil {
				runs, errRuns = f.remember(runs, u, true)
			}
		}
		if errors.Is(errRuns, errMixed) {
			mixed++
			continue
		}
		if len(runs) < len(apart) {
			merged++
		}
		for before := range Day(11) {
			want, at := int32(0), utterance{time: neverSaid, day: minDay}
			for _, u := range said {
				if u.day < before {
					f.later(&at, u)
					want = at.code
				}
			}
			if got := pastCode(apart, before); got != want {
				t.Fatalf("seed %d, before %d: apart %d, want %d", seed, before, got, want)
			}
			if got := pastCode(runs, before); got != want {
				t.Fatalf("seed %d, before %d: runs %v say %d, want %d of %v", seed, before, runs, got, want, said)
			}
		}
	}
	if mixed == 0 || merged < 300 {
		t.Errorf("%d of 3000 were mixed, %d had longer runs", mixed, merged)
	}
}
