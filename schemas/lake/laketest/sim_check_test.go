package laketest_test

import (
	"maps"
	"slices"

	"weir/schemas/lake"
)

// checkSwap checks every invariant of a table on a new snapshot of it.
func (w *simulation) checkSwap(r request, before, after *snapshot) {
	for s, was := range before.shardStates {
		if is := after.shardStates[s]; is.Next < was.Next || is.LogTime < was.LogTime {
			w.violationf("%s, shard %d: from offset %d and log time %d to %d and %d", r.table, s, was.Next, was.LogTime, is.Next, is.LogTime)
		}
	}
	w.checkFiles(r.table, after)
	if w.violation != nil {
		return
	}
	for s := range int32(shards) {
		switch r.table {
		case lake.DeadLetters:
			w.checkDeadLetters(s, after)
		case lake.Changes:
			w.checkChanges(s, after)
		case lake.Events:
			w.checkEvents(s, after)
			for _, t := range simRollups() {
				w.checkRollup(t, s, w.tables[t])
			}
		default:
			w.checkRollup(r.table, s, after)
		}
	}
}

// checkFiles requires every file to be listed once and not to be deleted.
func (w *simulation) checkFiles(t lake.Table, after *snapshot) {
	seen := map[int]bool{}
	for _, f := range after.files {
		if seen[f.name] {
			w.violationf("%s has file %d twice", t, f.name)
		}
		if w.deleted[f.name] {
			w.violationf("%s has file %d, which was deleted", t, f.name)
		}
		seen[f.name] = true
	}
}

// checkDeadLetters requires each dead letter once, and those below the offset of
// events never to change.
func (w *simulation) checkDeadLetters(s int32, after *snapshot) {
	tr, dead := w.expected[s], map[int64]bool{}
	for _, f := range after.files {
		if f.shard != s {
			continue
		}
		for _, o := range f.dead {
			if dead[o] {
				w.violationf("shard %d: offset %d is in dead_letters twice", s, o)
			}
			if o < tr.next && !tr.deadLetters[o] {
				w.violationf("shard %d: offset %d became dead after its verdict", s, o)
			}
			dead[o] = true
		}
	}
	for o := range tr.deadLetters {
		if !dead[o] {
			w.violationf("shard %d: offset %d is no longer in dead_letters", s, o)
		}
	}
	tr.deadLetters = dead
}

// checkChanges requires exactly the changes below the table's offset that are not in
// dead_letters, which is never behind, each once.
func (w *simulation) checkChanges(s int32, after *snapshot) {
	next := min(after.shardStates[s].Next, int64(len(w.log[s])))
	var want []int64
	for o, r := range w.log[s][:next] {
		if r.kind == change && !w.expected[s].deadLetters[int64(o)] {
			want = append(want, int64(o))
		}
	}
	if got := after.changesOf(s, 1<<62); !slices.Equal(got, want) {
		w.violationf("client_changes, shard %d at %d: offsets are %v, want %v", s, next, got, want)
	}
}

// checkEvents classifies the records between the last commit and this one itself,
// and requires the table to have exactly that result.
func (w *simulation) checkEvents(s int32, after *snapshot) {
	tr, at := w.expected[s], after.shardStates[s]
	if at.Next > int64(len(w.log[s])) {
		w.violationf("shard %d: events are at %d of %d records", s, at.Next, len(w.log[s]))
		return
	}
	for ; tr.next < at.Next; tr.next++ {
		w.classify(s, tr, w.log[s][tr.next])
	}
	got := after.rowsOf(s, 0, 1<<62)
	for i := range min(len(got), len(tr.rows)) {
		if tr.rows[i].decodedBy < 0 { // open until now: what the table has first must stay
			tr.rows[i].decodedBy = got[i].decodedBy
		}
	}
	if !slices.Equal(got, tr.rows) {
		w.violationf("shard %d at %d: rows are %v, want %v", s, at.Next, got, tr.rows)
	}
	if at.Counters != tr.count || at.Counters.Sum() != at.Next-at.First {
		w.violationf("shard %d at %d: counters are %+v, want %+v", s, at.Next, at.Counters, tr.count)
	}
	if at.Next > 0 && at.LogTime != tr.logTime {
		w.violationf("shard %d at %d: log time is %d, want %d", s, at.Next, at.LogTime, tr.logTime)
	}
}

