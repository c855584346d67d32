package lake

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/rollup"
)

const (
	compareRows    = 1_000_000 // rows of a rollup that one pass of CompareRollups holds, about
	maxDifferences = 20        // that CompareRollups returns for a table
)

// RollupDifference is a column in which a row of a rollup is not what the rows of
// events give. Column is "row" when a whole row is missing or too many.
type RollupDifference struct {
	Table             Table
	Shard             int32
	Key               string // key columns and their values
	Column, Want, Got string
}

func (d RollupDifference) String() string {
	return fmt.Sprintf("%s, shard %d, %s: %s is %s, want %s", d.Table, d.Shard, d.Key, d.Column, d.Got, d.Want)
}

// CompareRollups aggregates the rows of events of a shard again and compares every
// column of the rows of a rollup with the result. A rollup that is behind events is
// caught up in memory first; one that is ahead is not compared. So load the snapshot
// of the rollup before that of events. At most maxDifferences are returned.
//
// The clients of a shard are compared in passes, each of which reads all data files, so
// that memory stays bounded by compareRows however large the tables are.
func CompareRollups(ctx context.Context, l *Lake, events, of *Snapshot, t Table, shard int32) ([]RollupDifference, error) {
	c := rollupComparison{lake: l, table: t, shard: shard, from: of.ShardStates()[shard].Next, to: events.ShardStates()[shard].Next}
	if c.from > c.to {
		return nil, nil
	}
	var err error
	if c.events, err = shardFiles(ctx, events, shard); err != nil {
		return nil, err
	}
	if c.files, err = shardFiles(ctx, of, shard); err != nil {
		return nil, err
	}
	rows := int64(0)
	for _, f := range c.files {
		rows += f.Rows
	}
	c.passes = 1 + uint64(rows/compareRows)
	for c.pass = 0; c.pass < c.passes && len(c.found) < maxDifferences; c.pass++ {
		if err := c.compareTable(ctx); err != nil {
			return nil, fmt.Errorf("compare %s of shard %d with events: %w", t, shard, err)
		}
	}
	return c.found[:min(len(c.found), maxDifferences)], nil
}

func shardFiles(ctx context.Context, s *Snapshot, shard int32) ([]DataFile, error) {
	files, err := s.Files(ctx)
	if err != nil {
		return nil, err
	}
	return Prune(files, columns.Filter{Shard: &shard}), nil
}

// rollupComparison is the state of one CompareRollups.
type rollupComparison struct {
	lake          *Lake
	table         Table
	shard         int32
	events, files []DataFile
	from, to      int64  // next offsets of the rollup and of events
	pass, passes  uint64 // a pass compares the clients whose number modulo passes is pass
	found         []RollupDifference
}

func (c *rollupComparison) inPass(client int64) bool { return uint64(client)%c.passes == c.pass }

