package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/schemas/lake"
	"weir/schemas/rollup"
	"weir/schemas/topic"
)

const (
	recordsPerStep = 512         // records classified before a tail request gets the lock
	fetchBytes     = 1 << 20     // of the log in one fetch; up to three fetches of a shard are in memory at once
	minPause       = time.Second // before a shard is taken over again after an error
	maxPause       = 10 * time.Second
	conflictPause  = 100 * time.Millisecond // before a shard is taken over again after a conflict
)

// Why an assignment of a shard ends.
var (
	// errConflict ends it when a cut can never be committed. Everything that was
	// gathered since is built on that cut, so all of it is dropped with it.
	errConflict = errors.New("the cut is dropped and the shard starts again from the lake")
	errStopped  = errors.New("the shard is being released")
)

// worker brings the records of one shard into the lake, from the moment its lease
// is claimed until it is released or lost. It runs one assignment after another:
// any error ends the assignment, all that it has gathered is dropped, and the
// next one starts from the snapshots of the tables. State that is kept over an error
// would have to be proven right for each kind of error; state that is read again is
// right whatever happened (schemas/DESIGN.md "After an error").
type worker struct {
	shard        int32
	cfg          Config
	lake         *lake.Lake
	kafka        func(...kgo.Opt) (*kgo.Client, error)
	admin        *kgo.Client
	accepted     map[int32]acceptedLoss
	commits      *committer
	encodeSlots  chan struct{} // shared with all workers of the process
	memory       memory.Allocator
	gatherBudget func() int64 // bytes of memory a cut may take now
	dedupeBudget func() int64 // bytes of memory the fingerprints may take now
	metrics      *shardMetrics
	clock        *clockGuard // of the process
	log          *slog.Logger

	buffer  *tailBuffer
	cutWait cutWait
	rollups rollup.Counts // of the last cut; belongs to the cut in flight

	mu    sync.Mutex // guards what follows
	state error      // nil while an assignment runs, else why none does
}

// fetched is the result of one poll of the log.
type fetched struct {
	records []*kgo.Record
	end     int64 // high watermark, in offsets of the log
	err     error
}

