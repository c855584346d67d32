package laketest_test

import (
	"slices"

	"weir/schemas/lake"
)

// compactor merges several files of a table into one, a step at a time.
type compactor struct {
	w      *simulation
	table  lake.Table
	base   *snapshot // nil before the table is loaded again
	old    []*file
	merged *file
	retry  bool
}

func (c *compactor) step() {
	switch {
	case c.merged == nil:
		c.choose()
	case c.base == nil:
		c.reload()
	default:
		r := request{table: c.table, base: c.base.id, shardStates: c.base.shardStates, add: []*file{c.merged}, remove: c.old}
		if c.w.send(r) {
			*c = compactor{w: c.w}
			return
		}
		c.base, c.retry = nil, true
	}
}

// choose picks files of one shard and merges them.
func (c *compactor) choose() {
	tables := simTables()
	c.table = tables[c.w.rnd.IntN(len(tables))]
	c.base = c.w.tables[c.table]
	s := int32(c.w.rnd.IntN(shards))
	c.old = nil
	for _, f := range c.base.files {
		if f.shard == s && c.w.rnd.IntN(3) > 0 && len(c.old) < 6 {
			c.old = append(c.old, f)
		}
	}
	if len(c.old) < 2 {
		*c = compactor{w: c.w}
		return
	}
	c.merged = &file{name: c.w.nextID(), shard: s, counts: map[group]int{}}
	for _, f := range c.old {
		c.merged.rows = append(c.merged.rows, f.rows...)
		c.merged.dead = append(c.merged.dead, f.dead...)
		c.merged.changes = append(c.merged.changes, f.changes...)
		merge(c.merged.counts, f.counts)
	}
}

// reload loads the table again after an error and checks that the inputs are still
// in it.
func (c *compactor) reload() {
	c.base = c.w.tables[c.table]
	done := slices.Contains(c.base.files, c.merged)
	for _, f := range c.old {
		done = done || !c.w.rules.sameInputs && !slices.Contains(c.base.files, f)
	}
	if done { // replaced by the failed attempt or by another compactor
		*c = compactor{w: c.w}
	}
}

// reader answers a question over all tables. It loads the rollups first, then
// events, then changes, which are ahead of events, and then asks each owner once.
type reader struct {
	w       *simulation
	leases  [shards]lease
	loaded  map[lake.Table]*snapshot
	shard   int32
	tables  []lake.Table // not asked for yet; all are asked for at once, except by a planted mistake
	answer  answerPart
	reloads int
}

// answerPart is the part of an answer that comes from the owner of one shard.
type answerPart struct {
	watermark int64
	rows      map[lake.Table][]row // from the offset of the table on
	changes   []int64              // from the offset of client_changes on
}

// loadTables returns the tables that a reader loads, in order.
func (r *reader) loadTables() []lake.Table {
	if r.w.rules.changesFirst {
		return append([]lake.Table{lake.Changes}, readTables()...)
	}
	return append(readTables(), lake.Changes)
}

// readTables returns the tables of an answer about events, in the order of loading.
func readTables() []lake.Table { return []lake.Table{lake.ClientDays, lake.Clients, lake.Events} }

func (r *reader) step(processes []*process) {
	for _, t := range r.loadTables() {
		if r.loaded[t] != nil {
			continue
		}
		if r.loaded == nil {
			r.loaded, r.leases = map[lake.Table]*snapshot{}, r.w.leases
		}
		r.loaded[t] = r.w.tables[t]
		return
	}
	if r.tables == nil {
		r.tables, r.answer = readTables(), answerPart{rows: map[lake.Table][]row{}}
	}
	if !r.askOwner(processes[r.leases[r.shard].owner]) {
		return
	}
	if len(r.tables) > 0 {
		return
	}
	r.checkPart()
	r.tables = nil
	if r.shard++; r.shard == shards {
		*r = reader{w: r.w}
	}
}

// askOwner asks p for what the tables lack; false makes the reader load them again.
func (r *reader) askOwner(p *process) bool {
	events := r.loaded[lake.Events].shardStates[r.shard].Next
	k := p.workers[r.shard]
	if r.w.upgrades || !p.up || p.pausedFor > 0 || k == nil || k.loaded < allLoaded || (k.next < events && !r.w.rules.behindAnswers) {
		r.withoutOwner(events)
		return true
	}
	from := events
	for _, t := range r.tables {
		from = min(from, r.loaded[t].shardStates[r.shard].Next)
	}
	if k.tailFrom > from {
		if r.reloads++; r.reloads < 3 {
			*r = reader{w: r.w, reloads: r.reloads}
			return false
		}
		r.withoutOwner(events)
		return true
	}
	ask := r.tables
	if r.w.rules.tableByTable {
		ask = ask[:1]
	}
	for _, t := range ask {
		begin := r.loaded[t].shardStates[r.shard].Next
		if r.w.rules.oneOffset {
			begin = events
		}
		for _, row := range k.tail {
			if row.offset >= begin {
				r.answer.rows[t] = append(r.answer.rows[t], row)
			}
		}
	}
	for _, o := range k.changes {
		if o >= max(events, r.loaded[lake.Changes].shardStates[r.shard].Next) {
			r.answer.changes = append(r.answer.changes, o)
		}
	}
	r.answer.watermark = k.next
	r.tables = r.tables[len(ask):]
	return true
}

// withoutOwner answers from the tables alone, as of the offset of events.
func (r *reader) withoutOwner(events int64) {
	r.answer = answerPart{watermark: events, rows: map[lake.Table][]row{}}
	for _, t := range simRollups() {
		r.answer.rows[t] = r.loaded[lake.Events].rowsOf(r.shard, r.loaded[t].shardStates[r.shard].Next, events)
	}
	r.tables = r.tables[len(r.tables):]
}

// checkPart requires list and rollups to be those of the log at the watermark.
func (r *reader) checkPart() {
	s := r.shard
	events := r.loaded[lake.Events]
	list := append(events.rowsOf(s, 0, 1<<62), r.answer.rows[lake.Events]...)
	want := list
	if !r.w.upgrades {
		want = r.w.verdicts(s, r.answer.watermark)
	}
	if !slices.Equal(list, want) {
		r.w.violationf("answer, shard %d at %d: lists %v, want %v", s, r.answer.watermark, list, want)
	}
	if !r.w.upgrades {
		r.checkChanges()
	}
	for _, t := range simRollups() {
		got := r.loaded[t].totals(s)
		merge(got, gather(t, r.answer.rows[t]))
		if want := gather(t, want); !sameCounts(got, want) {
			r.w.violationf("answer, shard %d at %d: %s counts %v, want %v", s, r.answer.watermark, t, got, want)
		}
	}
}

// checkChanges requires exactly the changes below the watermark.
func (r *reader) checkChanges() {
	s, end := r.shard, r.answer.watermark
	if r.w.rules.changesUnbounded {
		end = 1 << 62
	}
	got := append(r.loaded[lake.Changes].changesOf(s, end), r.answer.changes...)
	var want []int64
	for o, rec := range r.w.log[s][:r.answer.watermark] {
		if rec.kind == change {
			want = append(want, int64(o))
		}
	}
	if !slices.Equal(got, want) {
		r.w.violationf("answer, shard %d at %d: has changes %v, want %v", s, r.answer.watermark, got, want)
	}
}
