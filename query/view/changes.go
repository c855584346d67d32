package view

import (
	"context"
	"fmt"
	"iter"
	"maps"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

// Changes yields the changes of f's products and clients as of the watermark,
// each once, in no order; other conditions of f are ignored. The Request must
// have asked for changes. A row is valid until the next one; what its fields
// point to stays valid.
func (v *View) Changes(ctx context.Context, f columns.Filter) iter.Seq2[*lake.Change, error] {
	return func(yield func(*lake.Change, error) bool) {
		f := columns.Filter{Products: f.Products, Clients: f.Clients, OffsetTo: v.changesEnd()}
		for c, err := range v.lake.ScanChanges(ctx, lake.Prune(v.changes.files, f), f) {
			if err != nil {
				yield(nil, fmt.Errorf("scan changes: %w", err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
		f.OffsetFrom = v.changes.next
		for c, err := range lake.ChangesOf(v.tailChanges(ctx, f)) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// changesEnd returns the watermark, with 0 for the shards of client_changes that it
// does not have, so that the scan leaves those out.
func (v *View) changesEnd() map[int32]int64 {
	end := maps.Clone(map[int32]int64(v.watermark))
	for shard := range v.changes.next {
		if _, exists := v.watermark[shard]; !exists {
			end[shard] = 0
		}
	}
	return end
}

// tailChanges yields the changes that owners hold. A batch is valid until the next
// one.
func (v *View) tailChanges(ctx context.Context, f columns.Filter) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		for i := range v.parts {
			p := &v.parts[i]
			for rec, err := range p.SelectChanges(f, memory.DefaultAllocator) {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield(nil, fmt.Errorf("scan changes in the tail of shard %d: %w", p.Shard, err))
					return
				}
				if !yield(rec, nil) {
					return
				}
			}
		}
	}
}
