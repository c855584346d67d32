package report

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// maxWorkers bounds how many processors one question keeps busy.
const maxWorkers = 4

// rowRange is one worker's share of the rows of each batch, where rows need not
// be divided by client; the zero value is no division.
type rowRange struct{ worker, workers int }

// bounds returns the rows of a batch that the worker adds.
func (r rowRange) bounds(rows int) (from, to int) {
	return r.worker * rows / r.workers, (r.worker + 1) * rows / r.workers
}

// newWorkers divides a hash range and the memory of a pass evenly among
// workers.
func (q *base) newWorkers(hashes hashRange) []*clientStats {
	n := uint64(min(maxWorkers, runtime.GOMAXPROCS(0)))
	if hashes.to-hashes.from < n {
		n = 1
	}
	out := make([]*clientStats, n)
	width := (hashes.to - hashes.from) / n
	for i := range n {
		p := hashRange{from: hashes.from + i*width, to: hashes.from + (i+1)*width}
		if i == n-1 {
			p.to = hashes.to
		}
		out[i] = newClientStats(q, p)
		out[i].maxBytes = q.params.Bytes / int64(n)
		if hashes.whole() {
			out[i].rows = rowRange{worker: int(i), workers: int(n)}
		}
	}
	return out
}

// newGroupedWorker returns the stats of clients that count as one. It is a
// single worker, because clients of one unit have any hash.
func (q *base) newGroupedWorker(g *grouping) []*clientStats {
	cs := newClientStats(q, hashRange{to: hashEnd})
	cs.unitIndex, cs.onlyKnown = g.unitIndex, true
	for range g.units {
		cs.addUnit(0)
	}
	return []*clientStats{cs}
}

// forEachBatch hands every batch to every worker, each of which adds its own
// clients, and waits for all of them before it takes the next batch: a batch is
// valid no longer. It ends when ctx ends, whatever the source does.
func forEachBatch[B any](ctx context.Context, batches iter.Seq2[*B, error], workers []*clientStats, add func(*clientStats, *B) error) error {
	for b, err := range batches {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = inParallel(workers, func(cs *clientStats) error { return add(cs, b) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unitsPerCheck is how many units are looked at between two looks at the context.
const unitsPerCheck = 256

// eachUnit yields all units, and fewer if ctx ends.
func eachUnit(ctx context.Context, cs *clientStats) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for u := range int32(len(cs.units)) {
			if u%unitsPerCheck == 0 && ctx.Err() != nil || !yield(u) {
				return
			}
		}
	}
}

// inParallel runs do for all workers at once, the first one in the calling
// goroutine, waits for all and returns the first error.
func inParallel(workers []*clientStats, do func(*clientStats) error) error {
	var running sync.WaitGroup
	errs := make([]error, len(workers))
	for i, cs := range workers[1:] {
		running.Go(func() { errs[i+1] = do(cs) })
	}
	errs[0] = do(workers[0])
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
