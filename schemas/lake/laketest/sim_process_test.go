package laketest_test

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"weir/schemas/lake"
)

// process is one processor. It notices late which shards it owns, and may pause or
// crash at any step.
type process struct {
	w         *simulation
	index     int
	version   int   // of the decoder
	skew      int64 // of the clock
	up        bool
	pausedFor int // steps until it continues

	epochs  [shards]int // of the leases that it assumes to have; 0 means none
	workers [shards]*worker
	job     *job
	counted [shards]lake.Counters // counters in memory (a planted mistake)
}

// worker is the state of one shard in its owner.
type worker struct {
	shard            int32
	loaded           int             // tables loaded so far: events, changes and dead letters, in this order
	state            lake.ShardState // of events, as of the last commit that this owner knows
	next             int64           // next record to poll
	logTime          int64
	count            lake.Counters
	seen             map[fingerprint]int64 // log time of the last stored row
	deadLettersNext  int64                 // next offset of dead_letters
	deadLettersKnown map[int64]bool        // offsets in dead_letters
	changesNext      int64                 // next offset of client_changes
	tail             []row                 // stored rows from tailFrom to next
	changes          []int64               // offsets of changes from tailFrom to next
	deadLettersNew   []int64               // dead offsets that dead_letters lacks
	tailFrom         int64
}

// allLoaded is the value of worker.loaded from which on it polls.
const allLoaded = 3

// cut is a sealed cut of one shard.
type cut struct {
	owner           *worker
	id              string
	from            int64
	to              lake.ShardState
	rows            []row
	dead            []int64
	changes         []int64
	eventsFile      *file
	deadLettersFile *file
	changesFile     *file
}

// job is the commit that a process is working on.
type job struct {
	cuts   []*cut
	tables []lake.Table // not committed to yet, in order

	base     *snapshot // nil before the load
	retry    bool
	sent     []lake.Cut
	files    []*file
	next     lake.ShardStates
	outcomes []lake.Outcome
}

func (p *process) crash() {
	p.w.tracef("process %d crashes", p.index)
	*p = process{w: p.w, index: p.index, version: p.version, skew: p.skew, counted: p.counted}
}

func (p *process) start() {
	p.up, p.version, p.skew = true, 2, int64(p.w.rnd.IntN(7))-3
	if p.w.upgrades && p.w.rnd.IntN(2) == 0 {
		p.version = 1
	}
}

// step takes one step of the process.
func (p *process) step() {
	switch n := p.w.rnd.IntN(10); {
	case n < 5 && p.job != nil:
		p.commitStep()
	case n < 6 && p.job == nil:
		p.seal()
	case n < 7:
		p.observeLeases()
	default:
		for s := range p.workers {
			if p.workers[s] != nil && p.w.rnd.IntN(2) == 0 {
				p.stepWorker(p.workers[s])
			}
		}
	}
}

// observeLeases starts and stops workers by the leases of the moment.
func (p *process) observeLeases() {
	for s, l := range p.w.leases {
		switch {
		case l.owner != p.index:
			p.epochs[s], p.workers[s] = 0, nil
		case p.epochs[s] != l.epoch || p.workers[s] == nil:
			p.epochs[s], p.workers[s] = l.epoch, &worker{shard: int32(s)}
		}
	}
}

// stepWorker takes the shard over, a table at a time, and then polls.
func (p *process) stepWorker(k *worker) {
	switch k.loaded {
	case 0:
		p.takeOver(k)
	case 1:
		k.loaded, k.changesNext = 2, p.w.tables[lake.Changes].shardStates[k.shard].Next
	case 2:
		p.readDeadLetters(k)
	default:
		p.poll(k)
	}
}

// takeOver starts a shard from one snapshot of events, which gives offset, log time,
// counters and fingerprints.
func (p *process) takeOver(k *worker) {
	events := p.w.tables[lake.Events]
	k.loaded, k.state = 1, events.shardStates[k.shard]
	k.next, k.tailFrom, k.logTime, k.count = k.state.Next, k.state.Next, k.state.LogTime, k.state.Counters
	k.seen, k.deadLettersKnown = map[fingerprint]int64{}, map[int64]bool{}
	if p.w.rules.groupOffset {
		k.next = p.w.group[k.shard]
		k.tailFrom = k.next
		k.state.Next = k.next
	}
	if p.w.rules.memoryCounters {
		k.count = p.counted[k.shard]
	}
	if p.w.rules.noFingerprints {
		return
	}
	for _, r := range events.rowsOf(k.shard, 0, k.next) {
		k.seen[r.fingerprint] = r.logTime
	}
}

func (p *process) readDeadLetters(k *worker) {
	letters := p.w.tables[lake.DeadLetters]
	k.loaded, k.deadLettersNext = allLoaded, letters.shardStates[k.shard].Next
	for _, f := range letters.files {
		for _, o := range f.dead {
			if f.shard == k.shard {
				k.deadLettersKnown[o] = true
			}
		}
	}
}

