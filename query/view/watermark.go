package view

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// MaxShards bounds the number of a shard, so that a shard and an offset fit one
// number below 2^53: events of the User Events API are numbered so.
const MaxShards = 1 << 10

// Watermark is, per shard, the next offset that an answer does not include.
type Watermark map[int32]int64

// String writes shard=offset pairs by ascending shard: 0=123,1=456.
func (w Watermark) String() string {
	var b strings.Builder
	for i, shard := range slices.Sorted(maps.Keys(w)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(int64(shard), 10))
		b.WriteByte('=')
		b.WriteString(strconv.FormatInt(w[shard], 10))
	}
	return b.String()
}

// ParseWatermark reads what String wrote. It allows spaces around an item, and
// refuses a shard that comes twice, a sign and an empty item.
func ParseWatermark(text string) (Watermark, bool) {
	w := Watermark{}
	if strings.TrimSpace(text) == "" {
		return w, true
	}
	for item := range strings.SplitSeq(text, ",") {
		left, right, ok := strings.Cut(strings.TrimSpace(item), "=")
		shard, errShard := strconv.ParseUint(left, 10, 31)
		next, errNext := strconv.ParseUint(right, 10, 63)
		if !ok || errShard != nil || errNext != nil || shard >= MaxShards {
			return nil, false
		}
		if _, twice := w[int32(shard)]; twice {
			return nil, false
		}
		w[int32(shard)] = int64(next)
	}
	return w, true
}
