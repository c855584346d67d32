package processor

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// randomRun is a seeded sequence of actions and faults on three shards and up to
// three processes.
type randomRun struct {
	*harness
	rnd     *rand.Rand
	names   int
	running []*process
	ids     int
}

const randomSteps = 30

func TestRandomRuns(t *testing.T) {
	for seed := range uint64(laketest.Repetitions(8)) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { playSeed(t, seed) })
	}
}

func FuzzRun(f *testing.F) {
	f.Add(uint64(1000))
	f.Fuzz(playSeed)
}

// playSeed runs one seed. Every table is compared with the log after every step.
func playSeed(t *testing.T, seed uint64) {
	withHarness(t, 3, func(_ *testing.T, w *harness) {
		w.window, w.manyFiles = time.Hour, true
		s := &randomRun{harness: w, rnd: rand.New(rand.NewPCG(seed, 7))}
		for step := range randomSteps {
			s.step(step)
			s.check()
			if w.t.Failed() {
				w.t.Fatalf("seed %d, step %d", seed, step)
			}
		}
		s.settle()
		s.checkDone()
	})
}

func (s *randomRun) step(step int) {
	does := []func(){s.write, s.write, s.write, s.sleep, s.sleep, s.startOne, s.stopOne, s.crashOne, s.toggleZombie, s.fault, s.compact}
	does[s.rnd.IntN(len(does))]()
	s.t.Logf("step %d done at %s, %d processes", step, time.Now().UTC().Format(time.TimeOnly), len(s.running))
}

// write posts a few records; some are repeated, some are poison, some are changes.
func (s *randomRun) write() {
	for range 1 + s.rnd.IntN(8) {
		shard := int32(s.rnd.IntN(s.layout.Shards))
		switch n := s.rnd.IntN(10); {
		case n == 0:
			s.record(shard, []byte("poison"))
		case n == 1:
			s.postChange(shard, fmt.Sprint(s.ids))
		case n < 4 && s.ids > 0:
			s.post(shard, fmt.Sprint(s.rnd.IntN(s.ids)))
		default:
			s.post(shard, fmt.Sprint(s.ids))
			s.ids++
		}
	}
}

func (s *randomRun) sleep() { time.Sleep(time.Duration(s.rnd.IntN(120)) * time.Second) }

func (s *randomRun) startOne() {
	if len(s.running) == 3 {
		return
	}
	s.names++
	cfg := Config{CutAge: time.Duration(10+s.rnd.IntN(60)) * time.Second, DrainTimeout: 20 * time.Second}
	s.running = append(s.running, s.start(fmt.Sprint("p", s.names), cfg))
}

// takeOne removes one of the running processes from the list and returns it.
func (s *randomRun) takeOne() *process {
	if len(s.running) == 0 {
		return nil
	}
	i := s.rnd.IntN(len(s.running))
	p := s.running[i]
	s.running = append(s.running[:i:i], s.running[i+1:]...)
	return p
}

func (s *randomRun) stopOne() {
	if p := s.takeOne(); p != nil {
		p.stopAndWait()
	}
}

func (s *randomRun) crashOne() {
	if p := s.takeOne(); p != nil {
		p.crash()
	}
}

// toggleZombie cuts a process off from the registry while its renewals seem to
// succeed, or connects it again.
func (s *randomRun) toggleZombie() {
	if len(s.running) > 0 {
		p := s.running[s.rnd.IntN(len(s.running))]
		p.leases.zombie.Store(!p.leases.zombie.Load())
	}
}

// fault makes steps fail for a while, in all ways, and then delivers late commits.
func (s *randomRun) fault() {
	seed, rate, kinds := s.rnd.Uint64(), s.rnd.Float64()/3, laketest.Kinds()
	var n atomic.Uint64
	s.backend.Faults.Set(func(laketest.Step) laketest.Kind {
		rnd := rand.New(rand.NewPCG(seed, n.Add(1)))
		if rnd.Float64() > rate {
			return laketest.None
		}
		return kinds[rnd.IntN(len(kinds))]
	})
	s.write()
	s.sleep()
	s.backend.Faults.Set(nil)
	if s.rnd.IntN(2) == 0 {
		s.sleep()
	}
	s.backend.Faults.Deliver()
}

func (s *randomRun) compact() {
	if _, err := Compact(s.t.Context(), s.openLake(), CompactOptions{}); err != nil {
		s.t.Errorf("compact: %v", err)
	}
}

// settle ends all faults and processes, lets one process commit everything, and
// compacts.
func (s *randomRun) settle() {
	for len(s.running) > 0 {
		s.stopOne()
	}
	p := s.start("last", Config{})
	time.Sleep(3 * time.Minute)
	p.stopAndWait()
	s.compact()
	for _, t := range lake.Tables() {
		files := map[runGroup]int{}
		for _, f := range s.files(t) {
			at := runGroup{shard: f.Shard, partition: f.Partition}
			if files[at]++; files[at] > 1 {
				s.t.Errorf("%s has several data files of shard %d, partition %d after compaction", t, f.Shard, f.Partition)
			}
		}
	}
}
