package lake

import "container/heap"

// mergeHeap keeps the least of its items first. Its exported methods serve
// container/heap, which is as fast here as a heap with typed calls would be:
// BenchmarkRollups merges event files at 684 k rows per CPU second with either,
// client days at 611 k with this and 622 k with the other, where runs of the
// same code differ by 16 %.
type mergeHeap[T any] struct {
	items []*T
	less  func(a, b *T) bool
}

// Len, Less, Swap, Push and Pop are those of heap.Interface.
func (h *mergeHeap[T]) Len() int           { return len(h.items) }
func (h *mergeHeap[T]) Less(i, j int) bool { return h.less(h.items[i], h.items[j]) }
func (h *mergeHeap[T]) Swap(i, j int)      { h.items[i], h.items[j] = h.items[j], h.items[i] }

// Push appends an item, without a look at the order.
func (h *mergeHeap[T]) Push(x any) {
	item, _ := x.(*T)
	h.items = append(h.items, item)
}

// Pop takes away the last item.
func (h *mergeHeap[T]) Pop() any {
	last := len(h.items) - 1
	item := h.items[last]
	h.items[last] = nil // so that its batch can be collected
	h.items = h.items[:last]
	return item
}

// add adds an item.
func (h *mergeHeap[T]) add(item *T) { heap.Push(h, item) }

// fixFirst restores the order after the first item has changed, or drops that
// item if keep is false.
func (h *mergeHeap[T]) fixFirst(keep bool) {
	if !keep {
		heap.Pop(h)
		return
	}
	heap.Fix(h, 0)
}
