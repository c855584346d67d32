package view

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

// Events yields the events of f below the watermark, of the lake and of the
// tail, in no order, as batches of the named columns. For the tail, names must
// be among those of the Request, and f no wider than its filter. Of the lake, rows
// that do not match textFilters are left out. A batch is valid until the next one.
func (v *View) Events(ctx context.Context, names []string, f columns.Filter, textFilters ...lake.TextFilter) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		if v.scanLake(ctx, names, v.belowWatermark(f), textFilters, yield) {
			v.scanTail(ctx, names, f, yield)
		}
	}
}

// belowWatermark narrows f to the watermark, where that lies below the end of
// the lake.
func (v *View) belowWatermark(f columns.Filter) columns.Filter {
	var end map[int32]int64
	for shard, next := range v.watermark {
		if next >= v.next[shard] {
			continue
		}
		if end == nil {
			end = maps.Clone(f.OffsetTo)
		}
		if end == nil {
			end = map[int32]int64{}
		}
		end[shard] = next
		if to, ok := f.OffsetTo[shard]; ok {
			end[shard] = min(to, next)
		}
	}
	if end != nil {
		f.OffsetTo = end
	}
	return f
}

// scanLake reports whether more is wanted and nothing failed.
func (v *View) scanLake(ctx context.Context, names []string, f columns.Filter, textFilters []lake.TextFilter, yield func(arrow.Record, error) bool) bool {
	rows := v.metrics.scanned.WithLabelValues("lake")
	for rec, err := range v.lake.ScanEvents(ctx, lake.Prune(v.files, f), names, f, textFilters...) {
		if err != nil {
			yield(nil, fmt.Errorf("scan events: %w", err))
			return false
		}
		rows.Add(float64(rec.NumRows()))
		if !yield(rec, nil) {
			return false
		}
	}
	return true
}

// scanTail yields the rows that the owners had sent with the plan; it sends no request.
func (v *View) scanTail(ctx context.Context, names []string, f columns.Filter, yield func(arrow.Record, error) bool) {
	rows := v.metrics.scanned.WithLabelValues("tail")
	f = residual(f, v.filter)
	for i := range v.parts {
		p := &v.parts[i]
		for rec, err := range p.Select(names, below(f, p.Shard, v.watermark[p.Shard]), memory.DefaultAllocator) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, fmt.Errorf("scan tail of shard %d: %w", p.Shard, err))
				return
			}
			rows.Add(float64(rec.NumRows()))
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// residual drops from f the conditions that the owners have applied already,
// which are those of applied.
func residual(f, applied columns.Filter) columns.Filter {
	if applied.Products != nil && slices.Equal(f.Products, applied.Products) {
		f.Products = nil
	}
	if applied.Clients != nil && slices.Equal(f.Clients, applied.Clients) {
		f.Clients = nil
	}
	if f.TimeFrom == applied.TimeFrom && f.TimeTo == applied.TimeTo {
		f.TimeFrom, f.TimeTo = 0, 0
	}
	if f.ArrivalFrom == applied.ArrivalFrom && f.ArrivalTo == applied.ArrivalTo {
		f.ArrivalFrom, f.ArrivalTo = 0, 0
	}
	return f
}

// below narrows f to the offsets of one shard below end.
func below(f columns.Filter, shard int32, end int64) columns.Filter {
	if to, ok := f.OffsetTo[shard]; ok {
		end = min(end, to)
	}
	f.OffsetTo = map[int32]int64{shard: end}
	return f
}
