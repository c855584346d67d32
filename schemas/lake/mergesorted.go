package lake

import (
	"iter"
	"slices"
)

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
		var heap mergeHeap[mergeInput[R]]
		heap.less = func(a, b *mergeInput[R]) bool { return compare(a.row, b.row) < 0 }
		for _, in := range inputs {
			next, stop := iter.Pull2(in)
			defer stop()
			s := &mergeInput[R]{next: next}
			if row, err, ok := next(); err != nil {
				yield(nil, err)
				return
			} else if ok {
				s.row = row
				heap.push(s)
			}
		}
		var out R
		have := false
		for len(heap.items) > 0 {
			top := heap.items[0]
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
			heap.fixFirst(ok)
		}
		if have {
			yield(&out, nil)
		}
	}
}

// mergeHeap keeps the least of its items first.
type mergeHeap[T any] struct {
	items []*T
	less  func(a, b *T) bool
}

// push adds an item.
func (h *mergeHeap[T]) push(item *T) {
	h.items = append(h.items, item)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.items[i], h.items[up]) {
			return
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

// fixFirst restores the order after the first item has changed, or drops that
// item if keep is false.
func (h *mergeHeap[T]) fixFirst(keep bool) {
	if !keep {
		last := len(h.items) - 1
		h.items[0] = h.items[last]
		h.items = slices.Delete(h.items, last, last+1)
	}
	for i := 0; ; {
		least := i
		for _, down := range [...]int{2*i + 1, 2*i + 2} {
			if down < len(h.items) && h.less(h.items[down], h.items[least]) {
				least = down
			}
		}
		if least == i {
			return
		}
		h.items[i], h.items[least] = h.items[least], h.items[i]
		i = least
	}
}
