package laketest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/rollup"
)

// newTestLog returns a log of two shards with every kind of record.
func newTestLog() laketest.Log {
	log := laketest.Log{Shards: map[int32][]laketest.Record{}}
	for i := range 60 {
		r := laketest.Record{
			Product: 1001, Client: int64(i % 4), RandomID: fmt.Sprint(i % 17),
			Stamp: 1_700_000_000_000 + int64(i)*5_000_000,
		}
		switch i % 13 {
		case 5:
			r.Content = laketest.Poison
		case 6:
			r.Content = laketest.Control
		case 9, 12:
			r.Content = laketest.Change
		}
		shard := int32(i % 2)
		log.Shards[shard] = append(log.Shards[shard], r)
	}
	return log
}

// lakeWriter commits a log to a lake as a processor does. corrupt and corruptChanges,
// if set, change a cut before it is committed.
type lakeWriter struct {
	t       *testing.T
	lake    *lake.Lake
	log     laketest.Log
	corrupt func(t lake.Table, c *lake.Cut, rows *[]laketest.Row)

	corruptChanges func(offsets []int64) []int64
}

// fill commits each shard in two cuts.
func (f *lakeWriter) fill() {
	for shard, records := range f.log.Shards {
		half, end := int64(len(records)/2), int64(len(records))
		f.cut(shard, 0, half)
		f.cut(shard, half, end)
	}
}

