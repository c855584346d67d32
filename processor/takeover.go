package processor

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kadm"

	"weir/processor/dedupe"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/rollup"
	"weir/schemas/topic"
)

// catchUpOffsets is how many offsets of events one step of a catch-up gathers. It
// bounds the memory of a catch-up that starts at the first row.
const catchUpOffsets = 250_000

// takeOver reads from the lake all that the shard needs to resume, and checks that
// the log still matches.
//
// The tables are loaded in the reverse of the order in which they are committed:
// events, changes, dead letters. If another owner commits meanwhile, a table that
// is loaded later can only be further ahead, as after a crash of that owner, and
// never behind. Offset, log time, counters and fingerprints all come from the one
// snapshot of events that was loaded first. If it is out of date by the time of
// our first commit, that commit fails with a conflict and all of this is done
// again (schemas/DESIGN.md "Taking over a shard").
func (w *worker) takeOver(ctx context.Context) (*gatherer, error) {
	events, err := w.lake.Load(ctx, lake.Events)
	if err != nil {
		return nil, err
	}
	defer events.Pin()()
	if err := w.catchUp(ctx, events); err != nil {
		return nil, fmt.Errorf("catch up shard %d: %w", w.shard, err)
	}
	changes, err := w.lake.Load(ctx, lake.Changes)
	if err != nil {
		return nil, err
	}
	deadLetters, err := w.lake.Load(ctx, lake.DeadLetters)
	if err != nil {
		return nil, err
	}
	logReadAt := time.Now()
	log, err := w.readLogRange(ctx)
	if err != nil {
		return nil, err
	}
	st, err := w.resolveStart(events.ShardStates(), changes.ShardStates(), deadLetters.ShardStates(), log)
	if err != nil {
		return nil, err
	}
	if st.deadLettersAhead, err = w.readDeadLettersAhead(ctx, deadLetters, st); err != nil {
		return nil, err
	}
	if st.changesAhead, err = w.readChangesAhead(ctx, changes, st); err != nil {
		return nil, err
	}
	if err := w.clock.compare(ctx, st.state.LogTime); err != nil {
		return nil, err
	}
	d, err := w.rebuildDedupe(ctx, events, st.state.LogTime)
	if err != nil {
		return nil, err
	}
	g := &gatherer{
		startState: st, shard: w.shard, from: st.state.Next, dedupe: d, buffer: w.buffer,
		crcTable: crc32.MakeTable(crc32.Castagnoli), startCounters: st.state.Counters,
	}
	g.state.Position.TopicID, g.log, g.logReadAt = log.topicID, log, logReadAt
	return g, nil
}

// catchUp brings the tables that are behind events up to it. Rollups are computed
// from the rows of events and never from the log: another version of the decoder
// may read the log differently, and then two tables would disagree.
//
// dead_letters and client_changes are behind only after a version of Weir that did
// not have the table. For those offsets there is nothing to add; only the offset
// of the table moves.
func (w *worker) catchUp(ctx context.Context, events *lake.Snapshot) error {
	to, known := events.ShardStates()[w.shard]
	if !known {
		return nil
	}
	for {
		from, tables, end, err := w.tablesBehind(ctx, to)
		if err != nil || len(tables) == 0 {
			return err
		}
		if slices.ContainsFunc(tables, isRollup) {
			end = min(end, from+catchUpOffsets)
		}
		files, err := w.writeRollups(ctx, events, from, end, tables)
		if err != nil {
			return err
		}
		step := lake.ShardState{First: to.First, Next: end, Position: lake.LogPosition{TopicID: to.Position.TopicID, Epoch: -1, Base: to.Position.Base}}
		if end == to.Next {
			step, step.Counters = to, lake.Counters{}
		}
		id := "catch-up-" + uuid.NewString()
		for _, t := range tables {
			cut := lake.Cut{ID: id, Shard: w.shard, From: from, To: step, Files: files[t], Sealed: time.Now()}
			outcomes, err := w.lake.Commit(ctx, t, []lake.Cut{cut})
			if err != nil {
				return err
			}
			if outcomes[0] == lake.Conflict {
				return errConflict
			}
		}
		w.log.InfoContext(ctx, "tables caught up", "from", from, "to", end, "tables", tables)
	}
}

// tablesBehind returns the tables that are furthest behind `to`, their next offset,
// and the offset up to which they can catch up together: that of the table which
// is behind next.
func (w *worker) tablesBehind(ctx context.Context, to lake.ShardState) (from int64, tables []lake.Table, end int64, err error) {
	from, end = to.Next, to.Next
	for _, t := range append([]lake.Table{lake.DeadLetters, lake.Changes}, lake.Rollups()...) {
		s, err := w.lake.Load(ctx, t)
		if err != nil {
			return 0, nil, 0, err
		}
		next := to.First
		if at, known := s.ShardStates()[w.shard]; known {
			next = at.Next
		}
		switch {
		case next < from:
			end, from, tables = from, next, []lake.Table{t}
		case next == from && from < to.Next:
			tables = append(tables, t)
		case next < end:
			end = next
		}
	}
	return from, tables, end, nil
}

// writeRollups writes the data files of those tables that are rollups, for the
// offsets from ≤ o < to.
func (w *worker) writeRollups(ctx context.Context, events *lake.Snapshot, from, to int64, tables []lake.Table) (map[lake.Table][]lake.DataFile, error) {
	var rollups []lake.Table
	for _, t := range tables {
		if isRollup(t) {
			rollups = append(rollups, t)
		}
	}
	if len(rollups) == 0 {
		return nil, nil
	}
	set := rollup.NewSet()
	filter := columns.Filter{Shard: &w.shard, OffsetFrom: map[int32]int64{w.shard: from}, OffsetTo: map[int32]int64{w.shard: to}}
	if err := w.scanEvents(ctx, events, rollup.Columns(rollup.WantAll), filter, set.AddBatch); err != nil {
		return nil, err
	}
	return w.lake.WriteRollups(ctx, w.shard, set, rollups...)
}

