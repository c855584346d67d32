package processor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/schemas/lake"
)

// startState is where a shard resumes after it was taken over, as the snapshots of
// the tables and the log had it.
type startState struct {
	state            lake.ShardState // of events
	deadLettersAhead map[int64]bool  // offsets from state.Next on that dead_letters holds already; each stays dead
	deadLettersNext  int64           // next offset of dead_letters if it is ahead of events, else 0
	changesAhead     map[int64]bool  // offsets from state.Next on that client_changes holds already; not written again
	changesNext      int64           // next offset of client_changes if it is ahead of events, else 0
	lostBelow        int64           // below it, offsets without a record count as lost, as an operator accepted
	fetchFrom        int64           // offset of the log; one before state.Next while that record is still there to be compared
	recordChecks     []recordCheck   // records that the log must still have
	log              logRange        // what Kafka had
	logReadAt        time.Time       // when Kafka was asked for log
}

// recordCheck identifies the record before an offset by its checksum.
type recordCheck struct {
	next     int64
	checksum uint32 // 0 means not known
}

// logRange is what Kafka has of one shard.
type logRange struct {
	topicID    string
	start, end int64 // offsets of the log
}

// logError reports that the log is not the one that the lake was filled from, or
// has lost records that the lake lacks. The shard stops: to resume at whatever
// offset is there would lose or repeat records without a trace, and only an
// operator can tell whether the log can be restored (schemas/DESIGN.md "The log may
// lie").
type logError struct {
	shard int32
	next  int64 // next offset of events
	what  string
}

func (e *logError) Error() string {
	return fmt.Sprintf("log of shard %d does not fit the lake: %s; the shard is stopped. "+
		"Restore the log, or give up what is missing with processor.accept_loss: \"%d@%d:OFFSET\", "+
		"OFFSET being the offset of the log at which the shard shall go on", e.shard, e.what, e.shard, e.next)
}

// acceptedLoss is an operator's decision on one shard: if the next offset of events
// is next, the shard resumes at offset log of the log, whatever log that is. next
// makes the decision apply once, however often the process is started with it.
type acceptedLoss struct{ next, log int64 }

// parseAcceptLoss parses Config.AcceptLoss.
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

// resolveStart decides where the shard resumes: at the next offset of events, if the
// log is still the one that the lake was filled from, or as an operator decided.
func (w *worker) resolveStart(events, changes, deadLetters lake.ShardStates, log logRange) (startState, error) {
	state, known := events[w.shard]
	dead, knownAhead := deadLetters[w.shard]
	if !known && knownAhead { // an owner crashed after the first commit of all, which is to dead_letters
		state = lake.ShardState{First: dead.First, Next: dead.First, Position: lake.LogPosition{TopicID: dead.Position.TopicID, Base: dead.Position.Base}}
	}
	if !known && !knownAhead {
		return w.startNewShard(log)
	}
	st := startState{state: state, recordChecks: []recordCheck{{next: state.Next, checksum: state.Position.Checksum}}}
	reach := state // of the table that is furthest ahead
	for _, table := range []struct {
		at lake.ShardState
		to *int64
	}{{changes[w.shard], &st.changesNext}, {dead, &st.deadLettersNext}} { // dead_letters last: it is committed first, so it is furthest
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

// startNewShard starts a shard that no table has, at the start of its log. A log
// that has already deleted records under an empty lake is most likely a wrong
// setting, so it needs an operator's word.
func (w *worker) startNewShard(log logRange) (startState, error) {
	if log.start != 0 && !w.cfg.Adopt {
		return startState{}, fmt.Errorf("shard %d is not in the lake, but its log starts at offset %d: "+
			"either this is the wrong lake, or set processor.adopt to begin there", w.shard, log.start)
	}
	return startState{fetchFrom: log.start, state: lake.ShardState{First: log.start, Next: log.start}}, nil
}

// verifyRange returns a logError unless the log has the offsets that the lake needs:
// from the next offset of events, to where the table that is furthest ahead ends.
func (w *worker) verifyRange(state, reach lake.ShardState, log logRange) error {
	var what string
	switch next := state.Next - state.Position.Base; {
	case state.Position.TopicID != "" && state.Position.TopicID != log.topicID:
		what = fmt.Sprintf("topic id is %s, the lake was filled from %s", log.topicID, state.Position.TopicID)
	case log.start > next:
		what = fmt.Sprintf("it starts at offset %d, the next to read is %d", log.start, next)
	case log.end < reach.Next-reach.Position.Base:
		what = fmt.Sprintf("it ends at offset %d, the lake has all before %d", log.end, reach.Next-reach.Position.Base)
	default:
		return nil
	}
	return &logError{shard: w.shard, next: state.Next, what: fmt.Sprintf("%s (the log has %d to %d)", what, log.start, log.end)}
}

// applyLoss resumes at offset a.log of the log. If that is further on in the same
// log, the offsets between are lost. In any other case the lake's offsets continue
// from the table that is furthest ahead, since an offset of the lake never goes
// back, and a new base translates offsets of the log to them.
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