// run works on the shard until ctx ends. Then it commits what it has gathered,
// unless the cause of the end is errLeaseLost.
func (w *worker) run(ctx context.Context) {
	defer w.setState(errStopped)
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		w.setState(errors.New("taking over"))
		began := time.Now()
		err := w.runAssignment(ctx)
		if ctx.Err() != nil {
			w.log.InfoContext(ctx, "shard released", "left_undone", err)
			return
		}
		w.setState(err)
		w.metrics.restarts.Inc()
		if time.Since(began) > maxPause {
			pause = minPause
		}
		if errors.Is(err, errConflict) {
			w.log.WarnContext(ctx, "shard conflict, taking the shard over again from the lake", "err", err)
			sleep(ctx, conflictPause)
			continue
		}
		w.log.ErrorContext(ctx, "shard stopped, will take it over again", "err", err, "pause", pause)
		sleep(ctx, pause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (w *worker) setState(state error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
}

// ready returns nil while an assignment runs and its cuts are committed, else why not.
func (w *worker) ready() error {
	w.mu.Lock()
	state := w.state
	w.mu.Unlock()
	return errors.Join(state, w.lateCut())
}

// runAssignment takes the shard over and processes its records until ctx ends or
// an error occurs. It has released all memory and files when it returns.
func (w *worker) runAssignment(ctx context.Context) (err error) {
	began := time.Now()
	if err := w.clock.check(ctx); err != nil {
		return err
	}
	g, err := w.takeOver(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.dedupe.Close()) }()
	w.buffer.start(w.memory, g.state)
	w.buffer.setLogEnd(g.log.end, g.logReadAt)
	defer w.buffer.stop()
	defer w.cutWait.end() // of a cut whose result nobody waits for any more

	// Deferred calls run last to first: no more fetches, no more commits, wait for
	// both to return, and only then release the rows and fingerprints they used.
	//
	// A sealed cut is committed even though ctx has ended; only cancelCuts, of the
	// drain timeout, ends that too.
	cutCtx, cancelCuts := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancelCuts()
	a := &assignment{worker: w, g: g, cutCtx: cutCtx, cancelCuts: cancelCuts, wait: &wait, fetches: make(chan fetched), results: make(chan cutResult, 1)}
	cl, err := w.newConsumer(g)
	if err != nil {
		return err
	}
	defer cl.Close()
	wait.Go(func() { a.fetch(cutCtx, cl) })
	w.setState(nil)
	w.log.InfoContext(ctx, "shard taken over", "next", g.state.Next, "log_time", time.UnixMilli(g.state.LogTime).UTC(),
		"dead_to", g.deadLettersNext, "changes_to", g.changesNext, "took", time.Since(began))
	return a.loop(ctx)
}

// newConsumer returns a client that fetches this shard from fetchFrom and nowhere
// else. An offset that is not in the log must be an error: franz-go's default
// would silently reset to the start or the end of the log, and records would be
// skipped or repeated without a trace (schemas/DESIGN.md "The log may lie").
func (w *worker) newConsumer(g *gatherer) (*kgo.Client, error) {
	at := kgo.NoResetOffset().At(g.fetchFrom)
	if e := g.state.Position.Epoch; e >= 0 && g.state.Next > g.state.First {
		at = at.WithEpoch(e)
	}
	cl, err := w.kafka(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic.Name: {w.shard: at}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxPartitionBytes(fetchBytes),
		kgo.FetchMaxBytes(fetchBytes),
	)
	if err != nil {
		return nil, fmt.Errorf("consume shard %d from offset %d: %w", w.shard, g.fetchFrom, err)
	}
	return cl, nil
}

// assignment is the work on a shard from one take-over to the next. Everything but
// fetch and writeAndCommit runs in one goroutine, so its fields need no lock.
type assignment struct {
	*worker
	g          *gatherer
	cutCtx     context.Context //nolint:containedctx // as long as the assignment, and longer than the context of its caller
	cancelCuts context.CancelFunc
	wait       *sync.WaitGroup
	fetches    chan fetched

	backlog  []*kgo.Record // fetched and not classified yet
	logEnd   int64         // of the log, in our offsets
	inFlight *sealedCut    // being written and committed; nil: none
	results  chan cutResult
}

// cutResult is the outcome of the cut in flight.
type cutResult struct {
	took time.Duration
	err  error
}

// fetch passes on records of the log, one fetch at a time. While the assignment
// does not receive, for want of memory, nothing further is fetched.
func (a *assignment) fetch(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		polled := cl.PollFetches(ctx)
		f := fetched{records: polled.Records(), err: polled.Err()}
		polled.EachPartition(func(p kgo.FetchTopicPartition) { f.end = p.HighWatermark })
		select {
		case a.fetches <- f:
		case <-ctx.Done():
		}
		if f.err != nil {
			return
		}
	}
}

// loop classifies what fetch brings, starts a cut when it is due, and handles the
// result of the last one, until ctx ends or something fails.
func (a *assignment) loop(ctx context.Context) error {
	due := time.NewTimer(a.cfg.CutAge)
	defer due.Stop()
	for {
		if err := a.process(); err != nil {
			return err
		}
		due.Stop()
		if a.g.pending() && a.inFlight == nil {
			due.Reset(time.Until(a.g.openedAt.Add(a.cfg.CutAge)))
		}
		select {
		case f := <-a.nextFetch():
			if f.err != nil {
				return fmt.Errorf("fetch shard %d: %w", a.shard, f.err)
			}
			a.backlog, a.logEnd = f.records, f.end+a.g.state.Position.Base
			a.buffer.setLogEnd(f.end, time.Time{})
		case <-due.C:
		case r := <-a.results:
			if err := a.finishCut(ctx, r); err != nil {
				return err
			}
		case <-ctx.Done():
			return a.drain(ctx)
		}
	}
}

