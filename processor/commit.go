package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"weir/schemas/lake"
	"weir/schemas/rollup"
)

const (
	maxCutAge     = 24 * time.Hour // a cut that could not be committed for so long is dropped (rule 4)
	maxRetryPause = 15 * time.Second
)

// errTooOld says that a cut could not be committed for too long.
var errTooOld = fmt.Errorf("cut is older than %s: %w", maxCutAge, errConflict)

// writeAndCommit writes the data files of a cut and commits them to all tables. It
// returns when that is done, when the lake has moved on without the cut, or
// when ctx ends; in between it is tried again and again. Rows are durable
// before any table shows them: the files are put before the first commit.
func (w *worker) writeAndCommit(ctx context.Context, c *sealedCut) error {
	files := map[lake.Table][]lake.DataFile{}
	err := w.retry(ctx, c, "write cut", func() error { return w.writeFiles(ctx, c, files) })
	if err != nil {
		return err
	}
	return w.retry(ctx, c, "commit cut", func() error { return w.commits.commit(ctx, c, files) })
}

// retry tries until it works, or can work no more.
func (w *worker) retry(ctx context.Context, c *sealedCut, what string, try func() error) error {
	for pause := time.Second; ; pause = min(2*pause, maxRetryPause) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := try()
		if err == nil || errors.Is(err, errConflict) {
			return err
		}
		if time.Since(c.sealedAt) > maxCutAge {
			return errors.Join(errTooOld, err)
		}
		w.metrics.retries.Inc()
		w.log.WarnContext(ctx, "cut held up, will be tried again", "step", what, "cut", c.id, "err", err, "pause", pause)
		sleep(ctx, pause)
	}
}

// writeFiles puts the data files that files does not name yet. Rollups are gathered
// here, from the very rows that go to events, so that they are a function of
// those rows and of nothing else (rule 5).
func (w *worker) writeFiles(ctx context.Context, c *sealedCut, files map[lake.Table][]lake.DataFile) error {
	select {
	case w.encodeSlots <- struct{}{}:
		defer func() { <-w.encodeSlots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := w.writeAheadOfEvents(ctx, c, files); err != nil {
		return err
	}
	if len(c.rows) == 0 {
		return nil
	}
	if _, done := files[lake.Events]; !done {
		made, err := w.lake.WriteEvents(ctx, c.shard, c.rows)
		if err != nil {
			return err
		}
		files[lake.Events] = made
	}
	set := rollup.NewSet()
	for _, batch := range c.rows {
		if err := set.AddBatch(batch); err != nil {
			return err
		}
	}
	made, err := w.lake.WriteRollups(ctx, c.shard, set)
	if err != nil {
		return err
	}
	maps.Copy(files, made)
	return nil
}

// writeAheadOfEvents is write for the tables that are committed before events. A cut
// that ends where client_changes was known to stand has nothing new for it.
func (w *worker) writeAheadOfEvents(ctx context.Context, c *sealedCut, files map[lake.Table][]lake.DataFile) error {
	if _, done := files[lake.DeadLetters]; !done && len(c.deadLetters) > 0 {
		made, err := w.lake.WriteDeadLetters(ctx, c.shard, c.deadLetters)
		if err != nil {
			return err
		}
		files[lake.DeadLetters] = made
	}
	if _, done := files[lake.Changes]; !done && len(c.changes) > 0 && c.to.Next > c.changesNext {
		made, err := w.lake.WriteChanges(ctx, c.shard, c.changes)
		if err != nil {
			return err
		}
		files[lake.Changes] = made
	}
	return nil
}

// committer brings the cuts of all shards of the process into the tables. It
// is one goroutine: tables do not like many writers, and what waits while it
// commits goes together into the next commit.
type committer struct {
	lake    *lake.Lake
	queue   chan *submission
	metrics *metrics
	log     *slog.Logger

	mu        sync.Mutex      // guards what follows
	committed map[int32]int64 // by shard, the offset of the log after its last finished cut
}

// submission is a cut that waits for the committer.
type submission struct {
	cut    *sealedCut
	files  map[lake.Table][]lake.DataFile
	result chan error // has room for the answer
}

// commit has the cut committed to every table. nil: all tables show it.
// errConflict: one of them will never. After any other error nobody knows, and to
// call it again is safe.
func (c *committer) commit(ctx context.Context, cut *sealedCut, files map[lake.Table][]lake.DataFile) error {
	s := &submission{cut: cut, files: files, result: make(chan error, 1)}
	select {
	case c.queue <- s:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-s.result:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run commits until ctx ends.
func (c *committer) run(ctx context.Context) error {
	for {
		select {
		case s := <-c.queue:
			c.commitAll(ctx, c.takeWaiting(s))
		case <-ctx.Done():
			return nil
		}
	}
}

// takeWaiting is first and all others that wait at this moment. A shard has one at
// a time.
func (c *committer) takeWaiting(first *submission) []*submission {
	subs := []*submission{first}
	for {
		select {
		case s := <-c.queue:
			subs = append(subs, s)
		default:
			return subs
		}
	}
}

// commitAll commits table by table, in the order of rule 5: dead letters, then
// changes, then events, then what is derived from events. Changes come before
// events for the same reason as dead letters: a table that is behind events
// could only catch up from the log, where another version may read another
// verdict.
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
// others have had their answer. Where they do not go together, each is tried
// alone: what is wrong with one cut must not hold up another.
func (c *committer) commitTable(ctx context.Context, t lake.Table, subs []*submission) []*submission {
	if len(subs) == 0 {
		return nil
	}
	began := time.Now()
	outcomes, err := c.lake.Commit(ctx, t, cutsFor(t, subs))
	c.metrics.commitSeconds.WithLabelValues(string(t)).Observe(time.Since(began).Seconds())
	if err != nil && len(subs) > 1 {
		c.log.WarnContext(ctx, "commit failed, each cut is tried alone", "table", t, "cuts", len(subs), "err", err)
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

// mayProceed says whether the cut may go on after what t made of it. A table that
// was at the cut's end already without the cut has been moved by somebody
// else. Of a rollup that is right: it holds the same rows. Of dead_letters and
// client_changes it is right where the shard was taken over knowing it. Of events it is not: the
// rows there are somebody else's verdict.
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

// cutsFor is what subs mean for t. Counters are those of events.
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

// committedOffsets is, by shard, how far the log is finished with.
func (c *committer) committedOffsets() map[int32]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.committed)
}
