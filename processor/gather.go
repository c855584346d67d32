package processor

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/processor/dedupe"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/topic"
)

// maxClockLead is how far log time may run ahead of our clock. A record with a
// later timestamp is counted at clock + maxClockLead: one wrong clock at the edge
// must not close days early or empty the dedupe window, for log time never goes
// back (schemas/DESIGN.md "Log time").
const maxClockLead = 5 * time.Minute

// gatherer classifies every record of one shard, in order: stored, duplicate, dead
// or control; what is missing between them is lost or a hole. It belongs to the shard's worker. Its result is a function of the
// log from state.Next on, of the rows in the lake, and of the clock that log time
// is limited by. So another owner that starts at the same offset comes to the
// same rows.
type gatherer struct {
	startState // state moves on with each record
	shard      int32
	from       int64 // offset at which the open cut starts
	dedupe     *dedupe.Window
	buffer     *tailBuffer // holds the rows
	crcTable   *crc32.Table

	deadLetters     []lake.DeadLetter // of the open cut
	deadLetterBytes int64
	openedAt        time.Time     // when the open cut got its first record; zero while it has none
	monthEnded      bool          // the next record is of another month of log time than the open cut
	startCounters   lake.Counters // counters at from
	decoder         topic.Decoder
	event           schemas.Event // scratch; of the last record that was decoded
}

// errVerdict is returned for a record that this version decodes differently from
// the version that committed its offset to dead_letters or client_changes.
// Whether a record is dead or a change is decided once: with two decisions one
// table would hold the record twice, or none would hold it (schemas/DESIGN.md "A
// verdict is given once").
var errVerdict = errors.New("cannot read this as an earlier version did: run that version until the shard has passed this offset")

// gather classifies records and returns how many it has taken: fewer than all
// where the open cut must end first. It keeps nothing of the records.
func (g *gatherer) gather(records []*kgo.Record, now time.Time) (int, error) {
	g.buffer.mu.Lock()
	defer g.buffer.mu.Unlock()
	latest := now.Add(maxClockLead).UnixMilli()
	n := 0
	for ; n < len(records) && !g.atCutLimit(); n++ {
		taken, err := g.consume(records[n], latest)
		if err != nil {
			return n, err
		}
		if !taken {
			break
		}
	}
	if n > 0 && records[n-1].Offset+g.state.Position.Base+1 == g.state.Next {
		g.state.Position.Epoch, g.state.Position.Checksum = records[n-1].LeaderEpoch, g.checksum(records[n-1])
	}
	g.buffer.advanceTo(g.state.Next, g.state.LogTime)
	if g.pending() && g.openedAt.IsZero() {
		g.openedAt = now
	}
	return n, nil
}

// atCutLimit reports whether the cut must end here: because a month of log time does, or
// because dead_letters or client_changes ends at this offset, ahead of events. A cut
// that reached past it would have to be committed to that table in part.
func (g *gatherer) atCutLimit() bool { return g.monthEnded || g.state.Next == g.cutLimit() }

// cutLimit returns the offset that the open cut must not pass: the nearest one at
// which client_changes or dead_letters ended when the shard was taken over.
func (g *gatherer) cutLimit() int64 {
	edge := int64(math.MaxInt64)
	for _, at := range [...]int64{g.changesNext, g.deadLettersNext} {
		if g.from < at {
			edge = min(edge, at)
		}
	}
	return edge
}

// pending reports whether the open cut has moved the offset.
func (g *gatherer) pending() bool { return g.state.Next > g.from }

// consume classifies r and moves the offset past it. It returns false when the cut
// must end before r.
func (g *gatherer) consume(r *kgo.Record, latest int64) (bool, error) {
	offset := r.Offset + g.state.Position.Base
	if err := g.verifyChecksum(r, offset); err != nil {
		return false, err
	}
	if offset < g.state.Next {
		return true, nil // fetched only to compare its checksum
	}
	if edge := g.cutLimit(); offset >= edge {
		g.skipTo(edge)
		return false, nil
	}
	// A data file is of one month of log time: see lake.EvolveLayout.
	logTime := max(g.state.LogTime, min(r.Timestamp.UnixMilli(), latest))
	if g.monthEnded = g.pending() && lake.MonthOf(logTime) != lake.MonthOf(g.state.LogTime); g.monthEnded {
		return false, nil
	}
	g.skipTo(offset)
	g.state.LogTime = logTime
	if err := g.classify(r, offset); err != nil {
		return false, err
	}
	g.state.Next = offset + 1
	return true, nil
}

