package processor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"weir/schemas/lake"
	"weir/schemas/rollup"
)

const (
	maxCutAge     = 24 * time.Hour // a cut that could not be committed for so long is dropped; see writeAndCommit
	maxRetryPause = 15 * time.Second
)

// errTooOld drops a cut that could not be committed for maxCutAge.
var errTooOld = fmt.Errorf("cut is older than %s: %w", maxCutAge, errConflict)

// writeAndCommit writes the data files of a cut and commits them to all tables. It
// retries until all tables have the cut, the cut meets a conflict, or ctx ends.
//
// All files are put before the first commit, so a table never lists a file that
// is not durable, and a crash in between leaves only files that no table lists.
// The files of a failed attempt are never deleted here: an attempt of unknown
// result may have been applied. Orphan clean-up deletes them after 7 days; a cut
// gives up after maxCutAge, well before that, so it cannot commit files that have
// been deleted.
func (w *worker) writeAndCommit(ctx context.Context, c *sealedCut) error {
	files := map[lake.Table][]lake.DataFile{}
	expected := true // by the committer, until something fails: others must not wait for that
	w.commits.expect()
	err := w.retry(ctx, c, "write cut", func() error {
		err := w.writeFiles(ctx, c, files)
		if err != nil && expected {
			expected = false
			w.commits.forget()
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.retry(ctx, c, "commit cut", func() error {
		first := expected
		expected = false
		return w.commits.commit(ctx, c, files, first)
	})
}

// retry calls try until it succeeds, meets a conflict, or the cut is too old.
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
		w.log.WarnContext(ctx, "cut retrying", "step", what, "cut", c.id, "err", err, "pause", pause)
		sleep(ctx, pause)
	}
}

// writeFiles puts the data files of the cut and adds them to files; what an earlier
// attempt has put there is not put again. Rollups are computed from the rows that
// go to events and from nothing else, so a rollup that is behind can always be
// computed again from the table.
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
	set := w.newSet(c)
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
	w.rollups, c.propertiesLeftOut = rollup.CountsOf(set), rollup.PropertiesLeftOut(set)
	return nil
}

// newSet returns a set with room for as many rollups as the last cut had, and for no
// more than c can have.
func (w *worker) newSet(c *sealedCut) *rollup.Set {
	return rollup.NewSetOfSize(rollup.Counts{
		ClientDays: min(w.rollups.ClientDays, int(c.counts.Stored)), EventDays: min(w.rollups.EventDays, int(c.counts.Stored)),
	})
}

// writeAheadOfEvents puts the data files of the tables that are committed before
// events. A cut that ends at or below changesNext has nothing new for
// client_changes: an earlier owner has committed these changes.
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