func isRollup(t lake.Table) bool { return slices.Contains(lake.Rollups(), t) }

// readLogRange asks Kafka for the topic's id, and where the shard's log starts and
// ends. The id differs if the topic was deleted and made again.
func (w *worker) readLogRange(ctx context.Context) (logRange, error) {
	adm := kadm.NewClient(w.admin)
	startOffsets, err := adm.ListStartOffsets(ctx, topic.Name)
	if err == nil {
		err = startOffsets.Error()
	}
	if err != nil {
		return logRange{}, fmt.Errorf("list start offsets of %s: %w", topic.Name, err)
	}
	endOffsets, err := adm.ListEndOffsets(ctx, topic.Name)
	if err == nil {
		err = endOffsets.Error()
	}
	if err != nil {
		return logRange{}, fmt.Errorf("list end offsets of %s: %w", topic.Name, err)
	}
	topics, err := adm.ListTopics(ctx, topic.Name)
	if err == nil {
		err = topics[topic.Name].Err
	}
	if err != nil {
		return logRange{}, fmt.Errorf("describe topic %s: %w", topic.Name, err)
	}
	start, ok1 := startOffsets.Lookup(topic.Name, w.shard)
	end, ok2 := endOffsets.Lookup(topic.Name, w.shard)
	if !ok1 || !ok2 {
		return logRange{}, fmt.Errorf("topic %s has no partition %d", topic.Name, w.shard)
	}
	return logRange{topicID: topics[topic.Name].ID.String(), start: start.Offset, end: end.Offset}, nil
}

// readDeadLettersAhead returns the offsets at and after that of events which
// dead_letters holds.
func (w *worker) readDeadLettersAhead(ctx context.Context, deadLetters *lake.Snapshot, st startState) (map[int64]bool, error) {
	if st.deadLettersNext == 0 {
		return nil, nil
	}
	return offsetsAhead(ctx, w, deadLetters, st, w.lake.ReadDeadLetters, func(l lake.DeadLetter) int64 { return l.Offset })
}

// readChangesAhead returns the offsets at and after that of events which
// client_changes holds.
func (w *worker) readChangesAhead(ctx context.Context, changes *lake.Snapshot, st startState) (map[int64]bool, error) {
	if st.changesNext == 0 {
		return nil, nil
	}
	return offsetsAhead(ctx, w, changes, st, w.lake.ScanChanges, func(c *lake.Change) int64 { return c.Offset })
}

// offsetsAhead scans the rows of a table from the next offset of events on and
// returns their offsets.
func offsetsAhead[T any](
	ctx context.Context, w *worker, table *lake.Snapshot, st startState,
	scan func(context.Context, []lake.DataFile, columns.Filter) iter.Seq2[T, error], offset func(T) int64,
) (map[int64]bool, error) {
	files, err := table.Files(ctx)
	if err != nil {
		return nil, err
	}
	filter := columns.Filter{Shard: &w.shard, OffsetFrom: map[int32]int64{w.shard: st.state.Next}}
	ahead := map[int64]bool{}
	for row, err := range scan(ctx, lake.Prune(files, filter), filter) {
		if err != nil {
			return nil, fmt.Errorf("read what is ahead of events in shard %d: %w", w.shard, err)
		}
		ahead[offset(row)] = true
	}
	return ahead, nil
}

// rebuildDedupe rebuilds the fingerprints from the rows of the same snapshot that
// the shard's offset came from. With an older one, rows would be missing, and
// their duplicates would be stored again; with a newer one, records that are read
// again would count as duplicates of themselves.
//
// After an operator has widened DedupeWindow, these rows can hold one random id
// twice: its second row was stored when the narrower window had passed the first.
// Window.AddBatch does not depend on their order in memory, where the later time
// wins; but rows do not come in the order of log time, so of two fingerprint files
// the newer one can hold the older time, and a lookup takes that. A copy that comes
// once the older time has left the window is then stored although the later time is
// still inside. This ends when log time has passed the first rows by the new length.
func (w *worker) rebuildDedupe(ctx context.Context, events *lake.Snapshot, logTime int64) (*dedupe.Window, error) {
	d := dedupe.New(w.cfg.DedupeWindow, logTime, w.cfg.Scratch, w.dedupeBudget)
	filter := columns.Filter{Shard: &w.shard, ArrivalFrom: max(d.Horizon()+1, 1)}
	names := []string{columns.ProductID, columns.ClientID, columns.RandomID, columns.Arrival}
	err := w.scanEvents(ctx, events, names, filter, d.AddBatch)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("rebuild fingerprints of shard %d: %w", w.shard, err), d.Close())
	}
	return d, nil
}

// scanEvents passes the rows of a snapshot of events to each, batch by batch. A
// batch is valid until each returns.
func (w *worker) scanEvents(ctx context.Context, events *lake.Snapshot, names []string, f columns.Filter, each func(arrow.Record) error) error {
	files, err := events.Files(ctx)
	if err != nil {
		return err
	}
	for batch, err := range w.lake.ScanEvents(ctx, lake.Prune(files, f), names, f) {
		if err == nil {
			err = each(batch)
		}
		if err != nil {
			return fmt.Errorf("scan events of shard %d: %w", w.shard, err)
		}
	}
	return nil
}
