package processor

import (
	"testing"

	"weir/schemas/lake"
)

// TestMayProceed checks, for each table and outcome, whether the cut goes on to the
// next table or its shard is taken over again.
func TestMayProceed(t *testing.T) {
	plain := &sealedCut{from: 10, to: lake.ShardState{Next: 20}}
	known := &sealedCut{from: 10, to: lake.ShardState{Next: 20}, deadLettersNext: 20, changesNext: 20}
	check := func(c *sealedCut, table lake.Table, o lake.Outcome, want bool) {
		t.Helper()
		if got := c.mayProceed(table, o); got != want {
			t.Errorf("%s %s, dead_letters and client_changes known to be at %d: mayProceed = %v, want %v", table, o, c.deadLettersNext, got, want)
		}
	}
	for _, table := range lake.Tables() {
		check(plain, table, lake.Committed, true)
		check(plain, table, lake.Conflict, false)
		check(known, table, lake.Conflict, false)
	}
	for _, table := range lake.Rollups() {
		check(plain, table, lake.AlreadyApplied, true) // another owner has computed it from the same rows
	}
	check(plain, lake.Events, lake.AlreadyApplied, false) // the rows there follow from another owner's verdicts
	check(known, lake.Events, lake.AlreadyApplied, false)
	check(plain, lake.DeadLetters, lake.AlreadyApplied, false) // another owner has moved it since the take-over
	check(known, lake.DeadLetters, lake.AlreadyApplied, true)  // it was there at the take-over
	check(plain, lake.Changes, lake.AlreadyApplied, false)
	check(known, lake.Changes, lake.AlreadyApplied, true)
	check(&sealedCut{from: 10, to: lake.ShardState{Next: 20}, deadLettersNext: 20}, lake.Changes, lake.AlreadyApplied, false)
	check(&sealedCut{from: 10, to: lake.ShardState{Next: 20}, changesNext: 19}, lake.Changes, lake.AlreadyApplied, false)
}

// TestOnlyEventsCarryCounters checks that the counters go to one table alone.
func TestOnlyEventsCarryCounters(t *testing.T) {
	s := &submission{cut: &sealedCut{id: "c", from: 0, to: lake.ShardState{Next: 2, Counters: lake.Counters{Stored: 2}}}}
	for _, table := range lake.Tables() {
		want := int64(0)
		if table == lake.Events {
			want = 2
		}
		if got := cutsFor(table, []*submission{s})[0].To.Counters.Stored; got != want {
			t.Errorf("%s: stored = %d, want %d", table, got, want)
		}
	}
}