// aggregate returns the rollup of the rows of events from an offset on.
func (c *rollupComparison) aggregate(ctx context.Context, from int64) (*rollup.Set, error) {
	set := rollup.NewSet()
	if from >= c.to {
		return set, nil
	}
	f := columns.Filter{Shard: &c.shard, OffsetFrom: map[int32]int64{c.shard: from}, OffsetTo: map[int32]int64{c.shard: c.to}}
	for rec, err := range c.lake.ScanEvents(ctx, Prune(c.events, f), rollup.Columns(rollup.WantAll), f) {
		if err == nil {
			err = c.addBatch(set, rec)
		}
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (c *rollupComparison) addBatch(set *rollup.Set, rec arrow.Record) error {
	v, err := columns.Bind(rec)
	if err != nil {
		return err
	}
	return set.AddBatchIf(rec, func(i int) bool { return c.inPass(v.Client[i]) })
}

func (c *rollupComparison) compareTable(ctx context.Context) error {
	want, err := c.aggregate(ctx, 0)
	if err != nil {
		return err
	}
	behind, err := c.aggregate(ctx, c.from)
	if err != nil {
		return err
	}
	f := columns.Filter{Shard: &c.shard}
	switch c.table {
	case ClientDays:
		return compareRollup(c, c.lake.ScanClientDays(ctx, c.files, f), (*rollup.Set).ClientDays, want, behind, comparedClientDay())
	case EventDays:
		return compareRollup(c, c.lake.ScanEventDays(ctx, c.files, f), (*rollup.Set).EventDays, want, behind, comparedEventDay())
	case Clients:
		return compareRollup(c, c.lake.ScanClients(ctx, c.files, f), (*rollup.Set).Clients, want, behind, comparedClient())
	case Events, Changes, DeadLetters:
	}
	return fmt.Errorf("%s is not a rollup", c.table)
}

// comparedRow says how rows of a rollup are ordered, merged, named and compared.
type comparedRow[R any] struct {
	client  func(*R) int64
	compare func(a, b *R) int
	merge   func(to, from *R)
	key     func(*R) string
	columns []string          // names of what values returns
	values  func(*R) []string // of all columns that are not of the key
}

// compareRollup compares the stored rows and those of behind, merged, with want.
func compareRollup[R any](c *rollupComparison, stored iter.Seq2[*R, error], rowsOf func(*rollup.Set) iter.Seq[*R], want, behind *rollup.Set, as comparedRow[R]) error {
	var rows []R
	for r, err := range stored {
		if err != nil {
			return err
		}
		if c.inPass(as.client(r)) {
			rows = append(rows, *r)
		}
	}
	for r := range rowsOf(behind) {
		rows = append(rows, *r)
	}
	got := mergeEqual(rows, as)
	for w := range rowsOf(want) {
		for len(got) > 0 && as.compare(&got[0], w) < 0 {
			c.add(as.key(&got[0]), "row", "none", "there")
			got = got[1:]
		}
		if len(got) == 0 || as.compare(&got[0], w) > 0 {
			c.add(as.key(w), "row", "there", "missing")
			continue
		}
		compareValues(c, w, &got[0], as)
		got = got[1:]
	}
	for i := range got {
		c.add(as.key(&got[i]), "row", "none", "there")
	}
	return nil
}

// mergeEqual sorts rows and merges those of the same key.
func mergeEqual[R any](rows []R, as comparedRow[R]) []R {
	slices.SortFunc(rows, func(a, b R) int { return as.compare(&a, &b) })
	merged := rows[:0]
	for i := range rows {
		if n := len(merged); n > 0 && as.compare(&merged[n-1], &rows[i]) == 0 {
			as.merge(&merged[n-1], &rows[i])
			continue
		}
		merged = append(merged, rows[i])
	}
	return merged
}

// compareValues compares two rows of the same key. Most are equal and are not printed.
func compareValues[R any](c *rollupComparison, want, got *R, as comparedRow[R]) {
	if reflect.DeepEqual(want, got) {
		return
	}
	is := as.values(got)
	for i, value := range as.values(want) {
		if is[i] != value {
			c.add(as.key(want), as.columns[i], value, is[i])
		}
	}
}

func (c *rollupComparison) add(key, column, want, got string) {
	if len(c.found) < maxDifferences {
		c.found = append(c.found, RollupDifference{Table: c.table, Shard: c.shard, Key: key, Column: column, Want: want, Got: got})
	}
}

// printed returns the text of each value.
func printed(values ...any) []string {
	out := make([]string, len(values))
	for i, v := range values {
		if p, ok := v.(rollup.Properties); ok {
			v = string(p.AppendJSON(nil))
		}
		out[i] = fmt.Sprint(v)
	}
	return out
}

func comparedClientDay() comparedRow[rollup.ClientDay] {
	return comparedRow[rollup.ClientDay]{
		client:  func(r *rollup.ClientDay) int64 { return r.Client },
		compare: (*rollup.ClientDay).Compare, merge: (*rollup.ClientDay).Merge,
		key: func(r *rollup.ClientDay) string {
			return fmt.Sprintf("product_id %d, client_id %d, day %d", r.Product, r.Client, r.Day)
		},
		columns: []string{"events", "sessions", "runtime_ms", "first", "last", "properties"},
		values: func(r *rollup.ClientDay) []string {
			return printed(r.Events, r.Sessions, r.RuntimeMS, r.First, r.Last, r.Properties)
		},
	}
}

func comparedEventDay() comparedRow[rollup.EventDay] {
	return comparedRow[rollup.EventDay]{
		client:  func(r *rollup.EventDay) int64 { return r.Client },
		compare: (*rollup.EventDay).Compare, merge: (*rollup.EventDay).Merge,
		key: func(r *rollup.EventDay) string {
			return fmt.Sprintf("product_id %d, client_id %d, day %d, category %q (%t), name %q", r.Product, r.Client, r.Day, r.Category, r.HasCategory, r.Name)
		},
		columns: []string{"count", "value_sum", "value_count", "first"},
		values: func(r *rollup.EventDay) []string {
			return printed(r.Count, r.ValueSum.BigInt(), r.ValueCount, r.First)
		},
	}
}

func comparedClient() comparedRow[rollup.Client] {
	return comparedRow[rollup.Client]{
		client:  func(r *rollup.Client) int64 { return r.Client },
		compare: (*rollup.Client).Compare, merge: (*rollup.Client).Merge,
		key: func(r *rollup.Client) string {
			return fmt.Sprintf("product_id %d, client_id %d", r.Product, r.Client)
		},
		columns: []string{"events", "sessions", "runtime_ms", "first", "last", "properties"},
		values: func(r *rollup.Client) []string {
			return printed(r.Events, r.Sessions, r.RuntimeMS, r.First, r.Last, r.Properties)
		},
	}
}
