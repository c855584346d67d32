package laketest_test

import (
	"testing"

	"weir/schemas/lake"
)

// plantedMistakes returns protocols that are each broken in one way, by name.
func plantedMistakes() map[string]protocol {
	broken := func(change func(r *protocol)) protocol {
		r := correct()
		change(&r)
		return r
	}
	return map[string]protocol{
		"fingerprints not rebuilt on take-over":              broken(func(r *protocol) { r.noFingerprints = true }),
		"retry without reading offsets again":                broken(func(r *protocol) { r.blindRetry = true }),
		"only the snapshot id compared":                      broken(func(r *protocol) { r.advance = compareSnapshotOnly }),
		"checked on one load and committed on another":       broken(func(r *protocol) { r.otherLoad = true }),
		"resume from the group's offset":                     broken(func(r *protocol) { r.groupOffset = true }),
		"compaction retried without looking at its inputs":   broken(func(r *protocol) { r.sameInputs = true }),
		"tail asked table by table":                          broken(func(r *protocol) { r.tableByTable = true }),
		"tail asked from one offset for all":                 broken(func(r *protocol) { r.oneOffset = true }),
		"files deleted after an unknown result":              broken(func(r *protocol) { r.deleteFiles = true }),
		"window on the processor's clock":                    broken(func(r *protocol) { r.processClock = true }),
		"a counter in memory":                                broken(func(r *protocol) { r.memoryCounters = true }),
		"a cut that lowers an offset":                        broken(func(r *protocol) { r.advance = lowerOffsets }),
		"changes committed after events":                     broken(func(r *protocol) { r.changesLast, r.tables = true, changesLast }),
		"changes that the table holds written again":         broken(func(r *protocol) { r.changesAgain = true }),
		"changes loaded before events":                       broken(func(r *protocol) { r.changesFirst = true }),
		"changes past the watermark in an answer":            broken(func(r *protocol) { r.changesUnbounded = true }),
		"a rollup committed before events across an upgrade": broken(func(r *protocol) { r.rollupsFirst, r.tables = true, rollupsFirst }),
	}
}

// compareSnapshotOnly relies on the catalog's comparison of snapshots alone and
// never compares offsets.
func compareSnapshotOnly(current lake.ShardStates, cuts []lake.Cut) (lake.ShardStates, []lake.Outcome) {
	next, outcomes := copyShardStates(current), make([]lake.Outcome, len(cuts))
	for i, c := range cuts {
		at := c.To
		at.Cut = c.ID
		next[c.Shard], outcomes[i] = at, lake.Committed
	}
	return next, outcomes
}

// lowerOffsets commits a cut although the table is already past its end.
func lowerOffsets(current lake.ShardStates, cuts []lake.Cut) (lake.ShardStates, []lake.Outcome) {
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

// rollupsFirst commits the rollups of a cut before its events.
func rollupsFirst() []lake.Table {
	return []lake.Table{lake.DeadLetters, lake.Changes, lake.ClientDays, lake.Clients, lake.Events}
}

// changesLast commits changes after events.
func changesLast() []lake.Table {
	return []lake.Table{lake.DeadLetters, lake.Events, lake.ClientDays, lake.Clients, lake.Changes}
}

// TestPlantedMistakesAreFound requires the simulation to find each planted mistake.
func TestPlantedMistakesAreFound(t *testing.T) {
	for name, broken := range plantedMistakes() {
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
