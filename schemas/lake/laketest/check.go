package laketest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/schemas/columns"
	"weir/schemas/lake"
)

// Check compares every table of l with the log that it was made from, each up to its
// own offset, and reports what does not hold:
//
//   - no table is ahead of the table that is committed before it;
//   - next, log time and counters of each shard are those that the log gives, and
//     the counters add up to the offset;
//   - events has exactly the rows that must be stored, client_changes exactly the
//     changes, dead_letters exactly the dead records, each of them once;
//   - the rows of a data file are within its bounds;
//   - a row of events or client_changes has in every column what was sent, where the
//     log says what that was;
//   - each rollup has, in every column of every row, what the rows of events give, and
//     client_days and event_days what a naive model makes of the events that were sent.
//
// Processes may commit meanwhile.
func Check(t testing.TB, l *lake.Lake, log Log) {
	t.Helper()
	for _, problem := range Problems(t.Context(), l, log) {
		t.Error(problem)
	}
}

// CheckDone is Check, and also requires every table to be at the end of the log.
func CheckDone(t testing.TB, l *lake.Lake, log Log) {
	t.Helper()
	Check(t, l, log)
	for _, table := range lake.Tables() {
		s, err := l.Load(t.Context(), table)
		if err != nil {
			t.Error(err)
			return
		}
		for shard, records := range log.Shards {
			if got, want := s.ShardStates()[shard].Next, int64(len(records)); got != want {
				t.Errorf("%s, shard %d: at %d, want %d", table, shard, got, want)
			}
		}
	}
}

// Problems returns what Check would report.
func Problems(ctx context.Context, l *lake.Lake, log Log) []error {
	c := checker{ctx: ctx, lake: l, log: log, snapshots: map[lake.Table]*lake.Snapshot{}, rows: map[int32][]Row{}}
	// The tables are loaded in the reverse of the order of commits: what is committed
	// meanwhile can then only make the earlier table of a commit further ahead,
	// which is allowed.
	for _, t := range slices.Backward(lake.Tables()) {
		s, err := l.Load(ctx, t)
		if err != nil {
			return append(c.problems, err)
		}
		c.snapshots[t] = s
	}
	for shard := range log.Shards {
		c.checkOrder(shard)
		c.checkEvents(shard)
		c.checkDeadLetters(shard)
		c.checkChanges(shard)
	}
	for shard := range log.Shards {
		c.checkRollups(shard)
		c.checkNaively(shard)
	}
	return c.problems
}

// checker compares one set of snapshots with the log.
type checker struct {
	ctx       context.Context //nolint:containedctx // lives as long as one Check
	lake      *lake.Lake
	log       Log
	snapshots map[lake.Table]*lake.Snapshot
	rows      map[int32][]Row // rows of events, by shard
	problems  []error
}