func (f *lakeWriter) cut(shard int32, from, to int64) {
	f.t.Helper()
	rows, dead, at := f.log.Verdicts(shard, to)
	rows = slices.DeleteFunc(rows, func(r laketest.Row) bool { return r.Offset < from })
	dead = slices.DeleteFunc(dead, func(o int64) bool { return o < from })
	changes := slices.DeleteFunc(f.log.ChangeOffsets(shard, to), func(o int64) bool { return o < from })
	for _, table := range lake.Tables() {
		c := lake.Cut{ID: fmt.Sprint(shard, from), Shard: shard, From: from, To: at, Sealed: time.Now()}
		if table != lake.Events {
			c.To.Counters = lake.Counters{}
		}
		cutRows, changeOffsets := slices.Clone(rows), slices.Clone(changes)
		if f.corrupt != nil {
			f.corrupt(table, &c, &cutRows)
		}
		if f.corruptChanges != nil && from > 0 {
			changeOffsets = f.corruptChanges(changeOffsets)
		}
		if c.ID == "" {
			continue
		}
		var err error
		if c.Files, err = f.files(table, shard, cutRows, dead, changeOffsets); err != nil {
			f.t.Fatal(err)
		}
		if _, err := f.lake.Commit(f.t.Context(), table, []lake.Cut{c}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// files puts the data files of a cut for one table.
func (f *lakeWriter) files(table lake.Table, shard int32, rows []laketest.Row, dead, changes []int64) ([]lake.DataFile, error) {
	ctx := f.t.Context()
	switch rec := batch(shard, rows); table {
	case lake.DeadLetters:
		var letters []lake.DeadLetter
		for _, o := range dead {
			letters = append(letters, lake.DeadLetter{Shard: shard, Offset: o, Arrival: f.log.Shards[shard][o].Stamp, Reason: "poison"})
		}
		return f.lake.WriteDeadLetters(ctx, shard, letters)
	case lake.Changes:
		return f.lake.WriteChanges(ctx, shard, []arrow.Record{f.changes(shard, changes)})
	case lake.Events:
		return f.lake.WriteEvents(ctx, shard, []arrow.Record{rec})
	default:
		set := rollup.NewSet()
		if err := set.AddBatch(rec); err != nil {
			return nil, err
		}
		all, err := f.lake.WriteRollups(ctx, shard, set, table)
		return all[table], err
	}
}

// changes returns a batch of the changes at offsets.
func (f *lakeWriter) changes(shard int32, offsets []int64) arrow.Record {
	b := columns.NewChangeBuilder(memory.DefaultAllocator)
	defer b.Release()
	for _, o := range offsets {
		r := f.log.Shards[shard][o]
		c := schemas.Change{
			Product: r.Product, Client: r.Client, Time: r.Stamp, Kind: schemas.PropertyChange, Operation: schemas.OpSet, Values: []byte(`{"a":1}`),
		}
		b.Append(&c, columns.Position{Shard: shard, Offset: o, Arrival: r.Stamp})
	}
	return b.Batch()
}

func batch(shard int32, rows []laketest.Row) arrow.Record {
	b := columns.NewBuilder(memory.DefaultAllocator)
	defer b.Release()
	for _, r := range rows {
		e := schemas.Event{Product: r.Product, Client: r.Client, RandomID: r.RandomID, Name: "edit", Time: r.Arrival - 1000}
		b.Append(&e, columns.Position{Shard: shard, Offset: r.Offset, Arrival: r.Arrival})
	}
	return b.Batch()
}

func TestCheckAcceptsCorrectLake(t *testing.T) {
	f := &lakeWriter{t: t, lake: laketest.Lake(t, lake.Config{}), log: newTestLog()}
	laketest.Check(t, f.lake, f.log)
	f.fill()
	laketest.CheckDone(t, f.lake, f.log)
}

// TestCheckFinds corrupts a lake in each way and requires a matching problem.
func TestCheckFinds(t *testing.T) {
	only := func(table lake.Table, do func(c *lake.Cut, rows *[]laketest.Row)) func(lake.Table, *lake.Cut, *[]laketest.Row) {
		return func(at lake.Table, c *lake.Cut, rows *[]laketest.Row) {
			if at == table && c.Shard == 1 && c.From > 0 {
				do(c, rows)
			}
		}
	}
	for name, c := range map[string]struct {
		spoil func(lake.Table, *lake.Cut, *[]laketest.Row)
		want  string
	}{
		"a lost row":                       {only(lake.Events, func(_ *lake.Cut, rows *[]laketest.Row) { *rows = (*rows)[1:] }), "20 rows, want 21"},
		"a row twice":                      {only(lake.Events, func(_ *lake.Cut, rows *[]laketest.Row) { *rows = append(*rows, (*rows)[0]) }), "22 rows, want 21"},
		"another arrival":                  {only(lake.Events, func(_ *lake.Cut, rows *[]laketest.Row) { (*rows)[2].Arrival++ }), "got {"},
		"a wrong counter":                  {only(lake.Events, func(c *lake.Cut, _ *[]laketest.Row) { c.To.Counters.Stored++ }), "balance does not close"},
		"log time":                         {only(lake.Events, func(c *lake.Cut, _ *[]laketest.Row) { c.To.LogTime++ }), "want log time"},
		"a rollup too many":                {only(lake.EventDays, func(_ *lake.Cut, rows *[]laketest.Row) { *rows = append(*rows, (*rows)[0]) }), "event_days, shard 1, product_id"},
		"a rollup too few":                 {only(lake.Clients, func(_ *lake.Cut, rows *[]laketest.Row) { *rows = (*rows)[1:] }), "clients, shard 1, product_id"},
		"events before their dead letters": {only(lake.DeadLetters, func(c *lake.Cut, _ *[]laketest.Row) { c.ID = "" }), "dead_letters at 15, events at 30"},
		"events before their changes":      {only(lake.Changes, func(c *lake.Cut, _ *[]laketest.Row) { c.ID = "" }), "client_changes at 15, events at 30"},
		"a rollup before its events":       {only(lake.Events, func(c *lake.Cut, _ *[]laketest.Row) { c.ID = "" }), "clients at 30, events at 15"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &lakeWriter{t: t, lake: laketest.Lake(t, lake.Config{}), log: newTestLog(), corrupt: c.spoil}
			f.fill()
			problems := fmt.Sprint(laketest.Problems(t.Context(), f.lake, f.log))
			if !strings.Contains(problems, c.want) {
				t.Errorf("problems = %s, want one with %q", problems, c.want)
			}
		})
	}
}

// TestCheckFindsWrongChanges corrupts client_changes in each way and requires a
// matching problem.
func TestCheckFindsWrongChanges(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func([]int64) []int64
		want  string
	}{
		"a lost one":      {func(o []int64) []int64 { return o[1:] }, "client_changes, shard 1 at 30: offsets"},
		"one twice":       {func(o []int64) []int64 { return append(o, o[0]) }, "client_changes, shard 1 at 30: offsets"},
		"one that is not": {func(o []int64) []int64 { return append(o, o[0]+1) }, "client_changes, shard 1 at 30: offsets"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &lakeWriter{t: t, lake: laketest.Lake(t, lake.Config{}), log: newTestLog(), corruptChanges: c.spoil}
			f.fill()
			problems := fmt.Sprint(laketest.Problems(t.Context(), f.lake, f.log))
			if !strings.Contains(problems, c.want) {
				t.Errorf("problems = %s, want one with %q", problems, c.want)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	log := laketest.Log{Window: 10 * time.Millisecond, Shards: map[int32][]laketest.Record{0: {
		{RandomID: "a", Stamp: 100},
		{RandomID: "a", Stamp: 109},          // within the window
		{RandomID: "a", Stamp: 90},           // log time does not go back
		{RandomID: "a", Stamp: 110},          // the window is over
		{RandomID: "a", Stamp: 119},          // and counts from the stored row
		{RandomID: "a", Stamp: 1, Client: 7}, // another client
		{Content: laketest.Poison, Stamp: 200},
		{Content: laketest.Control, Stamp: 300},
		{Content: laketest.Change, Stamp: 300, RandomID: "a"},
	}}}
	rows, dead, at := log.Verdicts(0, 9)
	var stored []int64
	for _, r := range rows {
		stored = append(stored, r.Offset)
	}
	want := lake.Counters{Stored: 4, Changes: 1, Duplicates: 3, Dead: 1, Control: 1}
	if !slices.Equal(stored, []int64{0, 3, 5}) || !slices.Equal(dead, []int64{6}) || at.Counters != want || at.LogTime != 300 || at.Next != 9 || !slices.Equal(log.ChangeOffsets(0, 9), []int64{8}) {
		t.Errorf("stored %v, dead %v, %+v", stored, dead, at)
	}
}
