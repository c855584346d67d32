package laketest_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"weir/schemas/lake"
)

// The simulation's own small world: the log, the tables of design §6 in
// memory, and a catalog whose one operation is to swap a snapshot. Time counts
// in units; a day and the dedupe window are short, so that a run sees many.
const (
	shards  = 3
	window  = 40  // units of log time
	dayLong = 100 // units of log time
)

// kind is what a record is.
type kind int8

const (
	event     kind = iota
	poison         // no decoder reads it
	newFormat      // version 1 of the decoder cannot read it, version 2 can
	control        // neither stored nor dead
	change         // of a client: stored and no event. Version 1 does not know it
)

// record is one record of the log.
type record struct {
	kind       kind
	client, id int
	stamp      int64
}

// dead says whether a decoder of version cannot read r.
func (r record) dead(version int) bool {
	return r.kind == poison || (r.kind == newFormat || r.kind == change) && version < 2
}

// decodedBy is the version that a row of r shows, when it was decoded by version.
func (r record) decodedBy(version int) int {
	if r.id == 5 {
		return version
	}
	return 0
}

// fingerprint is what makes two events one.
type fingerprint struct{ client, id int }

// row is a stored event.
type row struct {
	fingerprint
	offset, logTime int64 // at: log time
	decodedBy       int   // version of the decoder, where versions read differently
}

// group is the key of a rollup.
type group struct {
	client    int
	day       int64 // 0 in the table of clients
	decodedBy int
}

// file is a data file: of events, of dead letters, of changes or of a rollup.
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
	base        int // snapshot that is asserted
	shardStates lake.ShardStates
	add, remove []*file
	inPlace     bool // no new snapshot: properties alone (never right)
}

// sendResult is what becomes of a request.
type sendResult int

const (
	delivered sendResult = iota
	lost
	late    // arrives some time later; the writer sees an error
	applied // arrives; the writer sees an error
)

// expectedShard is what the committed rows of a shard say, kept beside the tables.
type expectedShard struct {
	rows        []row
	seen        map[fingerprint]int64
	next        int64
	logTime     int64
	count       lake.Counters
	deadLetters map[int64]bool // of dead_letters, also past next
}

// lease says who owns a shard.
type lease struct {
	epoch int
	owner int // index of a process
}

// simulation is everything outside the processes.
type simulation struct {
	rnd       *rand.Rand
	rules     protocol
	upgrades  bool // processes of two versions run
	faultless bool // nothing goes wrong any more

	now      int64
	log      [shards][]record
	tables   map[lake.Table]*snapshot
	expected [shards]*expectedShard
	leases   [shards]lease
	group    [shards]int64 // Kafka's group offsets: a hint
	late     []request     // late requests
	deleted  map[int]bool  // names of files that were deleted
	closed   map[int64]bool
	serial   int
	trace    []string // what happened, newest last; kept when a run failed

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

// simTables are the tables of the simulation, in commit order.
func simTables() []lake.Table {
	return []lake.Table{lake.DeadLetters, lake.Changes, lake.Events, lake.ClientDays, lake.Clients}
}

// simRollups are those of them that follow from events.
func simRollups() []lake.Table { return []lake.Table{lake.ClientDays, lake.Clients} }

// violationf records the first thing that is not right.
func (w *simulation) violationf(format string, args ...any) {
	if w.violation == nil {
		w.violation = fmt.Errorf(format, args...)
	}
}

// tracef keeps what happened, for whoever looks into a seed.
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

// send brings a request to the catalog and says what the writer sees of it.
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

// swap is the catalog: it compares the snapshot and nothing else.
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

// closeDays is the exporter: it closes the days that the events commit shows
// to be over.
func (w *simulation) closeDays() {
	v := w.tables[lake.Events].shardStates
	for day := int64(0); w.rules.dayOver(v, day); day++ {
		w.closed[day] = true
	}
}

// decodeRows lists the rows of a shard in a snapshot of events, from one offset to
// before another, in order.
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

// newChangeSelection lists the changes of a shard below an offset, in order.
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

// totals sums a rollup's counts of one shard.
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

// gather is the rollup t of rows: the one function that makes it.
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
