package query

import (
	"net/http"
	"strconv"
	"strings"

	"weir/query/view"
	"weir/schemas"
)

// Headers that say what an answer includes. See the package comment.
const (
	headerWatermark = "Weir-Watermark" // of answers, and of requests that want at least or exactly that
	headerAsOf      = "Weir-As-Of"
	headerPartial   = "Weir-Partial"
)

// requestedWatermark reads the watermark that r sends back; nil if it sends
// none.
func requestedWatermark(r *http.Request) (view.Watermark, error) {
	values := r.Header.Values(headerWatermark)
	if len(values) == 0 {
		return nil, nil //nolint:nilnil // most requests have no watermark
	}
	w, ok := view.ParseWatermark(strings.Join(values, ","))
	if !ok {
		return nil, &schemas.RequestError{
			Status: http.StatusBadRequest, Code: "bad_watermark",
			Detail: headerWatermark + " must be a list of shard=offset, like 0=123,1=456",
		}
	}
	return w, nil
}

// setCoverage writes the headers that say what an answer includes.
func setCoverage(h http.Header, c view.Coverage) {
	h.Set(headerWatermark, c.Watermark)
	if !c.AsOf.IsZero() {
		h.Set(headerAsOf, c.AsOf.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	if len(c.Partial) == 0 {
		return
	}
	shards := make([]string, len(c.Partial))
	for i, shard := range c.Partial {
		shards[i] = strconv.FormatInt(int64(shard), 10)
	}
	h.Set(headerPartial, strings.Join(shards, ","))
}
