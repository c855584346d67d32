package main

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

// deep counts the rows in the data files of events and of the tables that must
// agree with it, shard by shard, and aggregates events again to compare the rollups.
func (a auditor) deep(ctx context.Context, events *lake.Snapshot, shards []shardBalance) error {
	changes, err := a.lake.Load(ctx, lake.Changes) // after events, so that it is never behind
	if err != nil {
		return fmt.Errorf("load client changes: %w", err)
	}
	for i := range shards {
		if err := a.countRows(ctx, events, changes, &shards[i]); err != nil {
			return err
		}
	}
	if err := a.countDeadLetters(ctx, shards); err != nil {
		return err
	}
	return a.compareRollups(ctx, shards)
}

// countRows reads the offsets of all rows of a shard. Each must be committed and
// exist once, in one of the two tables.
func (a auditor) countRows(ctx context.Context, events, changes *lake.Snapshot, s *shardBalance) error {
	c := &rowCount{first: s.First, end: s.Committed, seen: make(bitmap, (s.Committed-s.First+63)/64)}
	if err := a.countEvents(ctx, events, s.Shard, c); err != nil {
		return err
	}
	eventRows := c.rows
	if err := a.countChanges(ctx, changes, s, c); err != nil {
		return err
	}
	s.Rows = &c.rows
	if c.rows != s.Stored-s.Erased {
		s.addProblem("%d rows lie in data files, want %d stored − %d erased", c.rows, s.Stored, s.Erased)
	}
	if changed := c.rows - eventRows; s.Erased == 0 && changed != s.Changes {
		s.addProblem("%d changes of clients lie in data files, want %d", changed, s.Changes)
	}
	if c.outOfRange > 0 {
		s.addProblem("%d rows have offsets that were not committed", c.outOfRange)
	}
	if c.repeated > 0 {
		s.addProblem("%d offsets are there twice", c.repeated)
	}
	return nil
}

// rowCount counts the rows of a shard by their offsets.
type rowCount struct {
	first, end                 int64 // range of offsets that a row may have
	seen                       bitmap
	rows, outOfRange, repeated int64
}

func (c *rowCount) add(offset int64) {
	c.rows++
	switch {
	case offset < c.first || offset >= c.end:
		c.outOfRange++
	case c.seen.set(offset - c.first):
		c.repeated++
	}
}

// countEvents adds the offsets of the rows of events. It reads one column only.
func (a auditor) countEvents(ctx context.Context, events *lake.Snapshot, shard int32, c *rowCount) error {
	files, err := events.Files(ctx)
	if err != nil {
		return fmt.Errorf("list the data files of events: %w", err)
	}
	f := columns.Filter{Shard: &shard}
	for batch, err := range a.lake.ScanEvents(ctx, lake.Prune(files, f), []string{"offset"}, f) {
		if err != nil {
			return fmt.Errorf("scan events of shard %d: %w", shard, err)
		}
		offsets, err := int64s(batch, "offset")
		if err != nil {
			return err
		}
		for _, offset := range offsets {
			c.add(offset)
		}
	}
	return nil
}

// countChanges ignores rows past the committed offset of events, since
// client_changes is committed first.
func (a auditor) countChanges(ctx context.Context, changes *lake.Snapshot, s *shardBalance, c *rowCount) error {
	files, err := changes.Files(ctx)
	if err != nil {
		return fmt.Errorf("list the data files of client changes: %w", err)
	}
	f := columns.Filter{Shard: &s.Shard, OffsetTo: map[int32]int64{s.Shard: s.Committed}}
	for change, err := range a.lake.ScanChanges(ctx, lake.Prune(files, f), f) {
		if err != nil {
			return fmt.Errorf("scan client changes of shard %d: %w", s.Shard, err)
		}
		c.add(change.Offset)
	}
	return nil
}

func int64s(batch arrow.Record, column string) ([]int64, error) {
	for i, f := range batch.Schema().Fields() {
		if f.Name != column {
			continue
		}
		if c, ok := batch.Column(i).(*array.Int64); ok {
			return c.Int64Values(), nil
		}
	}
	return nil, fmt.Errorf("scan gave no int64 column %s", column)
}

// bitmap is a set of numbers below 64·len.
type bitmap []uint64

// set adds i and reports whether it was in the set before.
func (b bitmap) set(i int64) bool {
	word, bit := i/64, uint64(1)<<(i%64)
	was := b[word]&bit != 0
	b[word] |= bit
	return was
}

// countDeadLetters compares the number of dead letters below each committed offset
// with the counter.
func (a auditor) countDeadLetters(ctx context.Context, shards []shardBalance) error {
	snapshot, err := a.lake.Load(ctx, lake.DeadLetters)
	if err != nil {
		return fmt.Errorf("load dead letters: %w", err)
	}
	files, err := snapshot.Files(ctx)
	if err != nil {
		return fmt.Errorf("list the data files of dead letters: %w", err)
	}
	f := columns.Filter{OffsetTo: map[int32]int64{}}
	for _, s := range shards {
		f.OffsetTo[s.Shard] = s.Committed
	}
	dead := map[int32]int64{}
	for letter, err := range a.lake.ReadDeadLetters(ctx, files, f) {
		if err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		dead[letter.Shard]++
	}
	for i := range shards {
		if s := &shards[i]; dead[s.Shard] != s.Dead {
			s.addProblem("%d dead letters lie in data files, want %d", dead[s.Shard], s.Dead)
		}
	}
	return nil
}

// compareRollups compares every column of every row of the rollups with what the rows
// of events give. Rollups are loaded before events, so that none is ahead of it.
func (a auditor) compareRollups(ctx context.Context, shards []shardBalance) error {
	snapshots := map[lake.Table]*lake.Snapshot{}
	for _, t := range append(lake.Rollups(), lake.Events) {
		s, err := a.lake.Load(ctx, t)
		if err != nil {
			return fmt.Errorf("load %s: %w", t, err)
		}
		snapshots[t] = s
	}
	for i := range shards {
		s := &shards[i]
		for _, t := range lake.Rollups() {
			differences, err := lake.CompareRollups(ctx, a.lake, snapshots[lake.Events], snapshots[t], t, s.Shard)
			if err != nil {
				return err
			}
			for _, d := range differences {
				s.addProblem("%s", d)
			}
		}
	}
	return nil
}
