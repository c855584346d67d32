package query

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/schemas"
)

// Headers of what an answer includes. See the package comment.
const (
	headerWatermark = "Weir-Watermark" // of answers, and of questions that want at least or exactly that
	headerAsOf      = "Weir-As-Of"
	headerPartial   = "Weir-Partial"
)

// maxShards bounds the number of a shard. With it and maxOffset a shard and an
// offset fit one number below 2^53: see eventID.
const maxShards = 1 << 10

// watermark is, per shard, the next offset that an answer does not include.
type watermark map[int32]int64

func (w watermark) String() string {
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

// watermarkOf reads the watermark that r sends back; nil if it sends none.
func watermarkOf(r *http.Request) (watermark, error) {
	given := r.Header.Values(headerWatermark)
	if len(given) == 0 {
		return nil, nil //nolint:nilnil // no watermark is what most questions have
	}
	w, ok := parseWatermark(strings.Join(given, ","))
	if !ok {
		return nil, &schemas.RequestError{
			Status: http.StatusBadRequest, Code: "bad_watermark",
			Detail: headerWatermark + " must be a list of shard=offset, like 0=123,1=456",
		}
	}
	return w, nil
}

// parseWatermark reads what String wrote. Spaces around an item are allowed; a
// shard twice, a sign, an empty item are not.
func parseWatermark(text string) (watermark, bool) {
	w := watermark{}
	if strings.TrimSpace(text) == "" {
		return w, true
	}
	for item := range strings.SplitSeq(text, ",") {
		left, right, ok := strings.Cut(strings.TrimSpace(item), "=")
		shard, errShard := strconv.ParseUint(left, 10, 31)
		next, errNext := strconv.ParseUint(right, 10, 63)
		if !ok || errShard != nil || errNext != nil || shard >= maxShards {
			return nil, false
		}
		if _, twice := w[int32(shard)]; twice {
			return nil, false
		}
		w[int32(shard)] = int64(next)
	}
	return w, true
}

// headers says what the answer includes.
func (v *view) headers(h http.Header) {
	h.Set(headerWatermark, v.watermark.String())
	if !v.asOf.IsZero() {
		h.Set(headerAsOf, v.asOf.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	if v.complete {
		return
	}
	shards := make([]string, len(v.partial))
	for i, shard := range v.partial {
		shards[i] = strconv.FormatInt(int64(shard), 10)
	}
	h.Set(headerPartial, strings.Join(shards, ","))
}

func msTime(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
