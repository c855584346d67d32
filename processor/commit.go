package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"weir/schemas/lake"
)

// committer commits the cuts of all shards of the process. It is one goroutine:
// commits to one table exclude each other, so several writers would spend their
// time on retries. Cuts that are ready within maxCommitWait share a commit.
type committer struct {
	lake    *lake.Lake
	queue   chan *submission
	timeout time.Duration // of one commit to one table
	paused  time.Duration // longest pause between commits
	metrics *metrics
	log     *slog.Logger

	waiting  atomic.Int64 // data files that wait to be merged, of the table that has most
	expected atomic.Int64 // cuts whose data files are being written

	mu        sync.Mutex      // guards what follows
	committed map[int32]int64 // by shard, the offset of the log after its last cut that is in all tables
}

// submission is a cut that waits for the committer.
type submission struct {
	cut    *sealedCut
	files  map[lake.Table][]lake.DataFile
	first  bool       // it is expected, and not submitted for the second time
	result chan error // capacity 1, so that the committer never waits for a caller that has left
}

const (
	manySnapshots    = 100 // live snapshots of a table from which on commits pause
	pausePerSnapshot = 5 * time.Millisecond
	manyRuns         = 256 // data files that wait to be merged from which on commits pause
	pausePerRun      = 50 * time.Millisecond
	maxCommitPause   = 10 * time.Second
	maxCommitWait    = time.Second // of a cut for others that are being written, to share its commit
)

// errCommitTimeout is the reason of a commit that took longer than Config.CommitTimeout.
var errCommitTimeout = errors.New("commit took longer than processor.commit_timeout")

func newCommitter(cfg Config, l *lake.Lake, m *metrics, log *slog.Logger) *committer {
	return &committer{
		lake: l, queue: make(chan *submission), timeout: cfg.CommitTimeout, metrics: m, log: log, committed: map[int32]int64{},
		paused: min(maxCommitPause, cfg.DrainTimeout/3), // a shard that is handed over may have two cuts to commit
	}
}

// expect announces that a cut is being written, which commit will be called for. If it
// will not, forget must be.
func (c *committer) expect() { c.expected.Add(1) }
func (c *committer) forget() { c.expected.Add(-1) }

