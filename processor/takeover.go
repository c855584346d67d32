package processor

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
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

// catchUpOffsets is how many offsets of events one step of a catch-up gathers.
const catchUpOffsets = 250_000

// startState is where a shard goes on when it is taken over.
type startState struct {
	state            lake.ShardState // of events
	deadLettersAhead map[int64]bool  // offsets from state.Next on that dead_letters holds already
	deadLettersNext  int64           // where dead_letters stands when that is past events; else 0
	changesAhead     map[int64]bool  // offsets from state.Next on that client_changes holds already
	changesNext      int64           // where client_changes stands when that is past events; else 0
	lostBelow        int64           // offsets below it that have no record are lost: an operator said so
	fetchFrom        int64           // offset of the log to fetch from; one before Next where the last record can be verified
	recordChecks     []recordCheck   // what the log must still be
	log              logRange        // what it was
	logReadAt        time.Time       // when that was asked
}

// recordCheck says which record stood before an offset.
type recordCheck struct {
	next     int64
	checksum uint32 // 0: not known
}

// readLogRange is what Kafka has of one shard.
type logRange struct {
	topicID    string
	start, end int64 // offsets of the log
}

// logError says that the log is not what the lake was filled from. Only an
// operator can tell what is right (rule 9).
type logError struct {
	shard int32
	next  int64 // of the lake
	what  string
}

func (e *logError) Error() string {
	return fmt.Sprintf("log of shard %d does not fit the lake: %s; the shard is stopped. "+
		"Restore the log, or give up what is missing with processor.accept_loss: \"%d@%d:OFFSET\", "+
		"OFFSET being the offset of the log at which the shard shall go on", e.shard, e.what, e.shard, e.next)
}

// acceptedLoss is an operator's word on one shard: when it stands at next, it
// goes on at offset `log` of the log, whatever the log is.
type acceptedLoss struct{ next, log int64 }

// parseAcceptLoss reads Config.AcceptLoss.
func parseAcceptLoss(text string) (map[int32]acceptedLoss, error) {
	accepted := map[int32]acceptedLoss{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		shard, rest, _ := strings.Cut(part, "@")
		next, log, _ := strings.Cut(rest, ":")
		s, err1 := strconv.ParseInt(shard, 10, 32)
		n, err2 := strconv.ParseInt(next, 10, 64)
		l, err3 := strconv.ParseInt(log, 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("accepted loss %q is not shard@next:offset: %w", part, err)
		}
		accepted[int32(s)] = acceptedLoss{next: n, log: l}
	}
	return accepted, nil
}

