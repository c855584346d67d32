package lake

import (
	"context"
	"iter"
	"sync"
)

// prefetch runs jobs ahead of the reader: besides the one whose result is in
// use, up to n are running or done. It yields the results in the order of jobs
// until one fails. Every job has ended when it returns.
func prefetch[T any](ctx context.Context, n int, jobs []func(context.Context) (T, error)) iter.Seq2[T, error] {
	type result struct {
		value T
		err   error
	}
	return func(yield func(T, error) bool) {
		var running sync.WaitGroup
		defer running.Wait()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		results := make([]chan result, len(jobs))
		started := 0
		for i := range jobs {
			for ; started < min(len(jobs), i+1+n); started++ {
				job, out := jobs[started], make(chan result, 1)
				results[started] = out
				running.Go(func() {
					v, err := job(ctx)
					out <- result{v, err}
				})
			}
			r := <-results[i]
			results[i] = nil
			if !yield(r.value, r.err) || r.err != nil {
				return
			}
		}
	}
}
