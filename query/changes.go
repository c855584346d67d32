package query

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/query/report"
	"weir/schemas"
	"weir/schemas/changes"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/property"
)

// loadChanges loads client_changes for v. Unlike a rollup it is loaded after
// `events`: it is committed before, so it has every change below where
// `events` ends, and nothing needs to be found for a gap. What it has beyond
// the watermark is left out; what it lacks below it, the owners have.
func (s *Service) loadChanges(ctx context.Context, v *view) error {
	tables, err := s.loadRollups(ctx, []lake.Table{lake.Changes})
	if err != nil {
		return err
	}
	v.said = tables[lake.Changes]
	return nil
}

// knownClients is what is known of the clients of one product that are wanted,
// as of the watermark, beside their events. The question must have asked for
// changes, and have a filter that lets the product through.
// Memory is that of what they have, and of increases, additions and removals
// since a property was last set; report.ErrFull where that is too much.
func (v *view) knownClients(ctx context.Context, product int64, scan report.UserAttributeScan) (*changes.Set, error) {
	set := &changes.Set{Keep: func(kind schemas.ChangeKind, name string) bool {
		return slices.Contains(scan.Names, attributePrefix(kind)+name)
	}}
	for c, err := range v.changes(ctx, columns.Filter{Products: []int64{product}}) {
		if err != nil {
			return nil, err
		}
		if !scan.Clients(c.Client) {
			continue
		}
		set.Add(&c.Change, c.Offset)
		if set.Bytes() > scan.Bytes && set.Len() > 1 {
			return nil, report.ErrFull
		}
	}
	return set, nil
}

// attributePrefix is what reports put before the names that one kind of change sets.
func attributePrefix(kind schemas.ChangeKind) string {
	if kind == schemas.ContactChange {
		return property.ContactPrefix
	}
	return property.UserPrefix
}

// userAttributes yields what is known of a product's clients that are wanted as reports
// read it: for each property and contact that a client has one row, in no
// order. The question must have asked for changes.
func (v *view) userAttributes(ctx context.Context, product int64, scan report.UserAttributeScan) iter.Seq2[*report.UserAttribute, error] {
	return func(yield func(*report.UserAttribute, error) bool) {
		set, err := v.knownClients(ctx, product, scan)
		if err != nil {
			yield(nil, err)
			return
		}
		for id, c := range set.Clients() {
			for kind, values := range map[schemas.ChangeKind]map[string]changes.Value{schemas.PropertyChange: c.Properties, schemas.ContactChange: c.Contacts} {
				for name, value := range values {
					t := report.UserAttribute{Client: id, Name: attributePrefix(kind) + name, Value: string(value.JSON), Time: value.Time, Offset: value.Offset}
					if !yield(&t, nil) {
						return
					}
				}
			}
		}
	}
}

// changes yields the changes of f's products and clients as of the watermark,
// each once, in no order; f has nothing else. The question must have asked for
// changes. A row is valid until the next one is asked for, what its fields
// point to for ever.
func (v *view) changes(ctx context.Context, f columns.Filter) iter.Seq2[*lake.Change, error] {
	return func(yield func(*lake.Change, error) bool) {
		f := columns.Filter{Products: f.Products, Clients: f.Clients, OffsetTo: v.changesEnd()}
		for c, err := range v.lake.ScanChanges(ctx, lake.Prune(v.said.files, f), f) {
			if err != nil {
				yield(nil, fmt.Errorf("scan changes: %w", err))
				return
			}
			if !yield(c, nil) {
				return
			}
		}
		f.OffsetFrom = v.said.next
		for c, err := range lake.ChangesOf(v.heldChanges(ctx, f)) {
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

// changesEnd is the watermark, and of a shard that it does not know that
// nothing of it is included.
func (v *view) changesEnd() map[int32]int64 {
	end := maps.Clone(map[int32]int64(v.watermark))
	for shard := range v.said.next {
		if _, exists := v.watermark[shard]; !exists {
			end[shard] = 0
		}
	}
	return end
}

// heldChanges are those that owners hold. A batch is valid until the next one
// is asked for.
func (v *view) heldChanges(ctx context.Context, f columns.Filter) iter.Seq2[arrow.Record, error] {
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
