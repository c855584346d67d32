package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/apache/iceberg-go"
	"github.com/apache/iceberg-go/table"
)

// Cut is what one shard has gathered, to be committed to one table.
type Cut struct {
	ID     string     // globally unique; a commit whose result is unknown is recognised by it
	Shard  int32      // the one shard that all rows are of
	From   int64      // first offset of the cut; the table's Next must equal it
	To     ShardState // the shard's state after the cut; Advance sets Cut and keeps First and Erased of the table
	Files  []DataFile // may be empty
	Sealed time.Time  // when the cut was closed; one older than Config.MaxCutAge is dropped
}

// Outcome is what became of a cut in one table.
type Outcome int

// Outcomes of a cut.
const (
	Committed      Outcome = iota + 1 // the table shows the cut
	AlreadyApplied                    // the table was at or past the end of the cut, by another commit
	Conflict                          // the table's Next is not From, or the cut is too old: drop it and start the shard again from the lake
)

// String returns the word for o in errors and in the label of a metric.
func (o Outcome) String() string {
	switch o {
	case Committed:
		return "committed"
	case AlreadyApplied:
		return "already_applied"
	case Conflict:
		return "conflict"
	}
	return fmt.Sprintf("outcome %d", int(o))
}

// maxFaults is how many attempts may fail on one and the same metadata, where
// no other commit can be the reason.
const maxFaults = 3

// shardStatesProperty is the key of the shard states in a snapshot's summary.
const shardStatesProperty = "weir.shards"

