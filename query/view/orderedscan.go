package view

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/bits"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

const (
	maxKeys    = 1 << 16 // keys that an OrderedScan holds at once; 24 bytes each
	maxBuckets = 1 << 16 // counters of one histogram; 8 bytes each
)

// EventKey is the position of an event in the order of all: by time, then
// shard, then offset. No two events share one.
type EventKey struct {
	Time   int64 // epoch milliseconds
	Offset int64
	Shard  int32
}

// ID says where the event of k lies in the log.
func (k EventKey) ID() RowID { return RowID{k.Shard, k.Offset} }

func compareKeys(a, b EventKey) int {
	switch {
	case a.Time != b.Time:
		return cmp.Compare(a.Time, b.Time)
	case a.Shard != b.Shard:
		return cmp.Compare(a.Shard, b.Shard)
	}
	return cmp.Compare(a.Offset, b.Offset)
}

// OrderedScan selects events of one view by their rank in the order of time, in
// memory that does not grow with their number. It counts them by intervals
// first, and scans again only the intervals that have selected ranks and more
// events than MaxKeys.
type OrderedScan struct {
	View     *View
	From, To int64                                // half-open period, epoch milliseconds
	Filter   columns.Filter                       // of the rows; it needs no times
	Columns  []string                             // that Wants reads; time, shard and offset come along
	Wants    func(*columns.View) func(i int) bool // of a batch; it returns nil for all rows
	MaxKeys  int64                                // keys held at once; 0 means 65,536

	Texts       []lake.TextFilter // that every wanted row matches: rows of the lake are judged by them first
	TextsDecide bool              // every row that matches Texts is wanted
}

// window is a box of the order. All bounds are half-open; shards are narrowed
// only within one millisecond, offsets only within one shard.
type window struct {
	time, shard, offset interval
}

// interval is half-open.
type interval struct{ from, to int64 }

func (i interval) width() int64     { return i.to - i.from }
func (i interval) has(v int64) bool { return i.from <= v && v < i.to }

// dimension is the one that w is divided along next, and a key's place on it.
func (w *window) dimension() (*interval, func(EventKey) int64) {
	switch {
	case w.time.width() > 1:
		return &w.time, func(k EventKey) int64 { return k.Time }
	case w.shard.width() > 1:
		return &w.shard, func(k EventKey) int64 { return int64(k.Shard) }
	}
	return &w.offset, func(k EventKey) int64 { return k.Offset }
}

// narrowed is w with its dimension narrowed to along.
func (w window) narrowed(along interval) window {
	dimension, _ := w.dimension()
	*dimension = along
	return w
}

// filter narrows f to the rows of w as far as a filter can: a bound of 0 means
// open, and a filter has one shard or all.
func (w window) filter(f columns.Filter) columns.Filter {
	f.TimeFrom, f.TimeTo = w.time.from, w.time.to
	if w.shard.width() == 1 {
		shard := int32(w.shard.from)
		f.Shard = &shard
		f.OffsetFrom = map[int32]int64{shard: w.offset.from}
		f.OffsetTo = map[int32]int64{shard: w.offset.to}
	}
	return f
}

// has reports exactly whether k lies in w.
func (w *window) has(k EventKey) bool {
	return w.time.has(k.Time) && w.shard.has(int64(k.Shard)) && w.offset.has(k.Offset)
}

// Histogram says how many rows each interval of a window has.
type Histogram struct {
	Total int64 // rows of the window

	window window
	along  interval             // of window, along which it is divided
	at     func(EventKey) int64 // the place of a key there
	shift  int                  // an interval is 1<<shift wide
	counts []int64              // nil while there are keys
	keys   []EventKey           // all keys, sorted, if they are at most MaxKeys; else nil
}

// Count counts the rows of the period.
func (s *OrderedScan) Count(ctx context.Context) (*Histogram, error) {
	return s.histogram(ctx, s.window(interval{s.From, s.To}))
}

// window returns all rows of a part of the period.
func (s *OrderedScan) window(time interval) window {
	end := int64(1)
	for _, next := range s.View.watermark {
		end = max(end, next)
	}
	return window{time: time, shard: interval{0, MaxShards}, offset: interval{0, end}}
}