// takeOver reads from the lake all that the shard needs to go on, and from the
// log that it may. The order counts: whoever else still commits to the shard
// makes our first commit fail, and then all of this is done again.
func (w *worker) takeOver(ctx context.Context) (*gatherer, error) {
	events, err := w.lake.Load(ctx, lake.Events)
	if err != nil {
		return nil, err
	}
	if err := w.catchUp(ctx, events); err != nil {
		return nil, fmt.Errorf("catch up shard %d: %w", w.shard, err)
	}
	changes, err := w.lake.Load(ctx, lake.Changes)
	if err != nil {
		return nil, err
	}
	deadLetters, err := w.lake.Load(ctx, lake.DeadLetters) // after changes, so that it has passed them
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

// catchUp brings the tables that are behind events up to it, from the rows of
// events and from nothing else (rule 5). Dead letters that are gone are gone;
// only their offset moves. So with changes: the table is behind only where a
// version has passed that did not know it, and made dead letters of them.
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

// tablesBehind finds the tables that are furthest behind `to`, where they stand, and
// how far they can go together.
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

// writeRollups makes the data files of tables for the offsets from ≤ o < to.
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

// readLogRange asks Kafka where the shard's log starts and ends.
func (w *worker) readLogRange(ctx context.Context) (logRange, error) {
	adm := kadm.NewClient(w.admin)
	starts, err := adm.ListStartOffsets(ctx, topic.Name)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return logRange{}, fmt.Errorf("list start offsets of %s: %w", topic.Name, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topic.Name)
	if err == nil {
		err = ends.Error()
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
	start, ok1 := starts.Lookup(topic.Name, w.shard)
	end, ok2 := ends.Lookup(topic.Name, w.shard)
	if !ok1 || !ok2 {
		return logRange{}, fmt.Errorf("topic %s has no partition %d", topic.Name, w.shard)
	}
	return logRange{topicID: topics[topic.Name].ID.String(), start: start.Offset, end: end.Offset}, nil
}

// resolveStart decides where the shard goes on. It holds the log against what the
// lake says of it, unless an operator has said what to do.
func (w *worker) resolveStart(events, changes, deadLetters lake.ShardStates, log logRange) (startState, error) {
	state, known := events[w.shard]
	dead, knownAhead := deadLetters[w.shard]
	if !known && knownAhead { // dead_letters is committed first
		state = lake.ShardState{First: dead.First, Next: dead.First, Position: lake.LogPosition{TopicID: dead.Position.TopicID, Base: dead.Position.Base}}
	}
	if !known && !knownAhead {
		return w.startNewShard(log)
	}
	st := startState{state: state, recordChecks: []recordCheck{{next: state.Next, checksum: state.Position.Checksum}}}
	reach := state
	for _, table := range []struct {
		at lake.ShardState
		to *int64
	}{{changes[w.shard], &st.changesNext}, {dead, &st.deadLettersNext}} { // the one that is committed first is furthest
		if table.at.Next > state.Next {
			*table.to, reach = table.at.Next, table.at
			st.recordChecks = append(st.recordChecks, recordCheck{next: table.at.Next, checksum: table.at.Position.Checksum})
		}
	}
	if a, ok := w.accepted[w.shard]; ok && a.next == state.Next {
		return st.applyLoss(a, reach, log), nil
	}
	if err := w.verifyRange(state, reach, log); err != nil {
		return startState{}, err
	}
	st.fetchFrom = max(log.start, state.Next-1-state.Position.Base)
	return st, nil
}

// startNewShard starts a shard of which the lake knows nothing.
func (w *worker) startNewShard(log logRange) (startState, error) {
	if log.start != 0 && !w.cfg.Adopt {
		return startState{}, fmt.Errorf("shard %d is not in the lake, but its log starts at offset %d: "+
			"either this is the wrong lake, or set processor.adopt to begin there", w.shard, log.start)
	}
	return startState{fetchFrom: log.start, state: lake.ShardState{First: log.start, Next: log.start}}, nil
}

// verifyRange holds the log against where the lake stands: state is that of
// events, reach that of the table which has come furthest.
func (w *worker) verifyRange(state, reach lake.ShardState, log logRange) error {
	var what string
	switch next := state.Next - state.Position.Base; {
	case state.Position.TopicID != "" && state.Position.TopicID != log.topicID:
		what = fmt.Sprintf("topic id is %s, the lake was filled from %s", log.topicID, state.Position.TopicID)
	case log.start > next:
		what = fmt.Sprintf("it starts at offset %d, the next to take in is %d", log.start, next)
	case log.end < reach.Next-reach.Position.Base:
		what = fmt.Sprintf("it ends at offset %d, the lake has taken in what is before %d", log.end, reach.Next-reach.Position.Base)
	default:
		return nil
	}
	return &logError{shard: w.shard, next: state.Next, what: fmt.Sprintf("%s (the log has %d to %d)", what, log.start, log.end)}
}

// applyLoss goes on at offset a.log of the log. Where that is further on in the
// same log, what lies between is lost; in any other case our own offsets go
// on from where they are, and the log's are counted from another base.
func (st startState) applyLoss(a acceptedLoss, reach lake.ShardState, log logRange) startState {
	st.recordChecks, st.fetchFrom = nil, a.log
	m := &st.state.Position
	m.Epoch, m.Checksum = -1, 0
	if at := a.log + m.Base; m.TopicID == log.topicID && at >= st.state.Next {
		st.lostBelow = at
		return st
	}
	st.lostBelow = reach.Next
	m.Base = reach.Next - a.log
	return st
}

// readDeadLettersAhead is what dead_letters holds from where events stands on.
func (w *worker) readDeadLettersAhead(ctx context.Context, deadLetters *lake.Snapshot, st startState) (map[int64]bool, error) {
	if st.deadLettersNext == 0 {
		return nil, nil
	}
	files, err := deadLetters.Files(ctx)
	if err != nil {
		return nil, err
	}
	filter := columns.Filter{Shard: &w.shard, OffsetFrom: map[int32]int64{w.shard: st.state.Next}}
	ahead := map[int64]bool{}
	for letter, err := range w.lake.ReadDeadLetters(ctx, lake.Prune(files, filter), filter) {
		if err != nil {
			return nil, fmt.Errorf("read dead letters of shard %d: %w", w.shard, err)
		}
		ahead[letter.Offset] = true
	}
	return ahead, nil
}

// readChangesAhead is what client_changes holds from where events stands on.
func (w *worker) readChangesAhead(ctx context.Context, changes *lake.Snapshot, st startState) (map[int64]bool, error) {
	if st.changesNext == 0 {
		return nil, nil
	}
	files, err := changes.Files(ctx)
	if err != nil {
		return nil, err
	}
	filter := columns.Filter{Shard: &w.shard, OffsetFrom: map[int32]int64{w.shard: st.state.Next}}
	ahead := map[int64]bool{}
	for change, err := range w.lake.ScanChanges(ctx, lake.Prune(files, filter), filter) {
		if err != nil {
			return nil, fmt.Errorf("read changes of shard %d: %w", w.shard, err)
		}
		ahead[change.Offset] = true
	}
	return ahead, nil
}

// rebuildDedupe rebuilds the fingerprints from the rows of the very snapshot that
// the shard's offset came from (rule 6).
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

// scanEvents hands over the rows of a snapshot of events, batch by batch.
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
