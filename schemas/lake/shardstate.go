package lake

// ShardStates is what one snapshot of one table says of every shard (rule 1).
type ShardStates map[int32]ShardState

// ShardState is how far a table has come in one shard.
type ShardState struct {
	First    int64       `json:"first"`    // first offset ever
	Next     int64       `json:"next"`     // next offset not yet in the table
	LogTime  int64       `json:"log_time"` // running maximum of record timestamps; epoch milliseconds
	Cut      string      `json:"cut"`      // id of the cut that last moved Next
	Counters Counters    `json:"counters"` // of events; zero elsewhere
	Position LogPosition `json:"mark"`     // which log this is an offset of (rule 9)
}

// Counters add up to Next − First (promise 5).
type Counters struct {
	Stored     int64 `json:"stored"`  // rows of events and of client_changes
	Changes    int64 `json:"changes"` // those of Stored that are rows of client_changes
	Duplicates int64 `json:"duplicates"`
	Dead       int64 `json:"dead"`
	Control    int64 `json:"control"`
	Lost       int64 `json:"lost"`
	Erased     int64 `json:"erased"` // rows of Stored that an erasure removed
}

// Events is how many of Stored are rows of events.
func (c Counters) Events() int64 { return c.Stored - c.Changes }

// Sum is what the counters account for: Next − First when the balance closes.
func (c Counters) Sum() int64 { return c.Stored + c.Duplicates + c.Dead + c.Control + c.Lost }

// LogPosition identifies the log and the last record that Next stands behind.
type LogPosition struct {
	TopicID  string `json:"topic_id"`
	Epoch    int32  `json:"epoch"`          // leader epoch of the last record; −1 unknown
	Checksum uint32 `json:"checksum"`       // CRC-32C of the last record's key and value; 0 unknown
	Base     int64  `json:"base,omitempty"` // our offset − the log's; 0 unless an operator let a shard go on with another log
}