// poll classifies a few records.
func (p *process) poll(k *worker) {
	for range p.w.rnd.IntN(8) {
		if k.next >= int64(len(p.w.log[k.shard])) {
			return
		}
		r := p.w.log[k.shard][k.next]
		if k.next < k.deadLettersNext && !k.deadLettersKnown[k.next] && r.dead(p.version) {
			// dead_letters has passed it: a newer decoder could read it, and may
			// have stored it. This version must not overrule that; it waits for
			// a newer one to take the shard.
			return
		}
		k.logTime = max(k.logTime, r.stamp)
		p.classify(k, r)
		k.next++
		p.counted[k.shard] = k.count
	}
}

func (p *process) classify(k *worker, r record) {
	f := fingerprint{r.client, r.id}
	seen, known := k.seen[f]
	now := k.logTime
	if p.w.rules.processClock {
		now = p.w.now + p.skew
	}
	switch {
	case r.kind == control:
		k.count.Control++
	case k.deadLettersKnown[k.next]: // once dead, a record stays dead
		k.count.Dead++
	case r.dead(p.version):
		k.count.Dead++
		k.deadLettersNew = append(k.deadLettersNew, k.next)
	case r.kind == change:
		k.count.Stored++
		k.count.Changes++
		k.changes = append(k.changes, k.next)
	case known && now-seen < window:
		k.count.Duplicates++
	default:
		k.count.Stored++
		k.seen[f] = k.logTime
		k.tail = append(k.tail, row{fingerprint: f, offset: k.next, logTime: k.logTime, decodedBy: r.decodedBy(p.version)})
	}
}

// seal closes a cut of every shard that has something to commit.
func (p *process) seal() {
	j := &job{tables: p.w.rules.tables()}
	for s, k := range p.workers {
		if k == nil || k.loaded < allLoaded || k.next <= k.state.Next {
			continue
		}
		c := &cut{owner: k, id: strconv.Itoa(p.w.nextID()), from: k.state.Next, dead: slices.Clone(k.deadLettersNew)}
		c.to = lake.ShardState{Next: k.next, LogTime: k.logTime, Counters: k.count}
		c.rows = slices.DeleteFunc(slices.Clone(k.tail), func(r row) bool { return r.offset < c.from })
		already := k.changesNext // what the table holds is not written again
		if p.w.rules.changesAgain {
			already = 0
		}
		c.changes = slices.DeleteFunc(slices.Clone(k.changes), func(o int64) bool { return o < c.from || o < already })
		c.changesFile = &file{name: p.w.nextID(), shard: int32(s), changes: c.changes}
		c.eventsFile = &file{name: p.w.nextID(), shard: int32(s), rows: c.rows}
		c.deadLettersFile = &file{name: p.w.nextID(), shard: int32(s), dead: c.dead}
		j.cuts = append(j.cuts, c)
	}
	if len(j.cuts) == 0 {
		j = p.catchUp()
	}
	if len(j.cuts) > 0 {
		p.job = j
	}
}

// catchUp commits to rollups that are behind events, also when no record follows.
func (p *process) catchUp() *job {
	j := &job{tables: simRollups()}
	for s, k := range p.workers {
		if k == nil || k.loaded < allLoaded {
			continue
		}
		for _, t := range j.tables {
			if p.w.tables[t].shardStates[int32(s)].Next < k.state.Next {
				j.cuts = append(j.cuts, &cut{owner: k, id: strconv.Itoa(p.w.nextID()), from: k.state.Next, to: k.state})
				break
			}
		}
	}
	return j
}

// commitStep takes one step of the commit: it loads and checks, or it sends.
func (p *process) commitStep() {
	j := p.job
	if len(j.cuts) == 0 || len(j.tables) == 0 {
		p.finish()
		return
	}
	if j.base == nil {
		p.loadAndCheck(j)
		return
	}
	if p.w.rules.otherLoad { // checked on one load, committed on another
		j.base = p.w.tables[j.tables[0]]
		j.next = j.overlay(j.base.shardStates)
	}
	r := request{table: j.tables[0], base: j.base.id, shardStates: j.next, add: j.files}
	r.inPlace = p.w.rules.inPlace && len(r.add) == 0
	if p.w.send(r) {
		p.finishTable()
		return
	}
	if p.w.rules.deleteFiles {
		for _, f := range j.files {
			p.w.deleted[f.name] = true
		}
		for _, t := range simTables() {
			p.w.checkFiles(t, p.w.tables[t])
		}
	}
	j.base, j.retry = nil, true // after any error the table is loaded again
}

