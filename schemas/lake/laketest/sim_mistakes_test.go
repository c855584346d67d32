package laketest_test

import (
	"testing"

	"weir/schemas/lake"
)

// mistakes are the rules of the protocol, each broken in one way.
func mistakes() map[string]rules {
	broken := func(change func(r *rules)) rules {
		r := right()
		change(&r)
		return r
	}
	return map[string]rules{
		"fingerprints not rebuilt on take-over":              broken(func(r *rules) { r.noFingerprints = true }),
		"retry without reading offsets again":                broken(func(r *rules) { r.blindRetry = true }),
		"only the snapshot id compared":                      broken(func(r *rules) { r.advance = onlyTheSnapshot }),
		"checked on one load and committed on another":       broken(func(r *rules) { r.otherLoad = true }),
		"resume from the group's offset":                     broken(func(r *rules) { r.groupOffset = true }),
		"compaction retried without looking at its inputs":   broken(func(r *rules) { r.sameInputs = true }),
		"tail asked table by table":                          broken(func(r *rules) { r.tableByTable = true }),
		"tail asked from one offset for all":                 broken(func(r *rules) { r.oneOffset = true }),
		"files deleted after an unknown result":              broken(func(r *rules) { r.deleteFiles = true }),
		"window on the processor's clock":                    broken(func(r *rules) { r.processClock = true }),
		"a counter in memory":                                broken(func(r *rules) { r.memoryCounters = true }),
		"a cut that lowers an offset":                        broken(func(r *rules) { r.advance = lowering }),
		"changes committed after events":                     broken(func(r *rules) { r.changesLast, r.tables = true, changesLast }),
		"changes that the table holds written again":         broken(func(r *rules) { r.changesAgain = true }),
		"changes loaded before events":                       broken(func(r *rules) { r.changesFirst = true }),
		"changes past the watermark in an answer":            broken(func(r *rules) { r.changesUnbounded = true }),
		"a rollup committed before events across an upgrade": broken(func(r *rules) { r.rollupsFirst, r.tables = true, rollupsFirst }),
	}
}

// onlyTheSnapshot trusts the catalog's comparison: whoever meets the newest
// snapshot may commit.
func onlyTheSnapshot(current lake.ShardStates, cuts []lake.Cut) (lake.ShardStates, []lake.Outcome) {
	next, outcomes := copyVector(current), make([]lake.Outcome, len(cuts))
	for i, c := range cuts {
		at := c.To
		at.Cut = c.ID
		next[c.Shard], outcomes[i] = at, lake.Committed
	}
	return next, outcomes
}

// lowering drops a cut that starts elsewhere, but for one that the table is
// past: that one is committed.
func lowering(current lake.ShardStates, cuts []lake.Cut) (lake.ShardStates, []lake.Outcome) {
	next, outcomes := lake.Advance(current, cuts)
	for i, c := range cuts {
		if outcomes[i] == lake.AlreadyApplied {
			at := c.To
			at.Cut = c.ID
			next[c.Shard], outcomes[i] = at, lake.Committed
		}
	}
	return next, outcomes
}

// rollupsFirst commits the rollups of what a cut holds before its events.
func rollupsFirst() []lake.Table {
	return []lake.Table{lake.DeadLetters, lake.Changes, lake.ClientDays, lake.Clients, lake.Events}
}

// changesLast commits changes as if they followed from events.
func changesLast() []lake.Table {
	return []lake.Table{lake.DeadLetters, lake.Events, lake.ClientDays, lake.Clients, lake.Changes}
}

// TestMistakes plants each mistake and wants the simulation to find it.
func TestMistakes(t *testing.T) {
	for name, broken := range mistakes() {
		t.Run(name, func(t *testing.T) {
			const most = 1000
			for seed := range uint64(most) {
				if err := run(seed, broken, 500); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("not found in %d runs", most)
		})
	}
}