// commit has the cut committed to every table. It returns nil when all tables have
// it, and errConflict when one of them never will. After any other error the
// result is unknown, and the caller must call it again: the lake then finds the
// cut's id in the tables that have it, and commits to the others. first says that this
// is not such a repetition, and that the cut is expected.
func (c *committer) commit(ctx context.Context, cut *sealedCut, files map[lake.Table][]lake.DataFile, first bool) error {
	s := &submission{cut: cut, files: files, first: first, result: make(chan error, 1)}
	select {
	case c.queue <- s:
	case <-ctx.Done():
		if first {
			c.forget()
		}
		return context.Cause(ctx)
	}
	select {
	case err := <-s.result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run commits until ctx ends. It pauses after a commit if there are many snapshots,
// but no longer once draining is closed.
func (c *committer) run(ctx context.Context, draining <-chan struct{}) error {
	for {
		select {
		case s := <-c.queue:
			c.commitAll(ctx, c.takeReady(s, draining))
			c.pause(draining)
		case <-ctx.Done():
			return nil
		}
	}
}

// pause waits before the next commit if a table has many live snapshots: each commit
// writes a list of all of them, and how long they live is a promise to whoever reads
// them. It also waits if compaction falls behind, so that data files do not grow
// in number without bound. Cuts that come meanwhile share the next commit; their
// rows are in the tail, and once that is full the log keeps what comes.
func (c *committer) pause(draining <-chan struct{}) {
	snapshots := 0
	for _, t := range lake.Tables() {
		n := lake.LiveSnapshots(c.lake, t)
		c.metrics.snapshots.WithLabelValues(string(t)).Set(float64(n))
		snapshots = max(snapshots, n)
	}
	timer := time.NewTimer(pauseAt(snapshots, int(c.waiting.Load()), c.paused))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-draining:
	}
}

// pauseAt returns the pause between commits to tables with that many live snapshots and
// data files to be merged, at most longest. It rises slowly, so that the number of
// snapshots settles where as many expire as are made: near 300 where a commit takes
// two seconds and a snapshot lives for 15 minutes.
func pauseAt(snapshots, waiting int, longest time.Duration) time.Duration {
	pause := max(snapshots-manySnapshots, 0)*int(pausePerSnapshot) + max(waiting-manyRuns, 0)*int(pausePerRun)
	return min(time.Duration(pause), longest)
}

// takeReady returns first and the submissions that come while cuts are being written,
// for maxCommitWait at most: a commit costs about the same however many cuts it has.
// A shard has one submission at a time.
func (c *committer) takeReady(first *submission, draining <-chan struct{}) []*submission {
	subs := []*submission{c.take(first)}
	wait := time.NewTimer(maxCommitWait)
	defer wait.Stop()
	for c.expected.Load() > 0 {
		select {
		case s := <-c.queue:
			subs = append(subs, c.take(s))
			continue
		case <-wait.C:
		case <-draining:
		}
		break
	}
	for {
		select {
		case s := <-c.queue:
			subs = append(subs, c.take(s))
		default:
			return subs
		}
	}
}

// take counts a submission as here.
func (c *committer) take(s *submission) *submission {
	if s.first {
		c.forget()
	}
	return s
}

// commitAll commits to one table after the other: dead_letters, client_changes,
// events, and then the rollups.
//
// The order matters. After a crash the log is read again from the offset of events,
// perhaps by another version of the decoder. What dead_letters and client_changes
// hold beyond that offset is known and stays as it is. If they came after events,
// they could be behind it, and only the log could fill them: a record could then
// be stored by one version and dead for the other, or neither. Rollups come last
// because they are computed from the rows of events, and catch up from there.
// (schemas/DESIGN.md "A verdict is given once")
func (c *committer) commitAll(ctx context.Context, subs []*submission) {
	for _, t := range lake.Tables() {
		subs = c.commitTable(ctx, t, subs)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range subs {
		c.committed[s.cut.shard] = s.cut.to.Next - s.cut.to.Position.Base
		s.result <- nil
	}
}

// commitTable commits subs to t and returns those that go on to the next table; the
// others have been sent their result. If all of them fail together, each is tried
// alone: what is wrong with the cut of one shard must not delay another.
//
// Lake.Commit loads the table, checks on that load that each cut starts at the
// offset of its shard, and builds the commit on the same load. Checked on another
// load, two owners could both pass the check, and one would overwrite the offset
// of the other.
func (c *committer) commitTable(ctx context.Context, t lake.Table, subs []*submission) []*submission {
	if len(subs) == 0 {
		return nil
	}
	began := time.Now()
	outcomes, err := c.commitOnce(ctx, t, subs)
	c.metrics.commitSeconds.WithLabelValues(string(t)).Observe(time.Since(began).Seconds())
	if err != nil && len(subs) > 1 {
		c.log.WarnContext(ctx, "commit failed, trying each cut alone", "table", t, "cuts", len(subs), "err", err)
		var passed []*submission
		for _, s := range subs {
			passed = append(passed, c.commitTable(ctx, t, []*submission{s})...)
		}
		return passed
	}
	if err != nil {
		c.metrics.commits.WithLabelValues(string(t), "unknown").Inc()
		subs[0].result <- err
		return nil
	}
	var passed []*submission
	for i, s := range subs {
		c.metrics.commits.WithLabelValues(string(t), outcomes[i].String()).Inc()
		if !s.cut.mayProceed(t, outcomes[i]) {
			s.result <- fmt.Errorf("table %s, %s: %w", t, outcomes[i], errConflict)
			continue
		}
		passed = append(passed, s)
	}
	return passed
}

// commitOnce commits subs to t within the timeout: every shard of the process waits for
// this one goroutine. After the timeout the result is unknown, as after any error.
func (c *committer) commitOnce(ctx context.Context, t lake.Table, subs []*submission) ([]lake.Outcome, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, errCommitTimeout)
	defer cancel()
	outcomes, err := c.lake.Commit(ctx, t, cutsFor(t, subs))
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return outcomes, err
}

// mayProceed reports whether the cut goes on to the next table after outcome o at
// t. If not, its shard is taken over again.
//
// AlreadyApplied means that t is at or past the end of the cut, and that its last
// cut of the shard is another one: another owner has moved it. For a rollup that is fine:
// it was computed from the same rows of events. For dead_letters and
// client_changes it is fine if the shard was taken over in knowledge of it, since
// the cut was then gathered to agree. For events it is not: the rows there follow
// from the other owner's verdicts, and rollups must not be built on ours.
func (c *sealedCut) mayProceed(t lake.Table, o lake.Outcome) bool {
	switch {
	case o == lake.Committed:
		return true
	case o == lake.Conflict, t == lake.Events:
		return false
	case t == lake.DeadLetters:
		return c.to.Next <= c.deadLettersNext
	case t == lake.Changes:
		return c.to.Next <= c.changesNext
	}
	return true
}

// cutsFor returns the cuts of subs as t sees them. Only events carries the counters,
// so that they cannot differ between tables or be added up twice.
func cutsFor(t lake.Table, subs []*submission) []lake.Cut {
	cuts := make([]lake.Cut, len(subs))
	for i, s := range subs {
		c := s.cut
		cuts[i] = lake.Cut{ID: c.id, Shard: c.shard, From: c.from, To: c.to, Files: s.files[t], Sealed: c.sealedAt}
		if !t.HasCounters() {
			cuts[i].To.Counters = lake.Counters{}
		}
	}
	return cuts
}

// committedOffsets returns, by shard, the offset of the log below which this
// process has committed everything to all tables.
func (c *committer) committedOffsets() map[int32]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.committed)
}
