package export

import (
	"testing"

	"weir/schemas/lake"
)

// TestLogTimeReached has every shard count.
func TestLogTimeReached(t *testing.T) {
	check := func(name string, shards int, want int64, v lake.ShardStates) {
		t.Helper()
		got := int64(0)
		if until := logTimeReached(v, shards); !until.IsZero() {
			got = until.UnixMilli()
		}
		if got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	at := func(ms int64) lake.ShardState { return lake.ShardState{LogTime: ms} }
	check("the slowest counts", 2, 10, lake.ShardStates{0: at(20), 1: at(10)})
	check("the order does not", 2, 10, lake.ShardStates{0: at(10), 1: at(20)})
	check("a shard that was never committed", 3, 0, lake.ShardStates{0: at(20), 1: at(10)})
	check("a shard without a log time", 2, 0, lake.ShardStates{0: at(0), 1: at(10)})
	check("no topic yet", 0, 0, lake.ShardStates{})
}
