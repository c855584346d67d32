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
	"weir/schemas/topic"
)

const (
	recordsPerStep = 512         // records judged before a tail request gets its turn
	fetchBytes     = 1 << 20     // of the log in one fetch; three fetches of a shard are in memory at once
	minPause       = time.Second // before a shard starts anew after an error
	maxPause       = 10 * time.Second
	conflictPause  = 100 * time.Millisecond // before a shard starts anew because the lake has moved
)

// Why a life of a shard ends.
var (
	errConflict = errors.New("the lake has moved on without this cut")
	errStopped  = errors.New("the shard is given up")
)

// worker takes one shard in, from the day its lease is claimed to the day it
// is given up or lost. It lives one life after another: whatever goes wrong
// ends a life, drops what it had gathered, and the next one begins with what
// the lake says.
type worker struct {
	shard        int32
	cfg          Config
	lake         *lake.Lake
	kafka        func(...kgo.Opt) (*kgo.Client, error)
	admin        *kgo.Client
	accepted     map[int32]acceptedLoss
	commits      *committer
	encodeSlots  chan struct{} // as many places as cuts may be encoded at once
	memory       memory.Allocator
	gatherBudget func() int64 // bytes of memory a cut may take now
	dedupeBudget func() int64
	metrics      *shardMetrics
	log          *slog.Logger

	buffer *tailBuffer

	mu    sync.Mutex // guards what follows
	state error      // nil: taking in; else why not
}

// fetched is what one poll of the log brought.
type fetched struct {
	records []*kgo.Record
	end     int64 // of the log, as far as consumers may read
	err     error
}