// classify counts r under exactly one verdict and keeps what that verdict stores.
func (g *gatherer) classify(r *kgo.Record, offset int64) error {
	if g.deadLettersAhead[offset] {
		g.state.Counters.Dead++
		return nil
	}
	kind, err := g.decoder.Decode(r.Value, &g.event)
	if err != nil {
		return g.deadLetter(r, offset, err)
	}
	isChange := kind == topic.Property || kind == topic.Contact
	if offset < g.changesNext && isChange != g.changesAhead[offset] {
		return fmt.Errorf("offset %d of shard %d, which client_changes has passed: %w", offset, g.shard, errVerdict)
	}
	at := columns.Position{Shard: g.shard, Offset: offset, Arrival: g.state.LogTime}
	switch {
	case kind == topic.Tick:
		g.state.Counters.Control++
		return nil
	case isChange:
		g.storeChange(kind.Change(&g.event), at)
		return nil
	}
	e := &g.event
	duplicate, err := g.dedupe.Duplicate(e.Product, e.Client, e.RandomID, g.state.LogTime)
	if err != nil {
		return fmt.Errorf("look up offset %d of shard %d: %w", offset, g.shard, err)
	}
	if duplicate {
		g.state.Counters.Duplicates++
		return nil
	}
	g.state.Counters.Stored++
	g.buffer.rows.Append(e, at)
	return nil
}

// storeChange stores a change of a client's attributes or contacts. A change has no
// random id and is never a duplicate: each one that was accepted is stored.
func (g *gatherer) storeChange(c schemas.Change, at columns.Position) {
	g.state.Counters.Stored++
	g.state.Counters.Changes++
	g.buffer.changes.Append(&c, at)
}

// deadLetter keeps r, which cannot be decoded, with the reason. Below
// deadLettersNext it fails: dead_letters is committed up to there without r.
func (g *gatherer) deadLetter(r *kgo.Record, offset int64, reason error) error {
	if offset < g.deadLettersNext {
		return fmt.Errorf("offset %d of shard %d, %w: %w", offset, g.shard, reason, errVerdict)
	}
	g.deadLetters = append(g.deadLetters, lake.DeadLetter{
		Shard: g.shard, Offset: offset, Arrival: g.state.LogTime, Reason: reason.Error(),
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value),
	})
	g.deadLetterBytes += int64(len(r.Key) + len(r.Value) + 200)
	g.state.Counters.Dead++
	return nil
}

// skipTo moves to an offset over offsets that have no record. Below lostBelow they
// were lost, as an operator accepted; above they are holes. Weir's producers leave none
// and are not transactional, so a hole is a record that somebody deleted, and counts
// by itself: taken for control records, as ticks are, nobody would ever see it.
func (g *gatherer) skipTo(to int64) {
	if to <= g.state.Next {
		return
	}
	c, lostTo := &g.state.Counters, min(max(g.lostBelow, g.state.Next), to)
	c.Lost += lostTo - g.state.Next
	c.Holes += to - lostTo
	// Where dead_letters or client_changes already holds such an offset, its verdict
	// is known although its record is gone.
	for _, passed := range []struct {
		offsets map[int64]bool
		counts  []*int64
	}{{g.deadLettersAhead, []*int64{&c.Dead}}, {g.changesAhead, []*int64{&c.Stored, &c.Changes}}} {
		for offset := range passed.offsets {
			switch {
			case offset < g.state.Next, offset >= to:
				continue
			case offset < lostTo:
				c.Lost--
			default:
				c.Holes--
			}
			for _, count := range passed.counts {
				*count++
			}
		}
	}
	g.state.Next = to
}

// verifyChecksum returns an error if r is not the record after which a table was
// committed. The same offset with other bytes means that the log was restored or
// replaced, and that its offsets no longer mean what they mean in the lake.
func (g *gatherer) verifyChecksum(r *kgo.Record, offset int64) error {
	for _, m := range g.recordChecks {
		if m.next == offset+1 && m.checksum != 0 && m.checksum != g.checksum(r) {
			return &logError{shard: g.shard, next: m.next, what: fmt.Sprintf("the record at its offset %d is not the one that was taken in", r.Offset)}
		}
	}
	return nil
}

func (g *gatherer) checksum(r *kgo.Record) uint32 {
	return crc32.Update(crc32.Checksum(r.Key, g.crcTable), g.crcTable, r.Value)
}

// bytes returns the memory of the open cut.
func (g *gatherer) bytes() int64 { return g.buffer.bytes() + g.deadLetterBytes }
