package laketest_test

import (
	"testing"

	"weir/schemas/lake"
)

// Directed tests for the mistakes that random runs rarely meet. Each leads to the
// mistake by a fixed sequence of steps: the correct protocol passes, the broken one
// must be found.

// newFaultlessSimulation returns a simulation with records in shard 0, and processes
// without shards.
func newFaultlessSimulation(r protocol, log ...record) (*simulation, []*process) {
	w := newSimulation(0, r)
	w.faultless, w.log[0] = true, log
	var processes []*process
	for i := range 3 {
		processes = append(processes, &process{w: w, index: i, version: 2, up: true})
	}
	return w, processes
}

// takeShard gives shard 0 to p, which then takes it over.
func (p *process) takeShard() *worker {
	p.w.leases[0] = lease{epoch: p.w.leases[0].epoch + 1, owner: p.index}
	p.observeLeases()
	for p.workers[0].loaded < allLoaded {
		p.stepWorker(p.workers[0])
	}
	return p.workers[0]
}

// pollTo polls shard 0 up to an offset.
func (p *process) pollTo(k *worker, to int64) {
	log := p.w.log[0]
	p.w.log[0] = log[:to]
	for k.next < to {
		p.poll(k)
	}
	p.w.log[0] = log
}

// commitAll commits what p has gathered to all tables.
func (p *process) commitAll() {
	p.seal()
	for p.job != nil {
		p.commitStep()
	}
}

// expectFound runs a story with the correct protocol, which must pass, and with the
// broken one, which must fail.
func expectFound(t *testing.T, broken protocol, story func(r protocol) *simulation) {
	t.Helper()
	if w := story(correct()); w.violation != nil {
		t.Errorf("with the correct protocol: %v", w.violation)
	}
	w := story(broken)
	if w.violation == nil {
		t.Error("the mistake was not found")
	}
	t.Log(w.violation)
}

func TestOwnerBehindTheLakeAnswers(t *testing.T) {
	broken := correct()
	broken.behindAnswers = true
	expectFound(t, broken, func(r protocol) *simulation {
		w, ps := newFaultlessSimulation(r, record{id: 0}, record{id: 1}, record{id: 2}, record{id: 3})
		behind := ps[0].takeShard()
		ps[0].pollTo(behind, 2)
		ps[1].pollTo(ps[1].takeShard(), 4)
		ps[1].commitAll()
		w.leases[0].owner = 0 // is the owner again and has not noticed that it was not

		reader := &reader{w: w}
		for reader.shard == 0 {
			reader.step(ps)
		}
		return w
	})
}

func TestDayClosesWithoutQuietShard(t *testing.T) {
	broken := correct()
	broken.dayOver = func(v lake.ShardStates, day int64) bool {
		return v[1].LogTime >= (day+1)*dayLong && v[2].LogTime >= (day+1)*dayLong // shard 0 is left out
	}
	expectFound(t, broken, func(r protocol) *simulation {
		w, ps := newFaultlessSimulation(r, record{id: 0, stamp: 10})
		for s := 1; s < shards; s++ {
			w.log[s] = []record{{stamp: dayLong + 5}}
			w.leases[s] = lease{epoch: 1, owner: 0}
		}
		k := ps[0].takeShard()
		ps[0].pollTo(k, 1)
		for s := 1; s < shards; s++ {
			for other := ps[0].workers[s]; other.next == 0; {
				ps[0].stepWorker(other)
			}
		}
		ps[0].commitAll()
		w.closeDays()
		if r.dayOver(lake.ShardStates{0: {}, 1: {}, 2: {}}, 0) || w.closed[1] {
			t.Error("a day closed although no shard has passed it")
		}

		w.log[0] = append(w.log[0], record{id: 1, stamp: 20}) // was under way when the others passed midnight
		ps[0].pollTo(k, 2)
		ps[0].commitAll()
		w.log[0] = append(w.log[0], record{kind: control, stamp: dayLong + 9}) // the owner's tick
		ps[0].pollTo(k, 3)
		ps[0].commitAll()
		w.closeDays()
		if !w.closed[0] {
			t.Error("the day did not close after the tick")
		}
		return w
	})
}

func TestZombieAgainstOwnerWithDuplicatesOnly(t *testing.T) {
	broken := correct()
	broken.inPlace = true
	expectFound(t, broken, func(r protocol) *simulation {
		w, ps := newFaultlessSimulation(r, record{id: 0}, record{id: 1}, record{id: 0}, record{id: 1}, record{id: 0})
		zombie := ps[0].takeShard()
		ps[0].pollTo(zombie, 2)
		ps[0].commitAll()
		ps[0].pollTo(zombie, 3)
		ps[0].seal()
		for ps[0].job.tables[0] != lake.Events || ps[0].job.base == nil {
			ps[0].commitStep()
		}

		ps[1].pollTo(ps[1].takeShard(), 5) // only duplicates
		ps[1].commitAll()
		for ps[0].job != nil {
			ps[0].commitStep()
		}
		if got := w.tables[lake.Events].shardStates[0].Next; w.violation == nil && got != 5 {
			t.Errorf("events are at %d, want 5", got)
		}
		return w
	})
}

// TestRollupBeforeEventsAcrossAnUpgrade commits a rollup of an old version before a
// new version decodes the same records differently.
func TestRollupBeforeEventsAcrossAnUpgrade(t *testing.T) {
	broken := correct()
	broken.rollupsFirst, broken.tables = true, rollupsFirst
	expectFound(t, broken, func(r protocol) *simulation {
		w, ps := newFaultlessSimulation(r, record{id: 4}, record{id: 5})
		ps[0].version = 1
		ps[0].pollTo(ps[0].takeShard(), 2)
		ps[0].seal()
		for len(ps[0].job.tables) > 1 {
			ps[0].commitStep()
		}
		ps[0].crash() // all but the last table have the cut

		ps[1].pollTo(ps[1].takeShard(), 2)
		ps[1].commitAll()
		ps[1].commitAll()
		for _, table := range simTables() {
			if got := w.tables[table].shardStates[0].Next; got != 2 {
				t.Errorf("%s is at %d, want 2", table, got)
			}
		}
		return w
	})
}

// TestChangesAheadOfEventsAreNotWrittenAgain crashes a process between the commit to
// client_changes and that to events; the next one gathers further than the first.
func TestChangesAheadOfEventsAreNotWrittenAgain(t *testing.T) {
	broken := correct()
	broken.changesAgain = true
	expectFound(t, broken, func(r protocol) *simulation {
		w, ps := newFaultlessSimulation(r, record{kind: change}, record{id: 0}, record{kind: change}, record{kind: change})
		ps[0].pollTo(ps[0].takeShard(), 2)
		ps[0].seal()
		for ps[0].job.tables[0] != lake.Events {
			ps[0].commitStep()
		}
		if got := w.tables[lake.Changes].shardStates[0].Next; got != 2 {
			t.Errorf("client_changes is at %d, want 2", got)
		}
		ps[0].crash()

		ps[1].pollTo(ps[1].takeShard(), 4)
		ps[1].commitAll()
		if got := w.tables[lake.Events].shardStates[0]; w.violation == nil && (got.Next != 4 || got.Counters.Changes != 3) {
			t.Errorf("events has %+v, want 3 changes of 4 records", got)
		}
		return w
	})
}
