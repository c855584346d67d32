package processor

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/processor/dedupe"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/topic"
)

// maxClockLead is how far a record's timestamp may be ahead of our clock before
// log time is held back (rule 6).
const maxClockLead = 5 * time.Minute

// gatherer passes the verdict on every record of one shard, in order: stored,
// duplicate, dead or control. It belongs to the shard's worker. What it has
// come to is a function of the log from state.Next on, of the rows in the lake
// and of the clock that log time is held to.
type gatherer struct {
	startState
	shard    int32
	from     int64 // offset at which the open cut starts
	dedupe   *dedupe.Window
	buffer   *tailBuffer // the rows
	crcTable *crc32.Table

	deadLetters     []lake.DeadLetter // of the open cut
	deadLetterBytes int64
	openedAt        time.Time     // when the open cut got its first offset; zero while it has none
	startCounters   lake.Counters // at from
	event           schemas.Event // scratch
}

// sealedCut is a cut that gathers no more.
type sealedCut struct {
	id              string
	shard           int32
	from            int64
	to              lake.ShardState
	deadLettersNext int64          // dead_letters stood here when the shard was taken over
	changesNext     int64          // and client_changes here
	rows            []arrow.Record // released by who gets the cut, as are changes
	changes         []arrow.Record
	deadLetters     []lake.DeadLetter
	sealedAt        time.Time     // when it was sealed
	openedAt        time.Time     // when it got its first record
	counts          lake.Counters // of this cut alone
}

// errVerdict says that a record reads otherwise than when dead_letters and
// client_changes passed it. A verdict is given once (rule 5).
var errVerdict = errors.New("cannot read this as an earlier version did: run that version until the shard has passed this offset")

// gather passes the verdict on records and returns on how many: fewer than all
// where the cut must end first. Records may be used again after it returns.
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

// atCutLimit says that the cut must end here: a table that is committed before
// events stands at this offset, ahead of it, and they go on together.
func (g *gatherer) atCutLimit() bool { return g.state.Next == g.cutLimit() }

// cutLimit is the offset that the open cut must not pass: the nearest at which
// client_changes or dead_letters stands.
func (g *gatherer) cutLimit() int64 {
	edge := int64(math.MaxInt64)
	for _, at := range [...]int64{g.changesNext, g.deadLettersNext} {
		if g.from < at {
			edge = min(edge, at)
		}
	}
	return edge
}

// pending says that the open cut has an offset.
func (g *gatherer) pending() bool { return g.state.Next > g.from }

// consume passes the verdict on r; false when the cut must end before it.
func (g *gatherer) consume(r *kgo.Record, latest int64) (bool, error) {
	offset := r.Offset + g.state.Position.Base
	if err := g.verifyChecksum(r, offset); err != nil {
		return false, err
	}
	if offset < g.state.Next {
		return true, nil // fetched to be verified, committed long since
	}
	if edge := g.cutLimit(); offset >= edge {
		g.skipTo(edge)
		return false, nil
	}
	g.skipTo(offset)
	g.state.LogTime = max(g.state.LogTime, min(r.Timestamp.UnixMilli(), latest))
	if err := g.classify(r, offset); err != nil {
		return false, err
	}
	g.state.Next = offset + 1
	return true, nil
}

// classify counts r under exactly one verdict.
func (g *gatherer) classify(r *kgo.Record, offset int64) error {
	if g.deadLettersAhead[offset] {
		g.state.Counters.Dead++
		return nil
	}
	kind, err := topic.Decode(r.Value, &g.event)
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

// storeChange stores what was said of a client. A change has no random id and
// is never a duplicate: it is there as often as the edge has taken it.
func (g *gatherer) storeChange(c schemas.Change, at columns.Position) {
	g.state.Counters.Stored++
	g.state.Counters.Changes++
	g.buffer.changes.Append(&c, at)
}

// deadLetter makes a dead letter of r.
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

// skipTo passes over offsets without a record: lost ones below lostBelow, control
// batches above.
func (g *gatherer) skipTo(to int64) {
	if to <= g.state.Next {
		return
	}
	c, lostTo := &g.state.Counters, min(max(g.lostBelow, g.state.Next), to)
	c.Lost += lostTo - g.state.Next
	c.Control += to - lostTo
	// What the tables that are ahead hold of them is known none the less.
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
				c.Control--
			}
			for _, count := range passed.counts {
				*count++
			}
		}
	}
	g.state.Next = to
}

// verifyChecksum compares r with what the lake was committed behind (rule 9).
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

// bytes is the memory of the open cut.
func (g *gatherer) bytes() int64 { return g.buffer.bytes() + g.deadLetterBytes }

// seal ends the open cut and begins the next.
func (g *gatherer) seal(now time.Time) *sealedCut {
	c := &sealedCut{
		id: fmt.Sprintf("%d-%d-%s", g.shard, g.from, uuid.NewString()), shard: g.shard,
		from: g.from, to: g.state, deadLettersNext: g.deadLettersNext, changesNext: g.changesNext,
		deadLetters: g.deadLetters, sealedAt: now, openedAt: g.openedAt,
		counts: minus(g.state.Counters, g.startCounters),
	}
	c.rows, c.changes = g.buffer.seal()
	g.from, g.startCounters, g.openedAt = g.state.Next, g.state.Counters, time.Time{}
	g.deadLetters, g.deadLetterBytes = nil, 0
	return c
}

func minus(a, b lake.Counters) lake.Counters {
	return lake.Counters{
		Stored: a.Stored - b.Stored, Changes: a.Changes - b.Changes, Duplicates: a.Duplicates - b.Duplicates, Dead: a.Dead - b.Dead,
		Control: a.Control - b.Control, Lost: a.Lost - b.Lost,
	}
}
