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
	ID     string     // unique for ever; by it a commit of unknown result is found again
	Shard  int32      // whose it is
	From   int64      // where the cut starts; the table's Next must be this
	To     ShardState // the shard's state after the cut; Advance fills in Cut and keeps First and Erased
	Files  []DataFile // may be empty
	Sealed time.Time  // when the cut was closed; one that is too old is dropped
}

// Outcome is what became of a cut.
type Outcome int

// What becomes of a cut.
const (
	Committed      Outcome = iota + 1 // the table shows it
	AlreadyApplied                    // the table was at or past its end already
	Conflict                          // the table's Next is not From, or the cut is too old: it is dropped and its shard starts anew from the lake
)

func (o Outcome) String() string {
	switch o {
	case Committed:
		return "committed"
	case AlreadyApplied:
		return "skipped"
	case Conflict:
		return "moved"
	}
	return fmt.Sprintf("outcome %d", int(o))
}

// maxFaults is how many attempts may fail without another commit being the
// reason.
const maxFaults = 3

// shardStatesProperty is the key of the vector in a snapshot's summary.
const shardStatesProperty = "weir.shards"

// Commit brings the cuts, of different shards, into t in one atomic change, by
// rules 1 to 4 of the protocol. Outcomes stand in the order of cuts. After an
// error nobody knows what became of the cuts; to commit the same cuts again is
// safe, and tells.
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

// checkCuts refuses what the protocol has no meaning for.
func checkCuts(cuts []Cut) error {
	seen := map[int32]bool{}
	for _, c := range cuts {
		if seen[c.Shard] {
			return fmt.Errorf("two cuts of shard %d", c.Shard)
		}
		seen[c.Shard] = true
		if c.ID == "" || c.To.Next < c.From {
			return fmt.Errorf("cut %q of shard %d from %d to %d makes no sense", c.ID, c.Shard, c.From, c.To.Next)
		}
		for _, f := range c.Files {
			if f.Shard != c.Shard {
				return fmt.Errorf("cut of shard %d has %s of shard %d", c.Shard, f.Path, f.Shard)
			}
		}
	}
	return nil
}

// Advance is the vector that cuts lead to from current, and what becomes of
// each cut. It is the whole decision of rules 1 and 2, without clock or I/O:
// Commit and the simulation use the same. current is not changed.
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
			outcomes[i] = Committed // an attempt whose result was not known
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

// advanced is the state of a shard after c. A cut never changes where the
// shard began, never turns log time back, and knows nothing of erasures.
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

// advanceRecent is Advance without the cuts that were sealed before oldest: the files
// of such a cut may be orphans that are being deleted (rule 4).
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

// restore gives shard its state of from again.
func restore(v, from ShardStates, shard int32) {
	if at, known := from[shard]; known {
		v[shard] = at
		return
	}
	delete(v, shard)
}

// filesToAdd are the files of the cuts that the table does not show yet.
func filesToAdd(current ShardStates, cuts []Cut, outcomes []Outcome) []DataFile {
	var files []DataFile
	for i, c := range cuts {
		if outcomes[i] == Committed && current[c.Shard].Cut != c.ID {
			files = append(files, c.Files...)
		}
	}
	return files
}

// retryCommit calls attempt until it succeeds. attempt loads the table, looks,
// and publishes on that load; it returns the metadata it built on. An error
// never says that a commit was not applied, so the next attempt looks first
// (rule 4). Attempts that fail on the same metadata are faults of the store or
// the catalog; those that fail on new metadata have met another writer.
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

// sleepJittered sleeps between half of most and most.
func sleepJittered(ctx context.Context, most time.Duration) error {
	timer := time.NewTimer(most/2 + rand.N(most/2+1)) //nolint:gosec // spreads retries, guards nothing
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// commitSnapshot commits one snapshot with vector v on top of base, and only there.
// change stages the files. It always makes a snapshot, also without files:
// properties alone would not move the snapshot, and what the next writer
// asserts would prove nothing (rule 3).
func commitSnapshot(ctx context.Context, base *Snapshot, v ShardStates, change func(*table.Transaction, iceberg.Properties) error) error {
	encoded, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode vector: %w", err)
	}
	tx, err := base.tbl.NewTransactionOnBranchWithError(table.MainBranch)
	if err != nil {
		return fmt.Errorf("begin on snapshot %d: %w", base.id, err)
	}
	if err := tx.AssertRefSnapshotID(table.MainBranch); err != nil {
		return fmt.Errorf("assert snapshot %d: %w", base.id, err)
	}
	if err := change(tx, iceberg.Properties{shardStatesProperty: string(encoded)}); err != nil {
		return fmt.Errorf("build on snapshot %d: %w", base.id, err)
	}
	if _, err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit on snapshot %d: %w", base.id, err)
	}
	return nil
}

// stageAppend stages an append, an empty one without files.
func stageAppend(ctx context.Context, tx *table.Transaction, files []DataFile, summary iceberg.Properties) error {
	if len(files) == 0 {
		return tx.AddFiles(ctx, nil, summary, true)
	}
	// The duplicate check reads every manifest, at each commit; our names are
	// unique, and a repeated cut is known by its id.
	return tx.AddDataFiles(ctx, icebergFiles(files), summary, table.WithoutDuplicateCheck(), table.WithoutAutoNameMapping())
}

func icebergFiles(files []DataFile) []iceberg.DataFile {
	out := make([]iceberg.DataFile, len(files))
	for i, f := range files {
		out[i] = f.file
	}
	return out
}
