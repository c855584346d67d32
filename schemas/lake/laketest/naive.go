package laketest

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
)

// naiveRow is a row of client_days or event_days as the naive model adds it up. It shares
// no code with rollup.Set, so that a mistake in the definition of a rollup shows too.
type naiveRow struct {
	events, sessions, runtime, values, first, last int64
	sum                                            string
}

// checkNaively compares client_days and event_days with the events that were sent. It needs
// a log that says what was sent.
func (c *checker) checkNaively(shard int32) {
	c.compareNaively(lake.ClientDays, shard, c.naiveRows(shard, lake.ClientDays), c.storedClientDays(shard))
	c.compareNaively(lake.EventDays, shard, c.naiveRows(shard, lake.EventDays), c.storedEventDays(shard))
}

func (c *checker) compareNaively(t lake.Table, shard int32, want, got map[string]naiveRow) {
	if want == nil {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			c.problemf("%s, shard %d, %s: %+v, the events that were sent give %+v", t, shard, key, got[key], want[key])
		}
	}
	if len(got) > len(want) {
		c.problemf("%s, shard %d: %d keys, the events that were sent give %d", t, shard, len(got), len(want))
	}
}

// naiveRows adds up the events below the offset of t; nil if one of them is not known.
func (c *checker) naiveRows(shard int32, t lake.Table) map[string]naiveRow {
	rows := map[string]naiveRow{}
	for _, r := range c.rows[shard] {
		if r.Offset >= c.snapshots[t].ShardStates()[shard].Next || r.Offset >= int64(len(c.log.Shards[shard])) {
			continue
		}
		e := c.log.Shards[shard][r.Offset].Event
		if e == nil {
			return nil
		}
		key := fmt.Sprintf("%d/%d/%d", e.Product, e.Client, e.Time/86_400_000)
		if t == lake.EventDays {
			key += fmt.Sprintf("/%s/%s", pointee(e.Category), e.Name)
		}
		rows[key] = rows[key].add(naiveEvent(e, t))
	}
	return rows
}

// naiveEvent returns the row of one event.
func naiveEvent(e *schemas.Event, t lake.Table) naiveRow {
	r := naiveRow{events: 1, first: e.Time, last: e.Time, sum: "0"}
	if t == lake.EventDays {
		r.last = 0
		if e.Value != nil {
			r.values, r.sum = 1, e.Value.BigInt().String()
		}
		return r
	}
	if e.Name == schemas.SessionStart {
		r.sessions = 1
	}
	if e.Name == schemas.SessionStop && e.RuntimeMS != nil {
		r.runtime = *e.RuntimeMS
	}
	return r
}

// add returns the sum of two rows of one key; the zero row is that of no events.
func (r naiveRow) add(o naiveRow) naiveRow {
	if r.events == 0 {
		return o
	}
	sum, _ := new(big.Int).SetString(r.sum, 10)
	more, _ := new(big.Int).SetString(o.sum, 10)
	return naiveRow{
		events: r.events + o.events, sessions: r.sessions + o.sessions, runtime: r.runtime + o.runtime, values: r.values + o.values,
		first: min(r.first, o.first), last: max(r.last, o.last), sum: sum.Add(sum, more).String(),
	}
}

func (c *checker) storedClientDays(shard int32) map[string]naiveRow {
	rows := map[string]naiveRow{}
	for r, err := range c.lake.ScanClientDays(c.ctx, c.files(lake.ClientDays, shard), columns.Filter{}) {
		if err != nil {
			c.problemf("read client_days of shard %d: %w", shard, err)
			return nil
		}
		key := fmt.Sprintf("%d/%d/%d", r.Product, r.Client, r.Day)
		rows[key] = rows[key].add(naiveRow{events: r.Events, sessions: r.Sessions, runtime: r.RuntimeMS, first: r.First, last: r.Last, sum: "0"})
	}
	return rows
}

func (c *checker) storedEventDays(shard int32) map[string]naiveRow {
	rows := map[string]naiveRow{}
	for r, err := range c.lake.ScanEventDays(c.ctx, c.files(lake.EventDays, shard), columns.Filter{}) {
		if err != nil {
			c.problemf("read event_days of shard %d: %w", shard, err)
			return nil
		}
		category := null
		if r.HasCategory {
			category = r.Category
		}
		key := fmt.Sprintf("%d/%d/%d/%s/%s", r.Product, r.Client, r.Day, category, r.Name)
		rows[key] = rows[key].add(naiveRow{events: r.Count, values: r.ValueCount, first: r.First, sum: r.ValueSum.BigInt().String()})
	}
	return rows
}
