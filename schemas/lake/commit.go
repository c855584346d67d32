package lake

import (
	"context"
	"errors"
	"time"
)

// Cut is what one shard has gathered, to be committed to one table.
type Cut struct {
	ID     string     // unique for ever; by it a commit of unknown result is found again
	Shard  int32      //
	From   int64      // where the cut starts; the table's Next must be this
	To     ShardState // the shard's state after the cut; Cut, and Erased, are filled in by Advance
	Files  []DataFile // may be empty
	Sealed time.Time  // when the cut was closed; too old ones are dropped
}

// Outcome is what became of a cut.
type Outcome int

// What becomes of a cut.
const (
	Committed Outcome = iota + 1 // the table shows it
	Skipped                      // the table was at or past its end already
	Moved                        // the table's Next is not From, or the cut is too old: dropped, the shard starts anew from the lake
)

// Commit brings the cuts into t in one atomic change, by rules 1 to 4.
// Outcomes stand in the order of cuts. After an error the result of none of
// them is known: committing the same cuts again is safe and tells.
func (l *Lake) Commit(ctx context.Context, t Table, cuts []Cut) ([]Outcome, error) {
	return nil, errors.New("commit: not built yet")
}

// Advance is the vector that cuts lead to from current, and what becomes of
// each cut. It is the whole of the decision (rules 1 and 2): pure, and used by
// Commit and by the simulation alike. current is not changed.
func Advance(current Vector, cuts []Cut) (Vector, []Outcome) {
	return current, make([]Outcome, len(cuts))
}
