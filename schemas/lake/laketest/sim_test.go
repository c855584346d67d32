package laketest_test

import (
	"flag"
	"testing"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

var simSeeds = flag.Int("sim.seeds", laketest.Repetitions(3000), "how many runs of the simulation") //nolint:gochecknoglobals // a test flag is one

// The simulation of the protocol: three shards, three processes that commit to
// five tables, compactors and readers with tail, all interleaved by a seed.
// Commits are lost, late, or applied although they seem to have failed; processes
// crash at each step, pause and continue as zombies; shards change owners; decoders
// of two versions run at the same time. After each step that changes a table every
// invariant is checked, and at the end everything must have been committed. The
// decision on a cut is lake.Advance, the code of the product.

// protocol is what the actors of a run do. Each field that is true is a mistake that
// must be found.
type protocol struct {
	advance func(lake.ShardStates, []lake.Cut) (lake.ShardStates, []lake.Outcome)
	dayOver func(v lake.ShardStates, day int64) bool
	tables  func() []lake.Table // in the order of commits

	noFingerprints, groupOffset, memoryCounters, processClock bool // on take-over
	blindRetry, otherLoad, deleteFiles, rollupsFirst, inPlace bool // at a commit
	sameInputs                                                bool // at compaction
	tableByTable, oneOffset, behindAnswers                    bool // in an answer
	changesLast, changesAgain, changesFirst, changesUnbounded bool // when changes are committed, written, loaded, read
}

// correct returns the protocol without mistakes.
func correct() protocol {
	return protocol{advance: lake.Advance, dayOver: dayOver, tables: simTables}
}

// dayOver reports whether log time has passed the end of day in every shard.
func dayOver(v lake.ShardStates, day int64) bool {
	for s := range int32(shards) {
		if v[s].LogTime < (day+1)*dayLong {
			return false
		}
	}
	return true
}

// run takes a number of seeded steps, and then runs without faults until everything
// is committed.
func run(seed uint64, r protocol, steps int) error {
	w := newSimulation(seed, r)
	return w.run(steps)
}

func (w *simulation) run(steps int) error {
	w.upgrades = w.rnd.IntN(3) == 0
	var processes []*process
	for i := range 3 {
		p := &process{w: w, index: i}
		p.start()
		processes = append(processes, p)
	}
	for s := range w.leases {
		w.leases[s] = lease{epoch: 1, owner: s}
	}
	compactors := []*compactor{{w: w}, {w: w}}
	readers := []*reader{{w: w}, {w: w}}
	for range steps {
		if w.step(processes, compactors, readers); w.violation != nil {
			return w.violation
		}
	}
	w.commitRest(processes)
	return w.violation
}

// step lets one actor take one step.
func (w *simulation) step(processes []*process, compactors []*compactor, readers []*reader) {
	w.now += int64(w.rnd.IntN(3))
	switch n := w.rnd.IntN(100); {
	case n < 8:
		w.produce(int32(w.rnd.IntN(shards)))
	case n < 11:
		w.deliver()
	case n < 13:
		w.rebalance()
	case n < 15:
		w.pauseOrCrash(processes[w.rnd.IntN(len(processes))])
	case n < 16:
		w.closeDays()
	case n < 26:
		compactors[w.rnd.IntN(len(compactors))].step()
	case n < 38:
		readers[w.rnd.IntN(len(readers))].step(processes)
	default:
		p := processes[w.rnd.IntN(len(processes))]
		switch {
		case !p.up:
			if w.rnd.IntN(4) == 0 {
				p.start()
			}
		case p.pausedFor > 0:
			p.pausedFor--
		default:
			p.step()
		}
	}
}

// rebalance gives a shard to a random process; the former owner notices later.
func (w *simulation) rebalance() {
	s := w.rnd.IntN(shards)
	w.leases[s] = lease{epoch: w.leases[s].epoch + 1, owner: w.rnd.IntN(3)}
	w.tracef("shard %d goes to process %d", s, w.leases[s].owner)
}

// pauseOrCrash pauses a process for some steps, or crashes it.
func (w *simulation) pauseOrCrash(p *process) {
	if w.rnd.IntN(2) == 0 {
		p.crash()
		return
	}
	p.pausedFor = w.rnd.IntN(30)
}

// commitRest ends all faults and requires everything to be committed: commits of
// other processes must never stop an owner permanently.
func (w *simulation) commitRest(processes []*process) {
	w.faultless = true
	for len(w.late) > 0 {
		w.deliver()
	}
	for _, p := range processes {
		p.pausedFor = 0
		if !p.up {
			p.start()
		}
		p.version = 2
	}
	for range 600 {
		for _, p := range processes {
			p.step()
		}
		if w.violation != nil || w.done() {
			break
		}
	}
	w.closeDays()
	w.checkDone()
}

// done reports whether every table is at the end of the log.
func (w *simulation) done() bool {
	for _, t := range simTables() {
		for s := range int32(shards) {
			if w.tables[t].shardStates[s].Next != int64(len(w.log[s])) {
				return false
			}
		}
	}
	return true
}

func TestSimulation(t *testing.T) {
	for seed := range uint64(*simSeeds) {
		if err := run(seed, correct(), 800); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
