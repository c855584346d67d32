package laketest

import (
	"cmp"
	"time"

	"weir/schemas"
	"weir/schemas/lake"
)

// Log is the log that the tables of a test were made from: the model that Check
// compares the lake with.
type Log struct {
	Window time.Duration      // dedupe window; 0 means 24h
	Shards map[int32][]Record // by shard, from offset 0 on
}

// Record is one record of a Log.
type Record struct {
	Content         Content
	Product, Client int64
	RandomID        string
	Stamp           int64           // Kafka's timestamp, not ahead of the owner's clock; epoch milliseconds
	Event           *schemas.Event  // what was sent; nil if the test does not say, and for other contents
	Change          *schemas.Change // the same for a change
}

// Content is the kind of a record.
type Content int

// The kinds of records.
const (
	Event   Content = iota
	Poison          // bytes that no decoder can read
	Control         // a tick, or a marker that Kafka wrote
	Change          // of a client's properties or contacts: stored in client_changes
)

// Row is an event that must be stored.
type Row struct {
	Product, Client int64
	RandomID        string
	Offset          int64
	Arrival         int64 // log time; epoch milliseconds
}

// Verdicts returns the rows, the dead offsets, the counters and the log time that the
// first n records of a shard give. Log time is the running maximum of the stamps.
// A record is a duplicate if and only if a row with the same product, client and
// random id was stored less than the window before it, in log time. It is written
// to be compared with schemas/DESIGN.md "Log time", not to be fast.
func (l Log) Verdicts(shard int32, n int64) (rows []Row, dead []int64, at lake.ShardState) {
	type identity struct {
		product, client int64
		random          string
	}
	window := cmp.Or(l.Window, 24*time.Hour).Milliseconds()
	stored := map[identity]int64{} // log time of the last stored row
	for offset, r := range l.Shards[shard][:n] {
		at.Next, at.LogTime = int64(offset)+1, max(at.LogTime, r.Stamp)
		id := identity{r.Product, r.Client, r.RandomID}
		last, known := stored[id]
		switch {
		case r.Content == Poison:
			at.Counters.Dead++
			dead = append(dead, int64(offset))
		case r.Content == Control:
			at.Counters.Control++
		case r.Content == Change:
			at.Counters.Stored++
			at.Counters.Changes++
		case known && at.LogTime-last < window:
			at.Counters.Duplicates++
		default:
			at.Counters.Stored++
			stored[id] = at.LogTime
			rows = append(rows, Row{
				Product: r.Product, Client: r.Client, RandomID: r.RandomID, Offset: int64(offset), Arrival: at.LogTime,
			})
		}
	}
	return rows, dead, at
}

// ChangeOffsets returns the offsets of the client changes among the first n records
// of a shard.
func (l Log) ChangeOffsets(shard int32, n int64) (offsets []int64) {
	for offset, r := range l.Shards[shard][:n] {
		if r.Content == Change {
			offsets = append(offsets, int64(offset))
		}
	}
	return offsets
}
