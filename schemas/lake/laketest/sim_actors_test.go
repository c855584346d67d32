package laketest_test

import (
	"slices"

	"weir/schemas/lake"
)

// compactor puts one file in the place of several, at its own pace.
type compactor struct {
	w      *world
	table  lake.Table
	base   *snapshot // nil when it is at nothing
	old    []*file
	merged *file
	retry  bool
}

func (c *compactor) step() {
	switch {
	case c.merged == nil:
		c.choose()
	case c.base == nil:
		c.look()
	default:
		r := request{table: c.table, base: c.base.id, vector: c.base.vector, add: []*file{c.merged}, remove: c.old}
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
	c.merged = &file{name: c.w.name(), shard: s, counts: map[group]int{}}
	for _, f := range c.old {
		c.merged.rows = append(c.merged.rows, f.rows...)
		c.merged.dead = append(c.merged.dead, f.dead...)
		c.merged.changes = append(c.merged.changes, f.changes...)
		merge(c.merged.counts, f.counts)
	}
}

// look loads the table again after an error and looks at the inputs again.
func (c *compactor) look() {
	c.base = c.w.tables[c.table]
	done := slices.Contains(c.base.files, c.merged)
	for _, f := range c.old {
		done = done || !c.w.rules.sameInputs && !slices.Contains(c.base.files, f)
	}
	if done { // by the attempt, or by somebody else
		*c = compactor{w: c.w}
	}
}

// reader answers a question over all tables: rollups first, then events, then
// changes, which are ahead of events, then each owner once.
type reader struct {
	w       *world
	leases  [shards]lease
	loaded  map[lake.Table]*snapshot
	shard   int32
	tables  []lake.Table // still to be asked for; all at once but for a mistake
	part    part
	reloads int
}

// part is what an answer has of one shard.
type part struct {
	watermark int64
	rows      map[lake.Table][]row // beyond the table's own offset
	changes   []int64              // beyond that of client_changes
}

// loadTables are the tables that a reader loads, in that order.
func (r *reader) loadTables() []lake.Table {
	if r.w.rules.changesFirst {
		return append([]lake.Table{lake.Changes}, readTables()...)
	}
	return append(readTables(), lake.Changes)
}

// readTables are what an answer about events is made of, in the order of
// loading.
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
		r.tables, r.part = readTables(), part{rows: map[lake.Table][]row{}}
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

// askOwner asks p for what lies beyond the tables; false makes the reader load
// again.
func (r *reader) askOwner(p *process) bool {
	events := r.loaded[lake.Events].vector[r.shard].Next
	k := p.workers[r.shard]
	if r.w.upgrades || !p.up || p.asleep > 0 || k == nil || k.looked < lookedAtAll || (k.pos < events && !r.w.rules.behindAnswers) {
		r.withoutOwner(events)
		return true
	}
	from := events
	for _, t := range r.tables {
		from = min(from, r.loaded[t].vector[r.shard].Next)
	}
	if k.kept > from {
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
		begin := r.loaded[t].vector[r.shard].Next
		if r.w.rules.oneOffset {
			begin = events
		}
		for _, row := range k.tail {
			if row.offset >= begin {
				r.part.rows[t] = append(r.part.rows[t], row)
			}
		}
	}
	for _, o := range k.said {
		if o >= max(events, r.loaded[lake.Changes].vector[r.shard].Next) {
			r.part.changes = append(r.part.changes, o)
		}
	}
	r.part.watermark = k.pos
	r.tables = r.tables[len(ask):]
	return true
}

// withoutOwner answers from the lake alone, at the offset of events.
func (r *reader) withoutOwner(events int64) {
	r.part = part{watermark: events, rows: map[lake.Table][]row{}}
	for _, t := range simRollups() {
		r.part.rows[t] = r.loaded[lake.Events].rowsOf(r.shard, r.loaded[t].vector[r.shard].Next, events)
	}
	r.tables = r.tables[len(r.tables):]
}

// checkPart wants list and rollups to be what the log says at the watermark.
func (r *reader) checkPart() {
	s := r.shard
	events := r.loaded[lake.Events]
	list := append(events.rowsOf(s, 0, 1<<62), r.part.rows[lake.Events]...)
	want := list
	if !r.w.upgrades {
		want = r.w.verdicts(s, r.part.watermark)
	}
	if !slices.Equal(list, want) {
		r.w.fail("answer, shard %d at %d: lists %v, want %v", s, r.part.watermark, list, want)
	}
	if !r.w.upgrades {
		r.checkChanges()
	}
	for _, t := range simRollups() {
		got := r.loaded[t].totals(s)
		merge(got, gather(t, r.part.rows[t]))
		if want := gather(t, want); !sameCounts(got, want) {
			r.w.fail("answer, shard %d at %d: %s counts %v, want %v", s, r.part.watermark, t, got, want)
		}
	}
}

// checkChanges wants the changes below the watermark, all of them and no other.
func (r *reader) checkChanges() {
	s, end := r.shard, r.part.watermark
	if r.w.rules.changesUnbounded {
		end = 1 << 62
	}
	got := append(r.loaded[lake.Changes].changesOf(s, end), r.part.changes...)
	var want []int64
	for o, rec := range r.w.log[s][:r.part.watermark] {
		if rec.kind == change {
			want = append(want, int64(o))
		}
	}
	if !slices.Equal(got, want) {
		r.w.fail("answer, shard %d at %d: has changes %v, want %v", s, r.part.watermark, got, want)
	}
}
