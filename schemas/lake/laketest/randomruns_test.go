package laketest_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
)

// randomRun is the real lake, in memory, with processes that cut, compact and expire
// as a seed decides, while each of their steps may fail.
type randomRun struct {
	*lakeWriter
	rnd     *rand.Rand
	backend *laketest.Backend
	lakes   []*lake.Lake // one process each
}

func TestRandomRuns(t *testing.T) {
	for seed := range uint64(4) {
		s := &randomRun{lakeWriter: &lakeWriter{t: t, log: newTestLog()}, rnd: rand.New(rand.NewPCG(seed, 1)), backend: laketest.New()}
		for range 3 {
			l, err := s.backend.Open(t.Context(), lake.Config{Backoff: time.Nanosecond, Compression: "snappy"})
			if err != nil {
				t.Fatal(err)
			}
			s.lakes = append(s.lakes, l)
		}
		for range 25 {
			s.step()
			if problems := laketest.Problems(t.Context(), s.lakes[0], s.log); len(problems) > 0 {
				t.Fatalf("seed %d: %v", seed, problems)
			}
		}
		s.backend.Faults.Set(nil)
		s.backend.Faults.Deliver()
		for shard, records := range s.log.Shards {
			s.commitUpTo(shard, int64(len(records)))
		}
		laketest.CheckDone(t, s.lakes[1], s.log)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// step lets a process do one thing, with faults.
func (s *randomRun) step() {
	s.lake = s.lakes[s.rnd.IntN(len(s.lakes))]
	var mu sync.Mutex // data files are put concurrently
	faults := rand.New(rand.NewPCG(s.rnd.Uint64(), 0))
	s.backend.Faults.Set(func(laketest.Step) laketest.Kind {
		mu.Lock()
		defer mu.Unlock()
		return map[int]laketest.Kind{0: laketest.Lost, 1: laketest.Applied, 2: laketest.Late}[faults.IntN(40)]
	})
	shard := int32(s.rnd.IntN(len(s.log.Shards)))
	switch s.rnd.IntN(8) {
	case 0:
		s.backend.Faults.Deliver()
	case 1, 2:
		s.compact(lake.Tables()[s.rnd.IntN(len(lake.Tables()))], shard)
	case 3:
		_ = s.lake.ExpireSnapshots(s.t.Context(), lake.Tables()[s.rnd.IntN(len(lake.Tables()))], time.Millisecond, 2)
	default:
		end := int64(len(s.log.Shards[shard]))
		s.commitUpTo(shard, min(s.next(lake.Events, shard)+s.rnd.Int64N(8)+1, end))
	}
}

func (s *randomRun) next(t lake.Table, shard int32) int64 {
	at, err := s.lake.Load(s.t.Context(), t)
	if err != nil {
		s.t.Fatal(err)
	}
	return at.ShardStates()[shard].Next
}

// commitUpTo commits every table of a shard up to an offset, each from its own, and
// stops at the first failure.
func (s *randomRun) commitUpTo(shard int32, to int64) {
	all, allDead, state := s.log.Verdicts(shard, to)
	for _, table := range lake.Tables() {
		from := s.next(table, shard)
		if from >= to {
			continue
		}
		rows := slices.DeleteFunc(slices.Clone(all), func(r laketest.Row) bool { return r.Offset < from })
		dead := slices.DeleteFunc(slices.Clone(allDead), func(o int64) bool { return o < from })
		changes := slices.DeleteFunc(s.log.ChangeOffsets(shard, to), func(o int64) bool { return o < from })
		c := lake.Cut{ID: uuid.NewString(), Shard: shard, From: from, To: state, Sealed: time.Now()}
		if table != lake.Events {
			c.To.Counters = lake.Counters{}
		}
		var err error
		if c.Files, err = s.files(table, shard, rows, dead, changes); err == nil {
			_, err = s.lake.Commit(s.t.Context(), table, []lake.Cut{c})
		}
		if err != nil {
			return // as if the process had crashed
		}
	}
}

// compact merges the files that a shard has in one partition.
func (s *randomRun) compact(t lake.Table, shard int32) {
	at, err := s.lake.Load(s.t.Context(), t)
	if err != nil {
		s.t.Fatal(err)
	}
	files, err := at.Files(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var old []lake.DataFile
	for _, f := range files {
		if f.Shard == shard && (len(old) == 0 || old[0].Partition == f.Partition) {
			old = append(old, f)
		}
	}
	if len(old) < 2 {
		return
	}
	merged, err := s.lake.Merge(s.t.Context(), t, old)
	if err == nil {
		err = s.lake.Replace(s.t.Context(), t, old, merged)
	}
	if err != nil && !errors.Is(err, laketest.ErrInjected) && !errors.Is(err, lake.ErrInputsGone) {
		s.t.Errorf("compact %s: %v", t, err)
	}
}
