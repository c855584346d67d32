package laketest_test

import (
	"maps"
	"slices"

	"weir/schemas/lake"
)

// checkSwap holds a new snapshot against every invariant of its table.
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

// checkFiles wants every file once, and there.
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

// checkDeadLetters wants the dead letters below the next of events to stay as
// they are, each once.
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

// checkChanges wants every change below the table's offset that is not dead,
// once, and nothing else. dead_letters has passed all of them.
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

// checkEvents gives the verdicts on the records between the last commit and
// this one itself, and wants the table to show exactly these.
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
		if tr.rows[i].decodedBy < 0 { // the table's own word from now on
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

// classify is the oracle: the verdict on the record at tr.next. What a decoder
// made of it is left open.
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

// checkRollup wants the rollup to be what the rows of events up to its offset
// make it.
func (w *simulation) checkRollup(t lake.Table, s int32, after *snapshot) {
	next := after.shardStates[s].Next
	if next > w.expected[s].next {
		return // checkOrder tells; the numbers are looked at once events has come
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

// checkOrder wants no table ahead of the one it follows from.
func (w *simulation) checkOrder() {
	if w.rules.rollupsFirst {
		return // would fail at once; the mistake is to be seen in the numbers
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

// checkDone wants every table at the end of the log.
func (w *simulation) checkDone() {
	for _, t := range simTables() {
		for s := range int32(shards) {
			if got, want := w.tables[t].shardStates[s].Next, int64(len(w.log[s])); got != want {
				w.violationf("%s, shard %d: stuck at %d of %d", t, s, got, want)
			}
		}
	}
}

// verdicts are the rows that the first n records of a shard leave when nobody
// runs an old decoder.
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

// copyShardStates is v, to be changed.
func copyShardStates(v lake.ShardStates) lake.ShardStates {
	if out := maps.Clone(v); out != nil {
		return out
	}
	return lake.ShardStates{}
}