// histogram counts the rows of w.
func (s *OrderedScan) histogram(ctx context.Context, w window) (*Histogram, error) {
	dimension, at := w.dimension()
	h := &Histogram{window: w, along: *dimension, at: at}
	h.shift = max(0, bits.Len64(uint64(h.along.width()-1))-bits.Len(maxBuckets-1))
	take := func(rows *columns.View) {
		wants := s.Wants(rows)
		for i := range rows.Rows {
			key := EventKey{Time: rows.TimeMS(i), Shard: rows.Shard[i], Offset: rows.Offset[i]}
			if w.has(key) && (wants == nil || wants(i)) {
				h.add(key, s.maxKeys())
			}
		}
	}
	if err := s.eachCommitted(ctx, w.filter(s.Filter), take); err != nil {
		return nil, err
	}
	if err := s.eachTail(ctx, s.names(), take); err != nil {
		return nil, err
	}
	slices.SortFunc(h.keys, compareKeys)
	return h, nil
}

// names are the columns that a key and Wants are made of.
func (s *OrderedScan) names() []string {
	return append([]string{columns.Time, columns.Shard, columns.Offset}, s.Columns...)
}

// eachCommitted calls take with the rows of the lake that f and Texts select.
func (s *OrderedScan) eachCommitted(ctx context.Context, f columns.Filter, take func(rows *columns.View)) (err error) {
	s.View.scanLake(ctx, s.names(), s.View.belowWatermark(f), s.Texts, eachBatch(take, &err))
	return err
}

// eachBatch returns a receiver of batches that calls take with each until one is an
// error, which it leaves in err.
func eachBatch(take func(rows *columns.View), err *error) func(arrow.Record, error) bool {
	return func(rec arrow.Record, errScan error) bool {
		if *err = errScan; errScan != nil {
			return false
		}
		rows, errBind := columns.Bind(rec)
		if errBind != nil {
			*err = fmt.Errorf("read events: %w", errBind)
			return false
		}
		take(&rows)
		return true
	}
}

// add counts a row. The keys are kept as long as there are at most most; more are
// counted by intervals.
func (h *Histogram) add(key EventKey, most int64) {
	h.Total++
	switch {
	case h.counts != nil:
		h.count(key)
	case h.Total <= most:
		h.keys = append(h.keys, key)
	default:
		h.counts = make([]int64, (h.along.width()-1)>>h.shift+1)
		for _, k := range h.keys {
			h.count(k)
		}
		h.count(key)
		h.keys = nil
	}
}

func (h *Histogram) count(key EventKey) { h.counts[(h.at(key)-h.along.from)>>h.shift]++ }

func (s *OrderedScan) maxKeys() int64 { return cmp.Or(s.MaxKeys, maxKeys) }

// SelectRanks yields the keys of h of rank from ≤ rank < to, ascending, in
// pieces of at most MaxKeys.
func (s *OrderedScan) SelectRanks(ctx context.Context, h *Histogram, from, to int64) iter.Seq2[[]EventKey, error] {
	return func(yield func([]EventKey, error) bool) {
		s.selectRanks(ctx, h, interval{max(from, 0), min(to, h.Total)}, yield)
	}
}

// selectRanks reports whether more is wanted and nothing failed.
func (s *OrderedScan) selectRanks(ctx context.Context, h *Histogram, ranks interval, yield func([]EventKey, error) bool) bool {
	if ranks.width() <= 0 {
		return true
	}
	if h.counts == nil {
		return yield(h.keys[ranks.from:ranks.to], nil)
	}
	before := int64(0) // rows in the intervals below i
	for i := 0; i < len(h.counts) && before < ranks.to; {
		n, j := h.counts[i], i+1
		if before+n > ranks.from {
			for j < len(h.counts) && before+n < ranks.to && n+h.counts[j] <= s.maxKeys() {
				n, j = n+h.counts[j], j+1
			}
			inner := interval{max(ranks.from-before, 0), min(ranks.to-before, n)}
			if n > 0 && !s.rescan(ctx, h.span(i, j), n, inner, yield) {
				return false
			}
		}
		before, i = before+n, j
	}
	return true
}

// span is the window of the intervals from i to j, exclusive.
func (h *Histogram) span(i, j int) window {
	dimension, _ := h.window.dimension()
	return h.window.narrowed(interval{
		dimension.from + int64(i)<<h.shift, min(dimension.from+int64(j)<<h.shift, dimension.to),
	})
}

// rescan scans w once more, in which n rows were counted.
func (s *OrderedScan) rescan(ctx context.Context, w window, n int64, ranks interval, yield func([]EventKey, error) bool) bool {
	h, err := s.histogram(ctx, w)
	if err == nil && h.Total != n {
		err = fmt.Errorf("snapshot %d changed under a scan: %d rows, then %d", s.View.snap.ID(), n, h.Total)
	}
	if err != nil {
		yield(nil, err)
		return false
	}
	return s.selectRanks(ctx, h, ranks, yield)
}
