package columns

import "math"

// Filter selects rows: those of the lake that a scan yields, and those of an
// owner's memory that a request to its tail returns. The zero Filter selects
// all. A condition on a column that a table lacks is ignored: clients have no
// time, and rollups have neither log time nor offset.
//
// The JSON tags are the wire format of the tail, which processes of two
// releases speak with each other: names stay as they are. A nil list is left
// out and selects everything, an empty one is sent and selects nothing.
type Filter struct {
	Products    []int64         `json:"products,omitzero"`     // any of them; nil is every product, empty is none
	Clients     []int64         `json:"clients,omitzero"`      // any of them; nil is every client, empty is none
	TimeFrom    int64           `json:"time_from,omitzero"`    // event time in epoch milliseconds, inclusive; 0 is open
	TimeTo      int64           `json:"time_to,omitzero"`      // exclusive; 0 is open. Of daily rollups the day must start in the range
	ArrivalFrom int64           `json:"arrival_from,omitzero"` // log time in epoch milliseconds, inclusive; 0 is open
	ArrivalTo   int64           `json:"arrival_to,omitzero"`   // exclusive; 0 is open
	Shard       *int32          `json:"shard,omitzero"`        // nil is every shard
	OffsetFrom  map[int32]int64 `json:"offset_from,omitzero"`  // by shard, inclusive; a shard that is absent is open
	OffsetTo    map[int32]int64 `json:"offset_to,omitzero"`    // by shard, exclusive; a shard that is absent is open
}

// OffsetRange returns the offsets of a shard that f selects: from is
// inclusive, to is exclusive.
func (f *Filter) OffsetRange(shard int32) (from, to int64) {
	from, to = math.MinInt64, math.MaxInt64
	if v, ok := f.OffsetFrom[shard]; ok {
		from = v
	}
	if v, ok := f.OffsetTo[shard]; ok {
		to = v
	}
	return from, to
}
