package processor

import (
	"fmt"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/topic"
)

// TestDefaultCutHasEnoughRows fills the open cut of one of four shards with usual
// events of 255 bytes, to the default of Config.GatherBytes. A cut of fewer than
// 65,000 rows would make more and smaller data files.
func TestDefaultCutHasEnoughRows(t *testing.T) {
	budget := Config{}.withDefaults().GatherBytes / topic.DefaultShards / cutsInMemory
	b := new(tailBuffer)
	b.start(memory.DefaultAllocator, lake.ShardState{})
	defer b.stop()
	category, rows := "modules", 0
	for b.bytes() < budget {
		b.mu.Lock()
		for range recordsPerStep {
			e := schemas.Event{
				Product: 1001, Client: int64(10000091198 + rows%10000), Time: 1654076420772, Name: "edit", AppKey: "96441e4d73207a6517abfbbc",
				RandomID: fmt.Sprintf("33c5991a-11ef-2eb7-02b1-%012x", rows), Category: &category, SessionID: fmt.Sprintf("s%05d", rows%7),
				ClientProps: []byte(`{"C01":"x","prodVersion":"1.4.2"}`), Properties: fmt.Appendf(nil, `{"language":"Go","files":%d}`, rows),
			}
			b.rows.Append(&e, columns.Position{Shard: 1, Offset: int64(rows)})
			rows++
		}
		b.advanceTo(int64(rows), 0)
		b.mu.Unlock()
	}
	if rows < 65_000 {
		t.Errorf("a cut has %d rows at %d bytes", rows, budget)
	}
	t.Logf("%d rows of %d bytes", rows, b.bytes()/int64(rows))
}