// classify gives the expected verdict on the record at tr.next. It leaves open which
// version has decoded it.
func (w *simulation) classify(s int32, tr *expectedShard, r record) {
	tr.logTime = max(tr.logTime, r.stamp)
	f := fingerprint{r.client, r.id}
	switch seen, known := tr.seen[f]; {
	case tr.deadLetters[tr.next]:
		tr.count.Dead++
	case r.kind == poison:
		w.violationf("shard %d: offset %d is poison and not in dead_letters", s, tr.next)
	case r.kind == control:
		tr.count.Control++
	case r.kind == change:
		tr.count.Stored++
		tr.count.Changes++
	case known && tr.logTime-seen < window:
		tr.count.Duplicates++
	default:
		tr.count.Stored++
		tr.seen[f] = tr.logTime
		tr.rows = append(tr.rows, row{fingerprint: f, offset: tr.next, logTime: tr.logTime, decodedBy: -1})
		if w.closed[tr.logTime/dayLong] {
			w.violationf("shard %d: offset %d arrives on day %d, which is closed", s, tr.next, tr.logTime/dayLong)
		}
	}
}

// checkRollup requires the rollup to be computed from exactly the rows of events
// below its offset.
func (w *simulation) checkRollup(t lake.Table, s int32, after *snapshot) {
	next := after.shardStates[s].Next
	if next > w.expected[s].next {
		return // checkOrder reports it; counts are compared once events has caught up
	}
	var rows []row
	for _, r := range w.expected[s].rows {
		if r.offset < next {
			rows = append(rows, r)
		}
	}
	if got, want := after.totals(s), gather(t, rows); !sameCounts(got, want) {
		w.violationf("%s, shard %d at %d: is %v, want %v", t, s, next, got, want)
	}
}

// checkOrder requires that no table is ahead of the one that is committed before it.
func (w *simulation) checkOrder() {
	if w.rules.rollupsFirst {
		return // would fail at once, but the mistake must be found by its wrong counts
	}
	events := w.tables[lake.Events].shardStates
	for s := range int32(shards) {
		if w.tables[lake.DeadLetters].shardStates[s].Next < events[s].Next {
			w.violationf("shard %d: events are ahead of dead_letters", s)
		}
		if w.tables[lake.Changes].shardStates[s].Next < events[s].Next && !w.rules.changesLast {
			w.violationf("shard %d: events are ahead of client_changes", s)
		}
		for _, t := range simRollups() {
			if w.tables[t].shardStates[s].Next > events[s].Next {
				w.violationf("shard %d: %s is ahead of events", s, t)
			}
		}
	}
}

// checkDone requires every table to be at the end of the log.
func (w *simulation) checkDone() {
	for _, t := range simTables() {
		for s := range int32(shards) {
			if got, want := w.tables[t].shardStates[s].Next, int64(len(w.log[s])); got != want {
				w.violationf("%s, shard %d: stuck at %d of %d", t, s, got, want)
			}
		}
	}
}

// verdicts returns the rows that the first n records of a shard give when no process
// runs the old decoder.
func (w *simulation) verdicts(s int32, n int64) []row {
	tr := &expectedShard{seen: map[fingerprint]int64{}, deadLetters: map[int64]bool{}}
	for i, r := range w.log[s][:n] {
		tr.deadLetters[int64(i)] = r.dead(2)
		tr.next = int64(i)
		quiet := simulation{closed: map[int64]bool{}}
		quiet.classify(s, tr, r)
	}
	for i, row := range tr.rows {
		tr.rows[i].decodedBy = w.log[s][row.offset].decodedBy(2)
	}
	return tr.rows
}

// copyShardStates returns a copy of v that is never nil.
func copyShardStates(v lake.ShardStates) lake.ShardStates {
	if out := maps.Clone(v); out != nil {
		return out
	}
	return lake.ShardStates{}
}
