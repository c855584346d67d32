package lake

import (
	"context"
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
)

// groupDecoding is a row group that a goroutine decodes.
type groupDecoding struct {
	batches chan arrow.Record // closed at the end; the receiver of a batch owns it
	err     error             // may be read once batches is closed
}

// runParallel is run, but decodes prefetchGroups row groups at once. Batches
// come in the same order. prefetchBatches bounds how many of each row group are
// decoded and not yet read. When it returns, every goroutine has ended and
// every batch is released.
func (s *scanner) runParallel(ctx context.Context, files []DataFile, yield func(arrow.Record, error) bool) {
	var running sync.WaitGroup
	var queue []*groupDecoding // in order
	defer func() {
		running.Wait()
		for _, d := range queue {
			for rec := range d.batches {
				rec.Release()
			}
		}
	}()
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	// take yields the batches of the first of queue and reports whether to go
	// on.
	take := func() bool {
		for rec := range queue[0].batches {
			more := yield(rec, nil)
			rec.Release()
			if !more {
				return false
			}
		}
		if err := queue[0].err; err != nil {
			yield(nil, err)
			return false
		}
		queue = queue[1:]
		return true
	}
	var failed error
	for g, err := range s.groups(ctx, files) {
		if err != nil {
			failed = err // reported after the batches of the row groups before it
			break
		}
		d := &groupDecoding{batches: make(chan arrow.Record, prefetchBatches)}
		queue = append(queue, d)
		running.Go(func() { s.decode(ctx, g, d) })
		if len(queue) == prefetchGroups && !take() {
			return
		}
	}
	for len(queue) > 0 {
		if !take() {
			return
		}
	}
	if failed != nil {
		yield(nil, failed)
	}
}

// decode sends the batches of g to d until ctx ends.
func (s *scanner) decode(ctx context.Context, g *group, d *groupDecoding) {
	defer close(d.batches)
	more, err := s.scanGroup(g, func(rec arrow.Record, _ error) bool {
		rec.Retain()
		select {
		case d.batches <- rec:
			return true
		case <-ctx.Done():
			rec.Release()
			return false
		}
	})
	d.err = err
	if err == nil && !more {
		d.err = s.fileError(g.path, ctx.Err())
	}
}
