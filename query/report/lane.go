package report

import (
	"iter"
	"runtime"
	"sync"
)

// maxLanes bounds how many processors one question keeps busy.
const maxLanes = 4

// share is one lane's of the rows of a batch; nobody's where lanes is 0.
type share struct{ lane, lanes int }

func (s share) of(rows int) (from, to int) {
	return s.lane * rows / s.lanes, (s.lane + 1) * rows / s.lanes
}

// lanes are facts for the clients of a part, dealt out.
func (q *base) lanes(of part) []*facts {
	n := uint64(min(maxLanes, runtime.GOMAXPROCS(0)))
	if of.to-of.from < n {
		n = 1
	}
	out := make([]*facts, n)
	width := (of.to - of.from) / n
	for i := range n {
		p := part{from: of.from + i*width, to: of.from + (i+1)*width}
		if i == n-1 {
			p.to = of.to
		}
		out[i] = newFacts(q, p)
		out[i].most = q.given.Bytes / int64(n)
		if of.whole() {
			out[i].share = share{lane: int(i), lanes: int(n)}
		}
	}
	return out
}

// grouped are facts for clients that are counted as one. They are one lane: who
// belongs together is only known of all of them.
func (q *base) grouped(g *grouping) []*facts {
	f := newFacts(q, part{to: wholePart})
	f.index, f.fixed = g.index, true
	for range g.units {
		f.grow(0)
	}
	return []*facts{f}
}

// each hands every batch to every lane, and waits for all of them before the
// next: a batch is valid no longer.
func each[B any](batches iter.Seq2[*B, error], lanes []*facts, add func(*facts, *B) error) error {
	for b, err := range batches {
		if err == nil {
			err = atOnce(lanes, func(f *facts) error { return add(f, b) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func atOnce(lanes []*facts, do func(*facts) error) error {
	var running sync.WaitGroup
	errs := make([]error, len(lanes))
	for i, f := range lanes[1:] {
		running.Go(func() { errs[i+1] = do(f) })
	}
	errs[0] = do(lanes[0])
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
