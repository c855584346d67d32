package lake

import "iter"

// mergeInput is one of the inputs of a merge, at its next row.
type mergeInput[R any] struct {
	next func() (*R, error, bool)
	row  *R
}

// mergeSorted yields the rows of inputs, each of which is sorted by compare, in
// that order. Rows that compare equal become one by merge; if merge is nil they
// follow one another. A row is valid until the next.
func mergeSorted[R any](inputs []iter.Seq2[*R, error], compare func(a, b *R) int, merge func(into, from *R)) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		var queue mergeHeap[mergeInput[R]]
		queue.less = func(a, b *mergeInput[R]) bool { return compare(a.row, b.row) < 0 }
		for _, in := range inputs {
			next, stop := iter.Pull2(in)
			defer stop()
			s := &mergeInput[R]{next: next}
			if row, err, ok := next(); err != nil {
				yield(nil, err)
				return
			} else if ok {
				s.row = row
				queue.add(s)
			}
		}
		var out R
		have := false
		for len(queue.items) > 0 {
			top := queue.items[0]
			switch {
			case have && merge != nil && compare(&out, top.row) == 0:
				merge(&out, top.row)
			case have && !yield(&out, nil):
				return
			default:
				out, have = *top.row, true
			}
			row, err, ok := top.next()
			if err != nil {
				yield(nil, err)
				return
			}
			top.row = row
			queue.fixFirst(ok)
		}
		if have {
			yield(&out, nil)
		}
	}
}
