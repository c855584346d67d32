package laketest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"weir/schemas/lake"
)

// The state of the simulation: the log, the tables in memory, and a catalog whose
// only operation swaps a snapshot. Time is in units without a name; a day and the
// dedupe window are short, so that a run has many of both.
const (
	shards  = 3
	window  = 40  // units of log time
	dayLong = 100 // units of log time
)

// kind is the kind of a record.
type kind int8

const (
	event     kind = iota
	poison         // no decoder can read it
	newFormat      // version 1 of the decoder cannot read it, version 2 can
	control        // neither stored nor dead
	change         // of a client: stored in client_changes. Version 1 cannot read it
)

// record is one record of the log.
type record struct {
	kind       kind
	client, id int
	stamp      int64
}

// dead reports whether the decoder of a version cannot read r.
func (r record) dead(version int) bool {
	return r.kind == poison || (r.kind == newFormat || r.kind == change) && version < 2
}

// decodedBy returns what row.decodedBy of r is when the given version decodes it.
func (r record) decodedBy(version int) int {
	if r.id == 5 {
		return version
	}
	return 0
}

// fingerprint identifies an event for the dedupe.
type fingerprint struct{ client, id int }

// row is a stored event.
type row struct {
	fingerprint
	offset, logTime int64
	decodedBy       int // version of the decoder, where versions read differently
}

// group is the key of a rollup.
type group struct {
	client    int
	day       int64 // 0 in the table clients
	decodedBy int
}

// file is a data file of one table; the field of that table is set.
type file struct {
	name    int
	shard   int32
	rows    []row
	dead    []int64 // offsets
	changes []int64 // offsets
	counts  map[group]int
}

// snapshot is one state of a table.
type snapshot struct {
	id          int
	shardStates lake.ShardStates
	files       []*file
}

// request is what a writer sends to the catalog.
type request struct {
	table       lake.Table
	base        int // id of the snapshot that must be current
	shardStates lake.ShardStates
	add, remove []*file
	inPlace     bool // makes no new snapshot: only properties change (a planted mistake)
}

// sendResult is what happens to a request.
type sendResult int

const (
	delivered sendResult = iota
	lost
	late    // arrives some time later; the writer sees an error
	applied // arrives; the writer sees an error
)

// expectedShard is what the committed offsets of a shard require the tables to have,
// computed apart from them.
type expectedShard struct {
	rows        []row
	seen        map[fingerprint]int64
	next        int64
	logTime     int64
	count       lake.Counters
	deadLetters map[int64]bool // offsets in dead_letters, also past next
}

// lease records the owner of a shard.
type lease struct {
	epoch int
	owner int // index of a process
}

// simulation holds everything outside the processes.
type simulation struct {
	rnd       *rand.Rand
	rules     protocol
	upgrades  bool // processes of two versions run
	faultless bool // no faults any more

	now      int64
	log      [shards][]record
	tables   map[lake.Table]*snapshot
	expected [shards]*expectedShard
	leases   [shards]lease
	group    [shards]int64 // Kafka's group offsets, which only a planted mistake reads
	late     []request     // requests that arrive later
	deleted  map[int]bool  // names of files that were deleted
	closed   map[int64]bool
	serial   int
	trace    []string // events of the run, newest last; nil keeps none

	violation error
}

func newSimulation(seed uint64, r protocol) *simulation {
	w := &simulation{
		rnd: rand.New(rand.NewPCG(seed, 0)), rules: r, now: dayLong / 2,
		tables: map[lake.Table]*snapshot{}, deleted: map[int]bool{}, closed: map[int64]bool{},
	}
	for _, t := range simTables() {
		w.tables[t] = &snapshot{shardStates: lake.ShardStates{}}
	}
	for s := range w.expected {
		w.expected[s] = &expectedShard{seen: map[fingerprint]int64{}, deadLetters: map[int64]bool{}}
	}
	return w
}

// simTables returns the tables of the simulation, in the order of commits.
func simTables() []lake.Table {
	return []lake.Table{lake.DeadLetters, lake.Changes, lake.Events, lake.ClientDays, lake.Clients}
}

// simRollups returns those tables that are computed from events.
func simRollups() []lake.Table { return []lake.Table{lake.ClientDays, lake.Clients} }

// violationf records a violation of an invariant; the first one counts.
func (w *simulation) violationf(format string, args ...any) {
	if w.violation == nil {
		w.violation = fmt.Errorf(format, args...)
	}
}