// nextFetch returns the channel of the next fetch, or nil, which blocks, while
// records are left of the last one or a full cut waits for the cut in flight.
func (a *assignment) nextFetch() chan fetched {
	if len(a.backlog) > 0 || a.full() && a.inFlight != nil {
		return nil
	}
	return a.fetches
}

// process classifies the backlog and starts a cut whenever one is due, until it
// has to wait for more records or for the cut in flight.
func (a *assignment) process() error {
	for {
		if a.cutDue() && a.inFlight == nil {
			a.startCut()
		}
		if len(a.backlog) == 0 || a.full() {
			a.metrics.observeGathered(&a.g.state, a.logEnd)
			return nil
		}
		now, err := a.clock.now()
		if err != nil {
			return err
		}
		n, err := a.g.gather(a.backlog[:min(recordsPerStep, len(a.backlog))], now)
		if err != nil {
			return err
		}
		a.backlog = a.backlog[n:]
	}
}

// full reports whether the open cut takes no more records. An empty one takes some,
// however small the budget is beside what builders keep.
func (a *assignment) full() bool {
	return a.g.atCutLimit() || a.g.pending() && a.g.bytes() >= a.gatherBudget()
}

// cutDue reports whether the open cut should be sealed.
func (a *assignment) cutDue() bool {
	return a.g.pending() && (a.full() || time.Since(a.g.openedAt) >= a.cfg.CutAge)
}

// startCut seals what is gathered and commits it in the background while the next
// cut is gathered. One cut is in flight at most: the next one starts at the
// offset that this one leads to, and only a finished commit makes that true.
func (a *assignment) startCut() {
	c := a.g.seal(time.Now())
	a.inFlight = c
	a.cutWait.begin(c.sealedAt)
	a.wait.Go(func() {
		began := time.Now()
		err := a.writeAndCommit(a.cutCtx, c)
		release(c.rows)
		release(c.changes)
		a.results <- cutResult{took: time.Since(began), err: err} // never blocks: there is one cut in flight, and room for its result
	})
}

// finishCut handles the result of the cut in flight. An error ends the
// assignment: rows gathered after a cut that failed build on it.
func (a *assignment) finishCut(ctx context.Context, r cutResult) error {
	c := a.inFlight
	a.inFlight = nil
	a.cutWait.end()
	a.metrics.observeCut(c, r)
	if r.err != nil {
		return fmt.Errorf("cut %s of shard %d from %d to %d: %w", c.id, c.shard, c.from, c.to.Next, r.err)
	}
	a.buffer.dropCommitted()
	if c.counts.Holes > 0 {
		a.log.ErrorContext(ctx, "records are missing in the log, the balance does not close until that is accepted", "missing", c.counts.Holes, "from", c.from, "to", c.to.Next)
	}
	a.log.InfoContext(ctx, "cut committed", "cut", c.id, "from", c.from, "to", c.to.Next,
		"stored", c.counts.Stored, "changes", c.counts.Changes, "duplicates", c.counts.Duplicates, "dead", c.counts.Dead, "control", c.counts.Control,
		"lost", c.counts.Lost, "holes", c.counts.Holes, "waited", c.sealedAt.Sub(c.openedAt), "took", r.took)
	return nil
}

// drain commits what is gathered, within the drain timeout. A shard whose lease is
// lost is not drained: its new owner reads the same records again, and a commit
// of ours could only make that owner start over.
func (a *assignment) drain(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errLeaseLost) {
		return context.Cause(ctx)
	}
	a.setState(errStopped)
	timer := time.AfterFunc(a.cfg.DrainTimeout, a.cancelCuts)
	defer timer.Stop()
	for a.inFlight != nil || a.g.pending() {
		if a.inFlight == nil {
			a.startCut()
		}
		if err := a.finishCut(context.WithoutCancel(ctx), <-a.results); err != nil {
			return err
		}
	}
	return nil
}
