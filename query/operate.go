package query

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/bits"
	"slices"

	"weir/schemas/columns"
)

const (
	maxKeys    = 1 << 16 // sort keys that one question holds at once; 24 bytes each
	maxBuckets = 1 << 16 // counters of one tally; 8 bytes each
)

// rowKey is the place of an event among all: by time, then shard, then offset.
// No two events share one.
type rowKey struct {
	time   int64 // epoch milliseconds
	offset int64
	shard  int32
}

func compareKeys(a, b rowKey) int {
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.shard, b.shard), cmp.Compare(a.offset, b.offset))
}

// survey finds events of one view by their place in the order of time, in
// memory that does not grow with their number: it counts them by intervals
// first, and looks again, only where it must, for those that are asked for.
type survey struct {
	view    *view
	period  window                               // all of it
	filter  columns.Filter                       // rows to look at
	columns []string                             // that wants reads; time, shard and offset come along
	wants   func(*columns.View) func(i int) bool // of a batch; a nil function is all of its rows
}

// window is an interval of the order. All three bounds are half-open; shards
// are narrowed only within one millisecond, offsets only within one shard.
type window struct {
	time, shard, offset interval
}

type interval struct{ from, to int64 }

func (i interval) width() int64     { return i.to - i.from }
func (i interval) has(v int64) bool { return i.from <= v && v < i.to }

// period is the window of all events of view from ≤ time < to, in epoch
// milliseconds.
func (v *view) period(from, to int64) window {
	end := int64(1)
	for _, next := range v.watermark {
		end = max(end, next)
	}
	return window{time: interval{from, to}, shard: interval{0, maxShards}, offset: interval{0, end}}
}

// axis is what w is cut along next, and where a row lies on it.
func (w *window) axis() (*interval, func(rowKey) int64) {
	switch {
	case w.time.width() > 1:
		return &w.time, func(k rowKey) int64 { return k.time }
	case w.shard.width() > 1:
		return &w.shard, func(k rowKey) int64 { return int64(k.shard) }
	}
	return &w.offset, func(k rowKey) int64 { return k.offset }
}

// part is the part of w that is along on its axis.
func (w window) part(along interval) window {
	axis, _ := w.axis()
	*axis = along
	return w
}

// narrow is f for the rows of w, as near as a filter comes: bounds of 0 are
// open in it, and it knows one shard or all.
func (w window) narrow(f columns.Filter) columns.Filter {
	f.TimeFrom, f.TimeTo = w.time.from, w.time.to
	if w.shard.width() == 1 {
		shard := int32(w.shard.from)
		f.Shard = &shard
		f.OffsetFrom = map[int32]int64{shard: w.offset.from}
		f.OffsetTo = map[int32]int64{shard: w.offset.to}
	}
	return f
}

// has holds a row to w exactly.
func (w *window) has(k rowKey) bool {
	return w.time.has(k.time) && w.shard.has(int64(k.shard)) && w.offset.has(k.offset)
}

// tally is what a window holds: how many rows in each interval of its axis,
// and the rows themselves if they are few.
type tally struct {
	window window
	shift  int // an interval is 1<<shift wide
	counts []int64
	total  int64
	keys   []rowKey // sorted; all of them, or none if they are more than the limit
}

// tally counts the rows of w.
func (s *survey) tally(ctx context.Context, w window) (*tally, error) {
	axis, at := w.axis()
	last := axis.width() - 1
	t := &tally{window: w, shift: max(0, bits.Len64(uint64(last))-bits.Len(maxBuckets-1))}
	t.counts = make([]int64, last>>t.shift+1)
	most := s.most()
	names := append([]string{columns.Time, columns.Shard, columns.Offset}, s.columns...)
	for rec, err := range s.view.events(ctx, names, w.narrow(s.filter)) {
		if err != nil {
			return nil, err
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		wants := s.wants(&rows)
		for i := range rows.Rows {
			key := rowKey{time: rows.TimeMS(i), shard: rows.Shard[i], offset: rows.Offset[i]}
			if w.has(key) && (wants == nil || wants(i)) {
				t.counts[(at(key)-axis.from)>>t.shift]++
				t.add(key, most)
			}
		}
	}
	slices.SortFunc(t.keys, compareKeys)
	return t, nil
}

// add counts a row, and keeps it as long as there are no more than most.
func (t *tally) add(key rowKey, most int64) {
	if t.total++; t.total <= most {
		t.keys = append(t.keys, key)
		return
	}
	t.keys = nil
}

func (s *survey) most() int64 { return cmp.Or(s.view.service.maxKeys, maxKeys) }

// ranks yields the rows of t of rank from ≤ rank < to, ascending, in pieces.
func (s *survey) ranks(ctx context.Context, t *tally, from, to int64) iter.Seq2[[]rowKey, error] {
	return func(yield func([]rowKey, error) bool) {
		s.walk(ctx, t, interval{max(from, 0), min(to, t.total)}, yield)
	}
}

// walk yields the rows of the ranks wanted, and reports whether more is wanted
// and nothing failed.
func (s *survey) walk(ctx context.Context, t *tally, ranks interval, yield func([]rowKey, error) bool) bool {
	if ranks.width() <= 0 {
		return true
	}
	if t.keys != nil {
		return yield(t.keys[ranks.from:ranks.to], nil)
	}
	before := int64(0) // rows in the intervals below i
	for i := 0; i < len(t.counts) && before < ranks.to; {
		n, j := t.counts[i], i+1
		if before+n > ranks.from {
			for j < len(t.counts) && before+n < ranks.to && n+t.counts[j] <= s.most() {
				n, j = n+t.counts[j], j+1
			}
			inner := interval{max(ranks.from-before, 0), min(ranks.to-before, n)}
			if n > 0 && !s.walkPart(ctx, t.part(i, j), inner, yield) {
				return false
			}
		}
		before, i = before+n, j
	}
	return true
}

// slice is some intervals of a tally, with n rows.
type slice struct {
	window window
	n      int64
}

func (t *tally) part(i, j int) slice {
	axis, _ := t.window.axis()
	along := interval{axis.from + int64(i)<<t.shift, min(axis.from+int64(j)<<t.shift, axis.to)}
	var n int64
	for _, count := range t.counts[i:j] {
		n += count
	}
	return slice{window: t.window.part(along), n: n}
}

// walkPart looks once more into a part of what was counted.
func (s *survey) walkPart(ctx context.Context, part slice, ranks interval, yield func([]rowKey, error) bool) bool {
	t, err := s.tally(ctx, part.window)
	if err == nil && t.total != part.n {
		err = fmt.Errorf("snapshot %d changed under a scan: %d rows, then %d", s.view.snap.ID(), part.n, t.total)
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	return s.walk(ctx, t, ranks, yield)
}
