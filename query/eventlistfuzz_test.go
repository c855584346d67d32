package query

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"weir/query/view"
	"weir/schemas"
)

// bad says that err is one that a client may read, of a status that blames it.
func bad(err error) bool {
	re, ok := errors.AsType[*schemas.RequestError](err)
	return ok && re.Status == http.StatusBadRequest && re.Detail != ""
}

// FuzzDecodeEventsQuestion reads anything as a question of the Events API: it is
// refused with a 400, or it is within every limit.
func FuzzDecodeEventsQuestion(f *testing.F) {
	for _, body := range []string{
		`{"startDate":"2024-01-01","endDate":"2024-05-01T00:00","filters":{"name":["khub.search"],"user":{"id":"x","realm":["a"]}},` +
			`"paging":{"page":1,"perPage":1},"sortOrder":"latestFirst"}`,
		`{"startDate":"2024-01-01T00:00:00","filters":{"user":{"id":["x"],"group":[],"role":null}},"sortOrder":"OldestFirst"}`,
		`{"startDate":"2024-01-01","x":"` + "\xff" + `"}`, `{"startDate":"2024-01-01","startDate":"2024-01-01"}`,
		`{"startDate":"2024-01-01","paging":{"page":9223372036854775807,"perPage":1000}}`,
		`{"startDate":"0000-01-01","endDate":"9999-12-31T23:59:59"}`,
		`{"startDate":"2024-01-01","filters":{"id":["018f2f82-4a9b-8004-8000-00000000007b"],"randomId":"x"}}`,
		`{"startDate":"0000-01-01","filters":{"id":"00000000-0000-8000-8000-000000000000"}}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		q, err := decodeEventsQuestion(strings.NewReader(body), 0)
		if err != nil {
			if !bad(err) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if q.from >= q.to || q.scanned.from < q.from || q.scanned.to > q.to || q.scanned.from >= q.scanned.to || q.page < 1 || q.perPage < 1 || q.perPage > maxPerPage {
			t.Errorf("%q: %+v", body, q)
		}
		for _, total := range []int64{0, 1, 10, 1<<62 + 1} {
			skipped := q.skipped()
			if skipped < 0 || skipped+q.perPage < 0 || (q.page < 1<<40 && skipped != (q.page-1)*q.perPage) {
				t.Errorf("%q: skips %d", body, skipped)
			}
			if skipped >= total && !(&eventsPage{ask: q, total: total}).last() {
				t.Errorf("%q: an empty page of %d is not the last", body, total)
			}
		}
	})
}

// FuzzDecodeUserEvents does the same for the User Events API.
func FuzzDecodeUserEvents(f *testing.F) {
	for _, body := range []string{
		`{"customerId":2847,"refId":"CB6150","from":"2025-06-01T00:00:00.000Z","until":"2025-06-23T23:59:00.000Z"}`,
		`{"refId":"x","from":"2025-06-01","until":"2025-06-23T23:59+0530"}`,
		`{"refId":"x","from":"0000-01-01T00:00:00,0001-12","until":"9999-12-31T23:59:59.999999999Z"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		q, err := decodeUserEvents(strings.NewReader(body))
		if err != nil {
			if !bad(err) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		if q.ref == "" || q.from > q.to {
			t.Errorf("%q: %+v", body, q)
		}
	})
}

// TestEventIDs are unique and below 2^53, up to the last shard and offset.
func TestEventIDs(t *testing.T) {
	last, err := eventID(view.RowID{Shard: view.MaxShards - 1, Offset: maxOffset - 1})
	if err != nil || last != 1<<53-1 {
		t.Errorf("the last id is %d, %v; want %d", last, err, int64(1<<53-1))
	}
	seen := map[int64]bool{}
	for _, shard := range []int32{0, 1, view.MaxShards - 1} {
		for _, offset := range []int64{0, 1, 1023, 1024, maxOffset - 1} {
			id, err := eventID(view.RowID{Shard: shard, Offset: offset})
			if err != nil || seen[id] || id%view.MaxShards != int64(shard) || id/view.MaxShards != offset {
				t.Errorf("shard %d, offset %d: %d, %v", shard, offset, id, err)
			}
			seen[id] = true
		}
	}
	for _, c := range []struct {
		shard  int32
		offset int64
	}{{-1, 0}, {view.MaxShards, 0}, {0, -1}, {0, maxOffset}} {
		if id, err := eventID(view.RowID{Shard: c.shard, Offset: c.offset}); err == nil {
			t.Errorf("shard %d, offset %d has id %d", c.shard, c.offset, id)
		}
	}
}
