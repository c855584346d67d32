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

// tale is a random story: what a seed makes happen to three shards and up to
// three processes.
type tale struct {
	*world
	rnd   *rand.Rand
	names int
	live  []*process
	ids   int
}

const taleSteps = 30

func TestRandomStories(t *testing.T) {
	for seed := range uint64(laketest.Some(8)) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { tell(t, seed) })
	}
}

func FuzzStory(f *testing.F) {
	f.Add(uint64(1000))
	f.Fuzz(tell)
}

// tell plays one seed. Every table is held against the log after every step.
func tell(t *testing.T, seed uint64) {
	inWorld(t, 3, func(_ *testing.T, w *world) {
		w.window = time.Hour
		s := &tale{world: w, rnd: rand.New(rand.NewPCG(seed, 7))}
		for step := range taleSteps {
			s.step(step)
			s.check()
			if w.t.Failed() {
				w.t.Fatalf("seed %d, step %d", seed, step)
			}
		}
		s.calm()
		s.checkDone()
	})
}

func (s *tale) step(step int) {
	does := []func(){s.write, s.write, s.write, s.pass, s.pass, s.begin, s.finish, s.die, s.zombify, s.fault, s.compact}
	does[s.rnd.IntN(len(does))]()
	s.t.Logf("step %d done at %s, %d processes", step, time.Now().UTC().Format(time.TimeOnly), len(s.live))
}

// write posts a few records; some ids come again, some records are poison.
func (s *tale) write() {
	for range 1 + s.rnd.IntN(8) {
		shard := int32(s.rnd.IntN(s.layout.Shards))
		switch n := s.rnd.IntN(10); {
		case n == 0:
			s.record(shard, []byte("poison"))
		case n == 1:
			s.say(shard, fmt.Sprint(s.ids))
		case n < 4 && s.ids > 0:
			s.post(shard, fmt.Sprint(s.rnd.IntN(s.ids)))
		default:
			s.post(shard, fmt.Sprint(s.ids))
			s.ids++
		}
	}
}

func (s *tale) pass() { time.Sleep(time.Duration(s.rnd.IntN(120)) * time.Second) }

func (s *tale) begin() {
	if len(s.live) == 3 {
		return
	}
	s.names++
	cfg := Config{CutAge: time.Duration(10+s.rnd.IntN(60)) * time.Second, DrainTimeout: 20 * time.Second}
	s.live = append(s.live, s.start(fmt.Sprint("p", s.names), cfg))
}

// take removes one of the processes that live.
func (s *tale) take() *process {
	if len(s.live) == 0 {
		return nil
	}
	i := s.rnd.IntN(len(s.live))
	p := s.live[i]
	s.live = append(s.live[:i:i], s.live[i+1:]...)
	return p
}

func (s *tale) finish() {
	if p := s.take(); p != nil {
		p.end()
	}
}

func (s *tale) die() {
	if p := s.take(); p != nil {
		p.crash()
	}
}

// zombify cuts a process off from the registry while it believes that all is
// well, or lets it hear again.
func (s *tale) zombify() {
	if len(s.live) > 0 {
		p := s.live[s.rnd.IntN(len(s.live))]
		p.leases.deaf.Store(!p.leases.deaf.Load())
	}
}

// fault makes steps fail for a while, in any way, and then what is late arrive.
func (s *tale) fault() {
	seed, rate, kinds := s.rnd.Uint64(), s.rnd.Float64()/3, laketest.Kinds()
	var n atomic.Uint64
	s.lake.Faults.Set(func(laketest.Step) laketest.Kind {
		rnd := rand.New(rand.NewPCG(seed, n.Add(1)))
		if rnd.Float64() > rate {
			return laketest.None
		}
		return kinds[rnd.IntN(len(kinds))]
	})
	s.write()
	s.pass()
	s.lake.Faults.Set(nil)
	if s.rnd.IntN(2) == 0 {
		s.pass()
	}
	s.lake.Faults.Deliver()
}

func (s *tale) compact() {
	if _, err := Compact(s.t.Context(), s.open(), CompactOptions{}); err != nil {
		s.t.Errorf("compact: %v", err)
	}
}

// calm ends all trouble and waits for the lake to have everything.
func (s *tale) calm() {
	for len(s.live) > 0 {
		s.finish()
	}
	p := s.start("last", Config{})
	time.Sleep(3 * time.Minute)
	p.end()
	s.compact()
	for _, t := range lake.Tables() {
		files := map[place]int{}
		for _, f := range s.files(t) {
			at := place{shard: f.Shard, partition: f.Partition}
			if files[at]++; files[at] > 1 {
				s.t.Errorf("%s has several data files of shard %d, partition %d after compaction", t, f.Shard, f.Partition)
			}
		}
	}
}

func (w *world) files(t lake.Table) []lake.DataFile {
	w.t.Helper()
	s, err := w.reader.Load(w.t.Context(), t)
	w.must(err)
	files, err := s.Files(w.t.Context())
	w.must(err)
	return files
}