func (c *checker) problemf(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

// checkOrder requires dead_letters ≥ client_changes ≥ events ≥ rollups, by offset,
// and that none is past the end of the log.
func (c *checker) checkOrder(shard int32) {
	events := c.snapshots[lake.Events].ShardStates()[shard].Next
	changes := c.snapshots[lake.Changes].ShardStates()[shard].Next
	if changes < events {
		c.problemf("shard %d: client_changes at %d, events at %d", shard, changes, events)
	}
	if dead := c.snapshots[lake.DeadLetters].ShardStates()[shard].Next; dead < changes {
		c.problemf("shard %d: dead_letters at %d, client_changes at %d", shard, dead, changes)
	}
	if dead := c.snapshots[lake.DeadLetters].ShardStates()[shard].Next; dead < events || dead > int64(len(c.log.Shards[shard])) {
		c.problemf("shard %d: dead_letters at %d, events at %d of %d", shard, dead, events, len(c.log.Shards[shard]))
	}
	for _, t := range lake.Rollups() {
		if next := c.snapshots[t].ShardStates()[shard].Next; next > events {
			c.problemf("shard %d: %s at %d, events at %d", shard, t, next, events)
		}
	}
}

// files returns the data files of a shard of t.
func (c *checker) files(t lake.Table, shard int32) []lake.DataFile {
	all, err := c.snapshots[t].Files(c.ctx)
	if err != nil {
		c.problemf("%w", err)
		return nil
	}
	seen := map[string]bool{}
	for _, f := range all {
		if seen[f.Path] {
			c.problemf("%s has %s twice", t, f.Path)
		}
		seen[f.Path] = true
	}
	return slices.DeleteFunc(slices.Clone(all), func(f lake.DataFile) bool { return f.Shard != shard })
}

// checkEvents compares state and rows of events with what the log gives.
func (c *checker) checkEvents(shard int32) {
	got := c.snapshots[lake.Events].ShardStates()[shard]
	if got.Next > int64(len(c.log.Shards[shard])) {
		return // checkOrder reports it
	}
	want, _, state := c.log.Verdicts(shard, got.Next)
	if got.LogTime != state.LogTime || got.Counters != state.Counters {
		c.problemf("events, shard %d at %d: %+v, want log time %d, %+v", shard, got.Next, got, state.LogTime, state.Counters)
	}
	if got.Counters.Sum() != got.Next-got.First {
		c.problemf("events, shard %d: the balance does not close: %+v", shard, got)
	}
	for _, f := range c.files(lake.Events, shard) {
		c.readFile(shard, f)
	}
	slices.SortFunc(c.rows[shard], func(a, b Row) int { return cmp.Compare(a.Offset, b.Offset) })
	if !slices.Equal(c.rows[shard], want) {
		c.problemf("events, shard %d at %d: %s", shard, got.Next, difference(c.rows[shard], want))
	}
}

// readFile collects the rows of one data file and checks that they are within its
// bounds.
func (c *checker) readFile(shard int32, f lake.DataFile) {
	before := len(c.rows[shard])
	for rec, err := range c.lake.ScanEvents(c.ctx, []lake.DataFile{f}, nil, columns.Filter{}) {
		if err != nil {
			c.problemf("read %s: %w", f.Path, err)
			return
		}
		if err := c.readBatch(shard, rec); err != nil {
			c.problemf("read %s: %w", f.Path, err)
			return
		}
	}
	rows := c.rows[shard][before:]
	if int64(len(rows)) != f.Rows {
		c.problemf("%s has %d rows, the table says %d", f.Path, len(rows), f.Rows)
	}
	for _, r := range rows {
		if r.Offset < f.Min.Offset || r.Offset > f.Max.Offset || r.Arrival < f.Min.Arrival || r.Arrival > f.Max.Arrival ||
			r.Product < f.Min.Product || r.Product > f.Max.Product || r.Client < f.Min.Client || r.Client > f.Max.Client {
			c.problemf("%s: row at offset %d is outside its bounds %+v to %+v", f.Path, r.Offset, f.Min, f.Max)
		}
	}
}

func (c *checker) readBatch(shard int32, rec arrow.Record) error {
	v, err := columns.Bind(rec)
	if err != nil {
		return err
	}
	for i := range int(rec.NumRows()) {
		if v.Shard[i] != shard {
			return fmt.Errorf("offset %d is of shard %d", v.Offset[i], v.Shard[i])
		}
		c.rows[shard] = append(c.rows[shard], Row{
			Product: v.Product[i], Client: v.Client[i], RandomID: strings.Clone(v.RandomID.At(i)), Offset: v.Offset[i], Arrival: v.ArrivalMS(i),
		})
		c.checkEventRow(shard, &v, i)
	}
	return nil
}

// difference describes the first row in which got and want differ.
func difference(got, want []Row) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%d rows, want %d; missing %+v", len(got), len(want), want[i])
		case i >= len(want):
			return fmt.Sprintf("%d rows, want %d; too many %+v", len(got), len(want), got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("%d rows, want %d; got %+v, want %+v", len(got), len(want), got[i], want[i])
		}
	}
	return "the same"
}

// checkDeadLetters requires exactly the dead records below the table's offset.
func (c *checker) checkDeadLetters(shard int32) {
	next := c.snapshots[lake.DeadLetters].ShardStates()[shard].Next
	if next > int64(len(c.log.Shards[shard])) {
		return // checkOrder reports it
	}
	_, want, _ := c.log.Verdicts(shard, next)
	var got []int64
	for letter, err := range c.lake.ReadDeadLetters(c.ctx, c.files(lake.DeadLetters, shard), columns.Filter{}) {
		if err != nil {
			c.problemf("read dead letters of shard %d: %w", shard, err)
			return
		}
		got = append(got, letter.Offset)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		c.problemf("dead_letters, shard %d at %d: offsets %v, want %v", shard, next, got, want)
	}
}

// checkChanges requires exactly the changes below the table's offset, each once.
func (c *checker) checkChanges(shard int32) {
	next := c.snapshots[lake.Changes].ShardStates()[shard].Next
	if next > int64(len(c.log.Shards[shard])) {
		return // checkOrder reports it
	}
	var got []int64
	for change, err := range c.lake.ScanChanges(c.ctx, c.files(lake.Changes, shard), columns.Filter{}) {
		if err != nil {
			c.problemf("read changes of shard %d: %w", shard, err)
			return
		}
		if r := c.log.Shards[shard][min(change.Offset, next-1)]; r.Product != change.Product || r.Client != change.Client {
			c.problemf("client_changes, shard %d: offset %d is of client %d of product %d", shard, change.Offset, change.Client, change.Product)
		}
		c.checkChangeRow(shard, change)
		got = append(got, change.Offset)
	}
	slices.Sort(got)
	if want := c.log.ChangeOffsets(shard, next); !slices.Equal(got, want) {
		c.problemf("client_changes, shard %d at %d: offsets %v, want %v", shard, next, got, want)
	}
}

// checkRollups requires each rollup to have, in every column, what the rows of events
// give.
func (c *checker) checkRollups(shard int32) {
	for _, t := range lake.Rollups() {
		differences, err := lake.CompareRollups(c.ctx, c.lake, c.snapshots[lake.Events], c.snapshots[t], t, shard)
		if err != nil {
			c.problemf("%w", err)
		}
		for _, d := range differences {
			c.problemf("%s", d)
		}
	}
}
