package lake

import "encoding/json"

// ShardStates is the state of every shard, as it stands in the summary of each
// snapshot of a table. A snapshot is the one place for the truth of a shard:
// files and offsets change in the same commit, so neither can be ahead of the
// other. See schemas/DESIGN.md "Shard state lives in the snapshot".
type ShardStates map[int32]ShardState

// ShardState is how far a table has come in one shard. Its JSON keys are read
// by every version of Weir and never change.
type ShardState struct {
	First    int64       `json:"first"`    // offset at which the shard began
	Next     int64       `json:"next"`     // next offset not yet in the table
	LogTime  int64       `json:"log_time"` // running maximum of record timestamps; epoch milliseconds
	Cut      string      `json:"cut"`      // id of the cut that last moved Next
	Counters Counters    `json:"counters"` // of table events; zero in the other tables
	Position LogPosition `json:"mark"`     // the log that Next is an offset of; see LogPosition
}

// Counters account for every offset that a shard has passed: they add up to
// Next − First, or records were lost without a trace. `weir check` compares the
// two.
type Counters struct {
	Stored     int64 `json:"stored"`          // rows of events and of client_changes
	Changes    int64 `json:"changes"`         // those of Stored that are rows of client_changes
	Duplicates int64 `json:"duplicates"`      // records whose event was stored before
	Dead       int64 `json:"dead"`            // records that could not be decoded; rows of dead_letters
	Control    int64 `json:"control"`         // ticks: records that carry no event
	Lost       int64 `json:"lost"`            // offsets that the log no longer has, accepted by an operator
	Holes      int64 `json:"holes,omitempty"` // offsets between records at which the log has none, for no reason that is known
	Erased     int64 `json:"erased"`          // rows of Stored that were erased since; not part of the sum
}

// Events returns how many of Stored are rows of table events.
func (c Counters) Events() int64 { return c.Stored - c.Changes }

// Sum returns how many offsets the counters account for.
func (c Counters) Sum() int64 { return c.Stored + c.Duplicates + c.Dead + c.Control + c.Lost + c.Holes }

// MarshalJSON writes holes as a part of control, too: so the sum closes for a version
// before, which does not know them and drops them when it commits.
func (c Counters) MarshalJSON() ([]byte, error) {
	type plain Counters
	c.Control += c.Holes
	return json.Marshal(plain(c))
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (c *Counters) UnmarshalJSON(text []byte) error {
	type plain Counters
	*c = Counters{}
	err := json.Unmarshal(text, (*plain)(c))
	c.Control -= c.Holes
	return err
}

// LogPosition identifies the log and the record before Next. An offset alone
// means nothing in another log: the process that takes over a shard compares topic,
// epoch and checksum with the log it finds, and stops the shard where they
// differ. See schemas/DESIGN.md "The log may lie".
type LogPosition struct {
	TopicID  string `json:"topic_id"`
	Epoch    int32  `json:"epoch"`          // leader epoch of the last record; −1 unknown
	Checksum uint32 `json:"checksum"`       // CRC-32C of the last record's key and value; 0 unknown
	Base     int64  `json:"base,omitempty"` // our offset − the log's; 0 unless an operator let a shard go on with another log
}
