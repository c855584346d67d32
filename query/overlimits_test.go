package query

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// TestOwnerSeesClientsOverTheLimit: what raw files do not carry from event to event is
// counted for the product's owner, from the tail and from rollups alike.
func TestOwnerSeesClientsOverTheLimit(t *testing.T) {
	w := newReportWorld(t)
	names := func(n int) []byte {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(`"own.%03d":1`, i))
		}
		return []byte("{" + strings.Join(append(members, `"prodVersion":"1"`), ",") + "}")
	}
	for n, props := range []int{rollup.MaxOtherProperties, rollup.MaxOtherProperties + 1, 0, 400} {
		id := w.id(n)
		w.add(int32(id%listShards), schemas.Event{
			Product: 1, Client: id, Time: w.midday, Name: "open", RandomID: fmt.Sprint("over", n), ClientProps: names(props),
		})
	}
	ask := func() string {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v3/meta/limits/1", nil)
		r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		return rec.Body.String()
	}
	want := fmt.Sprintf(`{"status":"OK","result":{"clientProperties":{"limit":100,"clients":2,"more":false,"clientIds":["%d","%d"]}}}`, w.id(3), w.id(1))
	if got := strings.TrimSpace(ask()); got != want {
		t.Errorf("from the tail: %s, want %s", got, want)
	}
	for shard, h := range w.shards {
		w.commit(int32(shard), h.next)
		w.rollUp(lake.Clients, int32(shard), h.state.Next)
	}
	if got := strings.TrimSpace(ask()); got != want {
		t.Errorf("from rollups: %s, want %s", got, want)
	}
}