// Commit adds the files of cuts, which are of different shards, to t and
// advances their offsets, in one atomic change. Outcomes stand in the order of
// cuts; a conflict of one shard does not hold up the others. See
// schemas/DESIGN.md "A commit".
//
// Files must have been put before. A cut without files still makes a snapshot.
// After an error the result is unknown, and nothing of the cuts may be deleted
// or counted; to commit the same cuts again is safe and returns what became of
// them.
func (l *Lake) Commit(ctx context.Context, t Table, cuts []Cut) ([]Outcome, error) {
	if err := checkCuts(cuts); err != nil {
		return nil, fmt.Errorf("commit to %s: %w", t, err)
	}
	st := l.tables[t]
	st.commitMu.Lock()
	defer st.commitMu.Unlock()

	var outcomes []Outcome
	err := l.retryCommit(ctx, func() (string, error) {
		base, err := l.Load(ctx, t)
		if err != nil {
			return "", err
		}
		var next ShardStates
		// Offsets are checked on the very load that the commit is built on and
		// asserts; checked on another load, they would prove nothing.
		next, outcomes = advanceRecent(base.shards, cuts, time.Now().Add(-l.cfg.MaxCutAge))
		if maps.Equal(next, base.shards) {
			return base.metadataLocation, nil
		}
		files := filesToAdd(base.shards, cuts, outcomes)
		return base.metadataLocation, commitSnapshot(ctx, base, next, func(tx *table.Transaction, summary iceberg.Properties) error {
			return stageAppend(ctx, tx, files, summary)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("commit to %s: %w", t, err)
	}
	return outcomes, nil
}

// checkCuts refuses cuts that contradict themselves.
func checkCuts(cuts []Cut) error {
	seen := map[int32]bool{}
	for _, c := range cuts {
		if seen[c.Shard] {
			return fmt.Errorf("two cuts of shard %d", c.Shard)
		}
		seen[c.Shard] = true
		if c.ID == "" || c.To.Next < c.From {
			return fmt.Errorf("cut %q of shard %d from %d to %d has no id or ends before its start", c.ID, c.Shard, c.From, c.To.Next)
		}
		for _, f := range c.Files {
			if f.Shard != c.Shard {
				return fmt.Errorf("cut of shard %d has %s of shard %d", c.Shard, f.Path, f.Shard)
			}
			if f.written == nil {
				return fmt.Errorf("cut of shard %d has %s, which is not new", c.Shard, f.Path)
			}
		}
	}
	return nil
}

// Advance returns the shard states that cuts lead to from current, and what
// becomes of each cut. It is the whole decision of a commit, without clock or
// I/O, so that Commit and the simulation share it. current is not changed.
//
// The offset decides: a cut applies only where the table's Next equals its
// From. So a process that lost its shard (a zombie) cannot commit what the new
// owner has read already, and a cut never lowers an offset.
func Advance(current ShardStates, cuts []Cut) (ShardStates, []Outcome) {
	next := maps.Clone(current)
	if next == nil {
		next = ShardStates{}
	}
	outcomes := make([]Outcome, len(cuts))
	for i, c := range cuts {
		at, known := next[c.Shard]
		switch {
		case known && at.Cut == c.ID:
			outcomes[i] = Committed // by an earlier attempt whose result was unknown
		case known && at.Next >= c.To.Next:
			outcomes[i] = AlreadyApplied
		case known && at.Next != c.From, !known && c.To.First != c.From:
			outcomes[i] = Conflict
		default:
			outcomes[i] = Committed
			next[c.Shard] = advanced(at, known, c)
		}
	}
	return next, outcomes
}

// advanced returns the state of a shard after c. The table knows three things
// better than the cut, and keeps them: where the shard began, a log time that
// is later, and how many rows were erased in the meantime.
func advanced(at ShardState, known bool, c Cut) ShardState {
	to := c.To
	to.Cut = c.ID
	if known {
		to.First = at.First
		to.LogTime = max(to.LogTime, at.LogTime)
		to.Counters.Erased = at.Counters.Erased
	}
	return to
}

// advanceRecent is Advance, but drops cuts that were sealed before oldest:
// nothing shows that their data files are in use, so DeleteOrphans may be
// deleting them. A cut that the table shows already stays committed, however
// old it is.
func advanceRecent(current ShardStates, cuts []Cut, oldest time.Time) (ShardStates, []Outcome) {
	next, outcomes := Advance(current, cuts)
	for i, c := range cuts {
		if next[c.Shard] != current[c.Shard] && c.Sealed.Before(oldest) {
			outcomes[i] = Conflict
			restore(next, current, c.Shard)
		}
	}
	return next, outcomes
}

// restore gives shard the state it has in from.
func restore(v, from ShardStates, shard int32) {
	if at, known := from[shard]; known {
		v[shard] = at
		return
	}
	delete(v, shard)
}

// filesToAdd returns the files of the cuts that the table does not show yet.
func filesToAdd(current ShardStates, cuts []Cut, outcomes []Outcome) []DataFile {
	var files []DataFile
	for i, c := range cuts {
		if outcomes[i] == Committed && current[c.Shard].Cut != c.ID {
			files = append(files, c.Files...)
		}
	}
	return files
}

// retryCommit calls attempt until it succeeds. attempt loads the table,
// decides, and commits on that load; it returns the location of the metadata it
// built on. No error proves that a commit was not applied, so each attempt
// decides again from a new load, in which an applied one shows. Attempts that
// fail on the same metadata are faults of the store or the catalog, and few are
// made; those that fail on new metadata have met another writer. See
// schemas/DESIGN.md "After an error".
func (l *Lake) retryCommit(ctx context.Context, attempt func() (base string, err error)) error {
	var last string
	for tries, faults := 0, 0; ; tries++ {
		base, err := attempt()
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrInputsGone) {
			return err
		}
		if base == last {
			faults++
		}
		last = base
		if tries+1 >= l.cfg.Attempts || faults >= maxFaults {
			return err
		}
		if err := sleepJittered(ctx, l.cfg.Backoff<<min(tries, 6)); err != nil {
			return err
		}
	}
}

// sleepJittered sleeps between half of longest and longest, so that rivals do
// not meet again.
func sleepJittered(ctx context.Context, longest time.Duration) error {
	timer := time.NewTimer(longest/2 + rand.N(longest/2+1)) //nolint:gosec // spreads retries, guards nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// commitSnapshot commits one snapshot with the given shard states on top of
// base, and only there; change stages the files.
//
// It makes a snapshot even without files. Shard states alone would be a change
// of properties, which does not move the snapshot: the assertion of the next
// writer would hold although offsets have moved, and a zombie's cut would be
// accepted. See schemas/DESIGN.md "Every offset move makes a snapshot".
func commitSnapshot(ctx context.Context, base *Snapshot, states ShardStates, change func(*table.Transaction, iceberg.Properties) error) error {
	encoded, err := json.Marshal(states)
	if err != nil {
		return fmt.Errorf("encode shard states: %w", err)
	}
	tx, err := base.tbl.NewTransactionOnBranchWithError(table.MainBranch)
	if err != nil {
		return fmt.Errorf("begin on snapshot %d: %w", base.id, err)
	}
	// The catalog refuses the commit if the table is at another snapshot than
	// base: then the offsets were checked in vain, and retryCommit checks anew.
	if err := tx.AssertRefSnapshotID(table.MainBranch); err != nil {
		return fmt.Errorf("assert snapshot %d: %w", base.id, err)
	}
	if err := change(tx, iceberg.Properties{shardStatesProperty: string(encoded)}); err != nil {
		return fmt.Errorf("build on snapshot %d: %w", base.id, err)
	}
	// The point of no return. After an error the commit may have been applied.
	if _, err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit on snapshot %d: %w", base.id, err)
	}
	return nil
}

// stageAppend stages an append of files, an empty one if there are none.
func stageAppend(ctx context.Context, tx *table.Transaction, files []DataFile, summary iceberg.Properties) error {
	if len(files) == 0 {
		return tx.AddFiles(ctx, nil, summary, true)
	}
	// The library's duplicate check reads every manifest at each commit. It is
	// not needed: names are unique, and a repeated cut is recognised by its id.
	return tx.AddDataFiles(ctx, icebergFiles(files), summary, table.WithoutDuplicateCheck(), table.WithoutAutoNameMapping())
}

// icebergFiles returns files that this process has written as iceberg-go
// describes them.
func icebergFiles(files []DataFile) []iceberg.DataFile {
	out := make([]iceberg.DataFile, len(files))
	for i, f := range files {
		out[i] = f.written.entry
	}
	return out
}
