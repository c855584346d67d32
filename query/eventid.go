package query

import (
	"encoding/binary"
	"math"

	"github.com/google/uuid"

	"weir/query/view"
)

// maxIDTime is the last time that an id holds: 48 bits of epoch milliseconds,
// which is the year 10889.
const maxIDTime = 1<<48 - 1

// appendEventUUID appends the id of an event in the Events API: its time, shard and
// offset as a UUID of version 8 (RFC 9562, "custom"), in the places of bits from
// the left:
//
//	48 time   4 version   10 shard   1 zero   1 + 62 offset, with 2 bits of the variant in between
//
// No two stored events have one shard and offset, and none of the three ever
// changes, so ids are unique and permanent. Whoever has an id has what prunes
// the scan for its event. A time that does not fit is the nearest that does,
// which leaves the id unique.
func appendEventUUID(dst []byte, key view.EventKey) []byte {
	var id uuid.UUID
	at := uint64(min(max(key.Time, 0), maxIDTime))
	binary.BigEndian.PutUint64(id[:8], at<<16|8<<12|uint64(key.Shard)%view.MaxShards<<2|uint64(key.Offset)>>62)
	binary.BigEndian.PutUint64(id[8:], 1<<63|uint64(key.Offset)&(1<<62-1))
	return append(dst, id.String()...)
}

// parseEventUUID reads what appendEventUUID wrote, in either case, and nothing else.
func parseEventUUID(text string) (view.EventKey, bool) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(id.String()) {
		return view.EventKey{}, false
	}
	high, low := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	if high>>12&0xf != 8 || high&2 != 0 || low>>62 != 2 {
		return view.EventKey{}, false
	}
	return view.EventKey{
		Time: int64(high >> 16), Shard: int32(high >> 2 & (view.MaxShards - 1)), Offset: int64(high&1<<62 | low&(1<<62-1)),
	}, true
}

// idPeriod returns the period of event times, half-open, in which the event of an
// id lies. It is one millisecond, but for a time that did not fit into the id.
func idPeriod(key view.EventKey) (from, to int64) {
	from, to = key.Time, key.Time+1
	if key.Time == 0 {
		from = math.MinInt64
	}
	if key.Time == maxIDTime {
		to = math.MaxInt64
	}
	return from, to
}
