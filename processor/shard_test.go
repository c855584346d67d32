package processor

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/tail"
	"weir/schemas/topic"
)

func TestCutByAge(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		defer p.stopAndWait()
		synctest.Wait()
		w.post(0, "a", "b")
		time.Sleep(59 * time.Second)
		if got := w.shardStates(lake.Events); len(got) != 0 {
			t.Fatalf("after 59 s: events has %v, want nothing", got)
		}
		next, offsets, err := p.tailOf(0, 0)
		if err != nil || next != 2 || !cmp.Equal(offsets, []int64{0, 1}) {
			t.Errorf("tail = %v to %d, %v; want both events", offsets, next, err)
		}
		time.Sleep(3 * time.Second)
		w.wantCounters(0, lake.Counters{Stored: 2})
	})
}

func TestDrainCommitsWhatIsGathered(t *testing.T) {
	withHarness(t, 2, func(t *testing.T, w *harness) {
		p := w.start("p", Config{})
		synctest.Wait()
		w.post(0, "a")
		w.post(1, "b", "c")
		time.Sleep(time.Second)
		p.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 1})
		w.wantCounters(1, lake.Counters{Stored: 2})
		if owners, err := w.registry.Owners(t.Context()); err != nil || len(owners) != 0 {
			t.Errorf("owners after the end = %v, %v; want none", owners, err)
		}
		if _, err := p.service.Tail(0, 0); !errors.Is(err, tail.ErrNotOwner) {
			t.Errorf("tail after the end: %v, want %v", err, tail.ErrNotOwner)
		}
	})
}

func TestRestartResumesFromLake(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		p := w.start("p", Config{})
		w.post(0, "a", "b")
		time.Sleep(90 * time.Second)
		w.post(0, "c") // gathered but not committed
		time.Sleep(time.Second)
		p.crash()
		w.post(0, "d", "a")
		q := w.start("p", Config{}) // the same name, so its lease is claimed at once
		defer q.stopAndWait()
		w.waitCommitted()
		w.wantCounters(0, lake.Counters{Stored: 4, Duplicates: 1})
		w.checkDone()
	})
}

func TestDuplicatesAcrossRestartAndWindow(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		w.window = time.Hour
		w.start("p", Config{}).stopAfter(func() {
			w.post(0, "a")
			time.Sleep(2 * time.Minute)
		})
		w.start("q", Config{}).stopAfter(func() {
			time.Sleep(57 * time.Minute)
			w.post(0, "a") // 59 minutes later: a duplicate, known from the rows of the lake
			time.Sleep(2 * time.Minute)
			w.wantCounters(0, lake.Counters{Stored: 1, Duplicates: 1})
			w.post(0, "a") // 61 minutes later: stored again
			time.Sleep(time.Minute)
			w.post(0, "a")
		})
		w.wantCounters(0, lake.Counters{Stored: 2, Duplicates: 2})
		w.checkDone()
	})
}

// TestWindowIsOfTheLog has records read long after they were written, all at once:
// the time between them in the log decides, whenever they are read.
func TestWindowIsOfTheLog(t *testing.T) {
	withHarness(t, 1, func(_ *testing.T, w *harness) {
		w.window = time.Hour
		for range 3 {
			w.post(0, "a")
			time.Sleep(40 * time.Minute)
		}
		w.start("p", Config{}).stopAfter(func() { time.Sleep(time.Minute) })
		w.wantCounters(0, lake.Counters{Stored: 2, Duplicates: 1})
	})
}

// stopAfter calls do while p runs and then stops p.
func (p *process) stopAfter(do func()) {
	p.w.t.Helper()
	do()
	time.Sleep(time.Second)
	p.stopAndWait()
}

func TestPoisonRecordBecomesDeadLetter(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		w.start("p", Config{}).stopAfter(func() {
			w.post(0, "a")
			w.record(0, []byte("not a record"))
			w.record(0, topic.AppendTick(nil))
			w.post(0, "b")
		})
		w.wantCounters(0, lake.Counters{Stored: 2, Dead: 1, Control: 1})
		s, err := w.reader.Load(t.Context(), lake.DeadLetters)
		w.must(err)
		files, err := s.Files(t.Context())
		w.must(err)
		var deadLetters []lake.DeadLetter
		for letter, err := range w.reader.ReadDeadLetters(t.Context(), files, columns.Filter{}) {
			w.must(err)
			deadLetters = append(deadLetters, letter)
		}
		if len(deadLetters) != 1 || deadLetters[0].Offset != 1 || string(deadLetters[0].Value) != "not a record" || deadLetters[0].Reason == "" {
			t.Errorf("dead letters = %+v, want the record at offset 1", deadLetters)
		}
	})
}

// breakStore makes every step fail until mend is called.
func (w *harness) breakStore() (mend func()) {
	w.backend.Faults.Set(func(laketest.Step) laketest.Kind { return laketest.Lost })
	return func() { w.backend.Faults.Set(nil) }
}

// TestStoreOutageStopsFetching takes the store away for an hour. The shard gathers
// up to its memory limit, answers the tail meanwhile, and commits everything once
// the store is back.
func TestStoreOutageStopsFetching(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{GatherBytes: 3 * 20_000})
		mend := w.breakStore()
		w.post(0, numbered(5000)...)
		time.Sleep(time.Hour)
		buffer := p.service.owned()[0].worker.buffer
		buffer.mu.Lock()
		sum := buffer.rows.Bytes()
		for _, piece := range buffer.cuts {
			sum += piece.bytes
		}
		next := buffer.gathered.next
		buffer.mu.Unlock()
		if next == 5000 || sum > 2*60_000+recordsPerStep*300 {
			t.Errorf("held %d bytes up to offset %d, want that it stops at its memory limit", sum, next)
		}
		if _, offsets, err := p.tailOf(0, 0); err != nil || len(offsets) == 0 {
			t.Errorf("tail meanwhile: %v, %v", offsets, err)
		}
		mend()
		time.Sleep(5 * time.Minute)
		p.stopAndWait()
		w.wantCounters(0, lake.Counters{Stored: 5000})
		w.checkDone()
	})
}

func TestCutBySize(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{CutAge: time.Hour, GatherBytes: 3 * 20_000})
		w.post(0, numbered(5000)...)
		time.Sleep(30 * time.Second)
		if got := w.shardStates(lake.Events)[0].Next; got < 4000 {
			t.Errorf("events is at %d long before the cut's age, want most of 5000", got)
		}
		p.stopAndWait()
		w.checkDone()
	})
}

// TestDrainTimeout checks that records which cannot be committed in time are read
// again by the next process.
func TestDrainTimeout(t *testing.T) {
	withHarness(t, 1, func(t *testing.T, w *harness) {
		p := w.start("p", Config{DrainTimeout: 10 * time.Second})
		w.post(0, "a")
		time.Sleep(time.Second)
		mend, began := w.breakStore(), time.Now()
		p.stopAndWait()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("drain took %s, want the timeout of 10s", took)
		}
		mend()
		w.start("q", Config{}).stopAfter(func() { time.Sleep(time.Second) })
		w.wantCounters(0, lake.Counters{Stored: 1})
		w.checkDone()
	})
}
