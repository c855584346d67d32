package processor

import (
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/uuid"

	"weir/schemas/lake"
)

// sealedCut is a cut that is complete and to be committed.
type sealedCut struct {
	id              string
	shard           int32
	from            int64
	to              lake.ShardState
	deadLettersNext int64          // from startState: where dead_letters was when the shard was taken over
	changesNext     int64          // the same of client_changes
	rows            []arrow.Record // released by startCut, as are changes
	changes         []arrow.Record
	deadLetters     []lake.DeadLetter
	sealedAt        time.Time     // its age counts from here
	openedAt        time.Time     // when it got its first record
	counts          lake.Counters // of this cut alone

	propertiesLeftOut int64 // client properties that stay in its events alone; known once its files are written
}

// seal closes the open cut and opens the next. The id is unique for each attempt:
// it is how a commit with an unknown result is recognised in a snapshot.
func (g *gatherer) seal(now time.Time) *sealedCut {
	c := &sealedCut{
		id: fmt.Sprintf("%d-%d-%s", g.shard, g.from, uuid.NewString()), shard: g.shard,
		from: g.from, to: g.state, deadLettersNext: g.deadLettersNext, changesNext: g.changesNext,
		deadLetters: g.deadLetters, sealedAt: now, openedAt: g.openedAt,
		counts: minus(g.state.Counters, g.startCounters),
	}
	c.rows, c.changes = g.buffer.seal()
	g.from, g.startCounters, g.openedAt = g.state.Next, g.state.Counters, time.Time{}
	g.deadLetters, g.deadLetterBytes, g.monthEnded = nil, 0, false
	return c
}

func minus(a, b lake.Counters) lake.Counters {
	return lake.Counters{
		Stored: a.Stored - b.Stored, Changes: a.Changes - b.Changes, Duplicates: a.Duplicates - b.Duplicates, Dead: a.Dead - b.Dead,
		Control: a.Control - b.Control, Lost: a.Lost - b.Lost, Holes: a.Holes - b.Holes,
	}
}