// loadAndCheck loads the table and decides on the cuts by that load.
func (p *process) loadAndCheck(j *job) {
	t := j.tables[0]
	j.base = p.w.tables[t]
	if j.retry && p.w.rules.blindRetry {
		j.next = j.overlay(j.base.shardStates)
		return
	}
	j.sent, j.files = nil, nil
	fresh := map[int32]*file{}
	for _, c := range j.cuts {
		sent, f := p.cutFor(t, c, j.base)
		j.sent = append(j.sent, sent)
		fresh[sent.Shard] = f
	}
	j.next, j.outcomes = p.w.rules.advance(j.base.shardStates, j.sent)
	for i, sent := range j.sent {
		f := fresh[sent.Shard]
		if j.outcomes[i] == lake.Committed && j.base.shardStates[sent.Shard].Cut != sent.ID && f != nil {
			j.files = append(j.files, f)
		}
	}
	if maps.Equal(j.next, j.base.shardStates) {
		p.finishTable()
	}
}

// cutFor returns the cut as table t sees it, and its file.
func (p *process) cutFor(t lake.Table, c *cut, base *snapshot) (lake.Cut, *file) {
	s := c.owner.shard
	out := lake.Cut{ID: c.id, Shard: s, From: c.from, To: c.to, Sealed: time.Time{}}
	switch t {
	case lake.Events:
		if len(c.rows) == 0 {
			return out, nil
		}
		return out, c.eventsFile
	case lake.DeadLetters:
		out.From, out.To.Counters = max(c.from, c.owner.deadLettersNext), lake.Counters{}
		if len(c.dead) == 0 {
			return out, nil
		}
		return out, c.deadLettersFile
	case lake.Changes:
		out.From, out.To.Counters = max(c.from, c.owner.changesNext), lake.Counters{}
		if len(c.changes) == 0 {
			return out, nil
		}
		return out, c.changesFile
	default:
		return p.rollupCutFor(t, c, out, base.shardStates[s].Next)
	}
}

// rollupCutFor computes the rollup from the rows of events, starting at the offset
// of the rollup.
func (p *process) rollupCutFor(t lake.Table, c *cut, out lake.Cut, from int64) (lake.Cut, *file) {
	s := c.owner.shard
	out.From = from
	out.ID = c.id + "@" + strconv.FormatInt(out.From, 10)
	out.To.Counters = lake.Counters{}
	rows := p.w.tables[lake.Events].rowsOf(s, out.From, c.to.Next)
	if p.w.rules.rollupsFirst && c.eventsFile != nil {
		out.From, out.ID, rows = c.from, c.id, c.rows
	}
	if len(rows) == 0 {
		return out, nil
	}
	return out, &file{name: p.w.nextID(), shard: s, counts: gather(t, rows)}
}

// overlay returns v with the states of the earlier decision.
func (j *job) overlay(v lake.ShardStates) lake.ShardStates {
	out := copyShardStates(v)
	for i, c := range j.sent {
		if j.outcomes[i] == lake.Committed {
			out[c.Shard] = j.next[c.Shard]
		}
	}
	return out
}

// finishTable handles the outcomes of one table and goes on to the next.
func (p *process) finishTable() {
	j := p.job
	t := j.tables[0]
	var proceed []*cut
	for i, c := range j.cuts {
		if p.mayProceed(t, c, j.outcomes[i]) {
			proceed = append(proceed, c)
		}
	}
	p.job = &job{cuts: proceed, tables: j.tables[1:]}
}

// mayProceed reports whether a cut goes on to the next table. If not, its shard, and
// no other, starts again from the lake.
func (p *process) mayProceed(t lake.Table, c *cut, o lake.Outcome) bool {
	k := c.owner
	switch {
	case t == lake.DeadLetters && k.deadLettersNext >= c.to.Next && len(c.dead) == 0:
		return true // known at the take-over to be past the cut
	case t == lake.Changes && k.changesNext >= c.to.Next:
		return true // the same as for dead_letters
	case slices.Contains(simRollups(), t):
		return true // computed from events, by whichever process
	case o != lake.Committed:
		p.restartShard(k)
		return false
	case t == lake.DeadLetters:
		k.deadLettersNext = max(k.deadLettersNext, c.to.Next)
		k.deadLettersNew = slices.DeleteFunc(k.deadLettersNew, func(o int64) bool { return o < c.to.Next })
		return true
	case t == lake.Changes:
		k.changesNext = max(k.changesNext, c.to.Next)
		return true
	}
	k.state = p.w.tables[lake.Events].shardStates[k.shard]
	k.state.Next = c.to.Next
	p.w.group[k.shard] = c.to.Next
	return true
}

func (p *process) restartShard(k *worker) {
	if p.workers[k.shard] == k {
		p.workers[k.shard] = nil
	}
}

// finish keeps the rows of the committed cuts for one cut more.
func (p *process) finish() {
	for _, c := range p.job.cuts {
		if c.eventsFile == nil {
			continue // a catch-up
		}
		c.owner.tailFrom = c.from
		c.owner.changes = slices.DeleteFunc(c.owner.changes, func(o int64) bool { return o < c.from })
		c.owner.tail = slices.DeleteFunc(c.owner.tail, func(r row) bool { return r.offset < c.from })
	}
	p.job = nil
}