// run lives until ctx ends. Then it commits what it has gathered, unless the
// cause is that the lease is gone.
func (w *worker) run(ctx context.Context) {
	defer w.setState(errStopped)
	for pause := minPause; ctx.Err() == nil; pause = min(2*pause, maxPause) {
		w.setState(errors.New("taking over"))
		began := time.Now()
		err := w.runAssignment(ctx)
		if ctx.Err() != nil {
			w.log.InfoContext(ctx, "shard given up", "left_undone", err)
			return
		}
		w.setState(err)
		w.metrics.restarts.Inc()
		if time.Since(began) > maxPause {
			pause = minPause
		}
		if errors.Is(err, errConflict) {
			w.log.WarnContext(ctx, "shard starts anew from the lake", "err", err)
			sleep(ctx, conflictPause)
			continue
		}
		w.log.ErrorContext(ctx, "shard stopped, will be tried again", "err", err, "pause", pause)
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

// ready is nil while the shard is being taken in, else why it is not.
func (w *worker) ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

// runAssignment takes the shard over, takes it in until ctx ends or something goes
// wrong, and gives back all it held.
func (w *worker) runAssignment(ctx context.Context) (err error) {
	began := time.Now()
	g, err := w.takeOver(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.dedupe.Close()) }()
	w.buffer.start(w.memory, g.state)
	w.buffer.setLogEnd(g.log.end, g.logReadAt)
	defer w.buffer.stop()

	// What is sealed is finished although ctx ends; cancelCuts ends that too.
	work, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	var wait sync.WaitGroup
	defer wait.Wait()
	defer giveUp()
	l := &assignment{worker: w, g: g, cutCtx: work, cancelCuts: giveUp, wait: &wait, fetches: make(chan fetched), results: make(chan cutResult, 1)}
	cl, err := w.newConsumer(g)
	if err != nil {
		return err
	}
	defer cl.Close()
	wait.Go(func() { l.fetch(work, cl) })
	w.setState(nil)
	w.log.InfoContext(ctx, "shard taken over", "next", g.state.Next, "log_time", time.UnixMilli(g.state.LogTime).UTC(),
		"dead_to", g.deadLettersNext, "changes_to", g.changesNext, "took", time.Since(began))
	return l.loop(ctx)
}

// newConsumer is a client that fetches this shard from exactly where it goes on,
// and nowhere else: an offset that is not in the log is an error, never a
// reason to begin elsewhere (rule 9).
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

// assignment is the time between one take-over of a shard and the next. All but
// fetch and finish runs in one goroutine.
type assignment struct {
	*worker
	g          *gatherer
	cutCtx     context.Context //nolint:containedctx // the life of this struct, and longer than that of its caller's context
	cancelCuts context.CancelFunc
	wait       *sync.WaitGroup
	fetches    chan fetched

	backlog  []*kgo.Record // fetched and not judged yet
	logEnd   int64         // of the log, in our offsets
	inFlight *sealedCut    // being written and committed; nil: none
	results  chan cutResult
}

// cutResult is what became of the cut in flight.
type cutResult struct {
	took time.Duration
	err  error
}

// fetch hands over what the log has, one fetch at a time: a life that does not
// take makes the log wait.
func (l *assignment) fetch(ctx context.Context, cl *kgo.Client) {
	for ctx.Err() == nil {
		polled := cl.PollFetches(ctx)
		f := fetched{records: polled.Records(), err: polled.Err()}
		polled.EachPartition(func(p kgo.FetchTopicPartition) { f.end = p.HighWatermark })
		select {
		case l.fetches <- f:
		case <-ctx.Done():
		}
		if f.err != nil {
			return
		}
	}
}

// loop is the shard's day: take, cut when it is due, and hear what became of
// the last cut.
func (l *assignment) loop(ctx context.Context) error {
	due := time.NewTimer(l.cfg.CutAge)
	defer due.Stop()
	for {
		if err := l.process(); err != nil {
			return err
		}
		due.Stop()
		if l.g.pending() && l.inFlight == nil {
			due.Reset(time.Until(l.g.openedAt.Add(l.cfg.CutAge)))
		}
		select {
		case f := <-l.nextFetch():
			if f.err != nil {
				return fmt.Errorf("fetch shard %d: %w", l.shard, f.err)
			}
			l.backlog, l.logEnd = f.records, f.end+l.g.state.Position.Base
			l.buffer.setLogEnd(f.end, time.Time{})
		case <-due.C:
		case r := <-l.results:
			if err := l.finishCut(ctx, r); err != nil {
				return err
			}
		case <-ctx.Done():
			return l.drain(ctx)
		}
	}
}

// nextFetch is where the next fetch comes from: nowhere as long as the last one
// is not judged, which is when a full cut waits for the one before it.
func (l *assignment) nextFetch() chan fetched {
	if len(l.backlog) > 0 || l.full() && l.inFlight != nil {
		return nil
	}
	return l.fetches
}

// process judges what was fetched and cuts when it must, until it has to wait.
func (l *assignment) process() error {
	for {
		if l.cutDue() && l.inFlight == nil {
			l.startCut()
		}
		if len(l.backlog) == 0 || l.full() {
			l.metrics.observeGathered(&l.g.state, l.logEnd)
			return nil
		}
		n, err := l.g.gather(l.backlog[:min(recordsPerStep, len(l.backlog))], time.Now())
		if err != nil {
			return err
		}
		l.backlog = l.backlog[n:]
	}
}

// full says that the open cut takes no more.
func (l *assignment) full() bool { return l.g.atCutLimit() || l.g.bytes() >= l.gatherBudget() }

// cutDue says that the open cut should be sealed.
func (l *assignment) cutDue() bool {
	return l.g.pending() && (l.full() || time.Since(l.g.openedAt) >= l.cfg.CutAge)
}

// startCut seals what is gathered and has it committed while the next is gathered.
func (l *assignment) startCut() {
	c := l.g.seal(time.Now())
	l.inFlight = c
	l.wait.Go(func() {
		began := time.Now()
		err := l.writeAndCommit(l.cutCtx, c)
		release(c.rows)
		release(c.changes)
		l.results <- cutResult{took: time.Since(began), err: err} // has room for the only one
	})
}

// finishCut hears what became of the cut in flight.
func (l *assignment) finishCut(ctx context.Context, r cutResult) error {
	c := l.inFlight
	l.inFlight = nil
	l.metrics.observeCut(c, r)
	if r.err != nil {
		return fmt.Errorf("cut %s of shard %d from %d to %d: %w", c.id, c.shard, c.from, c.to.Next, r.err)
	}
	l.buffer.dropCommitted()
	l.log.InfoContext(ctx, "cut committed", "cut", c.id, "from", c.from, "to", c.to.Next,
		"stored", c.counts.Stored, "changes", c.counts.Changes, "duplicates", c.counts.Duplicates, "dead", c.counts.Dead, "control", c.counts.Control,
		"lost", c.counts.Lost, "waited", c.sealedAt.Sub(c.openedAt), "took", r.took)
	return nil
}

// drain commits what is gathered, within the drain timeout. A shard whose
// lease is gone has nothing more to commit.
func (l *assignment) drain(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errLeaseLost) {
		return context.Cause(ctx)
	}
	l.setState(errStopped)
	timer := time.AfterFunc(l.cfg.DrainTimeout, l.cancelCuts)
	defer timer.Stop()
	for l.inFlight != nil || l.g.pending() {
		if l.inFlight == nil {
			l.startCut()
		}
		if err := l.finishCut(context.WithoutCancel(ctx), <-l.results); err != nil {
			return err
		}
	}
	return nil
}
