package query

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/decimal128"

	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/registry"
	"weir/schemas/rollup"
)

const reportDay = 86_400_000

// reportWorld is a listWorld with somebody who asks for reports, and with
// rollups that lag behind events.
type reportWorld struct {
	*listWorld
	session string
	midday  int64                          // of today; epoch milliseconds
	rolled  map[lake.Table]map[int32]int64 // next offset
}

func newReportWorld(t testing.TB) *reportWorld {
	w := &reportWorld{listWorld: newListWorld(t, Config{}), rolled: map[lake.Table]map[int32]int64{}}
	user, err := w.deps.Registry.CreateUser(t.Context(), registry.User{Account: w.account, Email: "ann@example.org"}, listPassword)
	if err != nil {
		t.Fatal(err)
	}
	session, err := w.deps.Registry.NewSession(t.Context(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.session = session.ID
	w.midday = time.Now().UTC().Truncate(24*time.Hour).UnixMilli() + reportDay/2
	return w
}

// rollUp brings one rollup of a shard up to an offset that is committed to
// events.
func (w *reportWorld) rollUp(t lake.Table, shard int32, to int64) {
	w.t.Helper()
	if w.rolled[t] == nil {
		w.rolled[t] = map[int32]int64{}
	}
	from := max(listFirst, w.rolled[t][shard])
	h := w.shards[shard]
	h.mu.Lock()
	var rows []stored
	for _, s := range h.log {
		if s.offset >= from && s.offset < to {
			rows = append(rows, s)
		}
	}
	h.mu.Unlock()
	set := rollup.NewSet()
	if rec := batchOf(w.mem, rows); rec != nil {
		defer rec.Release()
		if err := set.AddBatch(rec); err != nil {
			w.t.Fatal(err)
		}
	}
	files, err := w.deps.Lake.WriteRollups(w.t.Context(), shard, set, t)
	if err != nil {
		w.t.Fatal(err)
	}
	cut := lake.Cut{
		ID: fmt.Sprintf("%s-%d-%d", t, shard, to), Shard: shard, From: from, Files: files[t], Sealed: time.Now(),
		To: lake.ShardState{First: listFirst, Next: to, LogTime: arrivalAt(to - 1)},
	}
	out, err := w.deps.Lake.Commit(w.t.Context(), t, []lake.Cut{cut})
	if err != nil || out[0] != lake.Committed {
		w.t.Fatalf("commit of %s, shard %d up to %d: %v, %v", t, shard, to, out, err)
	}
	w.rolled[t][shard] = to
}

// fill appends n random events. Some are committed, some of those rolled up,
// each table as far as it comes.
func (w *reportWorld) fill(r *rand.Rand, n int) {
	w.t.Helper()
	for range n {
		e := w.random(r)
		shard := int32(e.Client % listShards)
		if r.IntN(20) == 0 {
			w.skip(shard)
		}
		w.append(shard, e)
		h := w.shards[shard]
		if r.IntN(60) == 0 {
			w.commit(shard, h.state.Next+1+r.Int64N(h.next-h.state.Next))
		}
		for _, t := range lake.Rollups() {
			from := max(listFirst, w.rolled[t][shard])
			if r.IntN(120) == 0 && from < h.state.Next {
				w.rollUp(t, shard, from+1+r.Int64N(h.state.Next-from))
			}
		}
	}
}

// random is an event of the last 60 days of product 1, seldom of another.
func (w *reportWorld) random(r *rand.Rand) schemas.Event {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	e := schemas.Event{
		Product: []int64{1, 1, 1, 1, 1, 1, 2, 9}[r.IntN(8)], Client: 100 + r.Int64N(24), RandomID: fmt.Sprint("id-", r.Int64()),
		Name: pick("Open", "Save", "Print", schemas.SessionStart, schemas.SessionStop),
	}
	// Clients begin and stop at different times, so that some are new and some lost.
	born, gone := 60-(e.Client*7)%50, (e.Client*11)%30
	e.Time = w.midday - (gone+r.Int64N(max(1, born-gone)))*reportDay - reportDay/2 + r.Int64N(reportDay)
	if r.IntN(9) == 0 {
		e.Time = w.midday - reportDay*r.Int64N(40) - reportDay/2 // midnight, to the millisecond
	}
	if e.Name == schemas.SessionStop {
		e.RuntimeMS = new(r.Int64N(4 * 3600_000))
	}
	if r.IntN(3) > 0 {
		e.Category = new(pick("File", "", "Édition"))
	}
	if r.IntN(3) == 0 {
		e.Value = new(decimal128.FromI64(r.Int64N(20_000_000_000) - 3_000_000_000))
	}
	var props []string
	say := func(name string, values ...string) {
		if r.IntN(4) == 0 {
			props = append(props, fmt.Sprintf("%q:%s", name, pick(values...)))
		}
	}
	say("prodVersion", `"1.0"`, `"1.1"`, `"2.0"`, `""`, `null`)
	say("C01", `"a"`, `"b"`, `"<NULL>"`, `7`)
	say("os.platform", `"Linux"`, `"Windows"`)
	say("os.version", `"Linux 6"`, `"Windows 11"`, `null`)
	say("geography.country", `"DE"`, `"MT"`, `"US"`)
	say("licenseStatus.activated", `true`, `false`, `"Y"`, `null`)
	say("licenseStatus.expired", `true`, `false`)
	say("ram", `4096`, `8192`, `16384.5`, `"8192"`)
	say("touchScreen", `true`, `false`, `null`)
	say("gpu.vendor", `"A"`, `"N"`)
	if len(props) > 0 {
		e.ClientProps = []byte("{" + strings.Join(props, ",") + "}")
	}
	return e
}

// ask sends a report's question and returns the answer.
func (w *reportWorld) ask(path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/v3/reporting/"+path, strings.NewReader(body))
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
	out := httptest.NewRecorder()
	w.Handler().ServeHTTP(out, r)
	return out
}

// result is the result of an answer that must be one.
func (w *reportWorld) result(path string, body map[string]any) any {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	rec := w.ask(path, string(text))
	var out struct {
		Status string
		Result any
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK || out.Status != "OK" {
		w.t.Fatalf("%s %s\n%d %s", path, text, rec.Code, rec.Body)
	}
	return out.Result
}

// date is the day that lies some days ago.
func (w *reportWorld) date(ago int) string {
	return time.UnixMilli(w.midday - int64(ago)*reportDay).UTC().Format(time.DateOnly)
}
