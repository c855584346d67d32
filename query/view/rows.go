package view

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/tail"
)

// RowID says where an event lies in the log.
type RowID struct {
	Shard  int32
	Offset int64
}

// InLake reports whether the row is committed in the view's snapshot.
func (v *View) InLake(id RowID) bool { return id.Offset < v.next[id.Shard] }

// ReadCommitted calls take with batches of those rows of ids that are committed, of
// which f must be true.
func (v *View) ReadCommitted(ctx context.Context, names []string, f columns.Filter, ids []RowID, take func(arrow.Record) error) error {
	offsets := map[int32][]int64{}
	for _, id := range ids {
		if v.InLake(id) {
			offsets[id.Shard] = append(offsets[id.Shard], id.Offset)
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	for rec, err := range lake.ScanRows(ctx, v.lake, lake.Prune(v.files, f), names, f, offsets) {
		if err != nil {
			return fmt.Errorf("scan rows: %w", err)
		}
		if err := take(rec); err != nil {
			return err
		}
	}
	return nil
}

// ReadTail calls take with batches of those rows of ids that are not committed.
// Their owners are asked a second time, because the plan held fewer columns. It
// fails with ErrMoved if one of them has lost its shard or dropped the rows.
func (v *View) ReadTail(ctx context.Context, names []string, ids []RowID, take func(arrow.Record) error) error {
	offsets := map[int32][]int64{}
	for _, id := range ids {
		if !v.InLake(id) {
			offsets[id.Shard] = append(offsets[id.Shard], id.Offset)
		}
	}
	for _, list := range offsets {
		slices.Sort(list)
	}
	parts, err := v.fetchRows(ctx, names, offsets)
	if err != nil {
		return err
	}
	var errs []error
	for i := range parts {
		for _, rec := range parts[i].Rows {
			errs = append(errs, take(rec))
		}
		parts[i].Release()
	}
	return errors.Join(errs...)
}

// fetchRows asks each owner for its rows of offsets. The caller releases the
// parts.
func (v *View) fetchRows(ctx context.Context, names []string, offsets map[int32][]int64) ([]tail.Part, error) {
	byAddr := map[string]map[int32]int64{}
	for shard := range offsets {
		addr := v.holders[shard]
		if byAddr[addr] == nil {
			byAddr[addr] = map[int32]int64{}
		}
		byAddr[addr][shard] = v.next[shard]
	}
	var all []tail.Part
	for addr, from := range byAddr {
		parts, err := v.tail.Fetch(ctx, addr, tail.Request{From: from, Rows: offsets, Columns: names})
		all = append(all, parts...)
		if err = checkUnmoved(parts, v.watermark, err); err != nil {
			for i := range all {
				all[i].Release()
			}
			return nil, err
		}
	}
	return all, nil
}

// checkUnmoved checks the second response of an owner against the first: it
// must come at least as far as the watermark.
func checkUnmoved(parts []tail.Part, w Watermark, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	for _, p := range parts {
		if p.Err != nil {
			return fmt.Errorf("%w: shard %d: %w", ErrMoved, p.Shard, p.Err)
		}
		if p.Next < w[p.Shard] {
			return fmt.Errorf("%w: shard %d is at %d", ErrMoved, p.Shard, p.Next)
		}
	}
	return nil
}

// MissingRow is the error for a row that one scan of the view had and another
// had not.
func (v *View) MissingRow(id RowID) error {
	return fmt.Errorf("snapshot %d changed under a scan: no row at offset %d of shard %d", v.snap.ID(), id.Offset, id.Shard)
}