// tracef adds to the trace, which helps to debug a seed.
func (w *simulation) tracef(format string, args ...any) {
	if w.trace != nil {
		w.trace = append(w.trace, fmt.Sprintf(format, args...))
	}
}

func (w *simulation) nextID() int {
	w.serial++
	return w.serial
}

// produce appends a few records to a shard.
func (w *simulation) produce(s int32) {
	for range 1 + w.rnd.IntN(6) {
		r := record{
			client: w.rnd.IntN(3), id: w.rnd.IntN(6),
			stamp: max(w.now+int64(w.rnd.IntN(9))-6, 0), kind: event,
		}
		switch n := w.rnd.IntN(20); {
		case n == 0:
			r.kind = poison
		case n == 1:
			r.kind = newFormat
		case n < 4:
			r.kind = control
		case n < 7:
			r.kind = change
		}
		w.log[s] = append(w.log[s], r)
	}
}

// send sends a request to the catalog, with faults, and returns whether the writer
// is told that it was accepted.
func (w *simulation) send(r request) (accepted bool) {
	f := delivered
	if !w.faultless {
		f = map[int]sendResult{0: lost, 1: late, 2: applied}[w.rnd.IntN(12)]
	}
	switch f {
	case lost:
		return false
	case late:
		w.late = append(w.late, r)
		return false
	default:
		return w.swap(r) && f == delivered
	}
}

// swap is the catalog: it compares the snapshot id and nothing else.
func (w *simulation) swap(r request) bool {
	now := w.tables[r.table]
	if now.id != r.base {
		return false
	}
	next := &snapshot{id: w.nextID(), shardStates: r.shardStates}
	if r.inPlace {
		next.id = now.id
	}
	for _, f := range now.files {
		if !slices.Contains(r.remove, f) {
			next.files = append(next.files, f)
		}
	}
	next.files = append(next.files, r.add...)
	w.tracef("%s: snapshot %d on %d, %v, +%d −%d files", r.table, next.id, now.id, nexts(r.shardStates), len(r.add), len(r.remove))
	w.checkSwap(r, now, next)
	w.tables[r.table] = next
	w.checkOrder()
	return true
}

func nexts(v lake.ShardStates) map[int32]int64 {
	out := map[int32]int64{}
	for s, at := range v {
		out[s] = at.Next
	}
	return out
}

// deliver lets one late request arrive.
func (w *simulation) deliver() {
	if len(w.late) == 0 {
		return
	}
	i := w.rnd.IntN(len(w.late))
	r := w.late[i]
	w.late = slices.Delete(w.late, i, i+1)
	w.swap(r)
}

// closeDays closes the days that the log times in events have passed.
func (w *simulation) closeDays() {
	v := w.tables[lake.Events].shardStates
	for day := int64(0); w.rules.dayOver(v, day); day++ {
		w.closed[day] = true
	}
}

// rowsOf returns the rows of a shard in a snapshot of events with from ≤ offset < to,
// in order.
func (s *snapshot) rowsOf(shard int32, from, to int64) []row {
	var out []row
	for _, f := range s.files {
		if f.shard != shard {
			continue
		}
		for _, r := range f.rows {
			if r.offset >= from && r.offset < to {
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b row) int { return int(a.offset - b.offset) })
	return out
}

// changesOf returns the offsets of the changes of a shard below an offset, in order.
func (s *snapshot) changesOf(shard int32, to int64) []int64 {
	var out []int64
	for _, f := range s.files {
		if f.shard != shard {
			continue
		}
		for _, o := range f.changes {
			if o < to {
				out = append(out, o)
			}
		}
	}
	slices.Sort(out)
	return out
}

// totals returns the sum of a rollup's counts of one shard.
func (s *snapshot) totals(shard int32) map[group]int {
	out := map[group]int{}
	for _, f := range s.files {
		if f.shard == shard {
			merge(out, f.counts)
		}
	}
	return out
}

func merge(into, from map[group]int) {
	for g, n := range from {
		into[g] += n
	}
}

// gather computes the rollup t of rows; owners, catch-up and readers all use it.
func gather(t lake.Table, rows []row) map[group]int {
	out := map[group]int{}
	for _, r := range rows {
		g := group{client: r.client, decodedBy: r.decodedBy}
		if t == lake.ClientDays {
			g.day = r.logTime / dayLong
		}
		out[g]++
	}
	return out
}

func sameCounts(a, b map[group]int) bool { return maps.Equal(a, b) }
