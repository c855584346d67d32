package query

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
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

// reportWorld is a listWorld with a user who asks for reports, and with rollups
// that lag behind events.
type reportWorld struct {
	*listWorld
	session   string
	clients   int               // number of clients of random events
	midday    int64             // noon of today; epoch milliseconds
	positions map[[2]int64]bool // (time, offset) of the events
	latest    map[int64]int64   // time of the latest random event of each client
}

// reportZones are the time zones that questions are asked in. Many events are
// close to their midnights.
var reportZones = []string{"UTC", "Pacific/Auckland", "America/St_Johns", "Asia/Kathmandu"}

// newReportWorld returns a world without events and a session for its user.
func newReportWorld(t testing.TB) *reportWorld { return configuredReportWorld(t, Config{}) }

func configuredReportWorld(t testing.TB, cfg Config) *reportWorld {
	w := &reportWorld{listWorld: newListWorld(t, cfg), clients: 24, positions: map[[2]int64]bool{}, latest: map[int64]int64{}}
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

// rollUp extends one rollup of a shard to an offset that is committed to
// events.
func (w *listWorld) rollUp(t lake.Table, shard int32, to int64) {
	w.t.Helper()
	from := w.rolled[t][shard]
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

// fill appends n random events. Some of them are committed, and some of those
// rolled up, each table to an offset of its own.
func (w *reportWorld) fill(r *rand.Rand, n int) {
	w.t.Helper()
	for range n {
		shard, e := w.next(r)
		if r.IntN(20) == 0 {
			w.skip(shard)
		}
		w.add(shard, e)
		h := w.shards[shard]
		if r.IntN(60) == 0 {
			w.commit(shard, h.state.Next+1+r.Int64N(h.next-h.state.Next))
		}
		for _, t := range lake.Rollups() {
			from := w.rolled[t][shard]
			if r.IntN(120) == 0 && from < h.state.Next {
				w.rollUp(t, shard, from+1+r.Int64N(h.state.Next-from))
			}
		}
	}
}

// next returns a random event and the shard of its client. Some events have the
// time of another one of the same client or of another client.
func (w *reportWorld) next(r *rand.Rand) (int32, schemas.Event) {
	e := w.random(r)
	client := e.Client
	if r.IntN(20) == 0 {
		client = w.id(r.IntN(w.clients))
	}
	if at, known := w.latest[client]; known && r.IntN(4) == 0 {
		e.Time = at
	}
	w.latest[e.Client] = e.Time
	return int32(e.Client % listShards), e
}

// add appends an event. No two have the same time and offset, so that (time,
// offset) orders the events of several clients too.
func (w *reportWorld) add(shard int32, e schemas.Event) {
	at := func() [2]int64 {
		h := w.shards[shard]
		h.mu.Lock()
		defer h.mu.Unlock()
		return [2]int64{e.Time, h.next}
	}
	for w.positions[at()] {
		w.skip(shard)
	}
	w.positions[at()] = true
	w.append(shard, e)
}

// id returns the id of the nth client. Ids have 3, 8 and 19 digits, so that the
// order of their bytes differs from that of the numbers.
func (*reportWorld) id(n int) int64 {
	return []int64{100, 10_000_000, 9_000_000_000_000_000_000}[n%3] + int64(n)
}

func (w *reportWorld) client(n int) string { return strconv.FormatInt(w.id(n), 10) }

// random returns an event of the last 60 days, mostly of product 1.
func (w *reportWorld) random(r *rand.Rand) schemas.Event {
	pick := func(values ...string) string { return values[r.IntN(len(values))] }
	n := r.Int64N(int64(w.clients))
	e := schemas.Event{
		Product: []int64{1, 1, 1, 1, 1, 1, 2, 9}[r.IntN(8)], Client: w.id(int(n)), RandomID: fmt.Sprint("id-", r.Int64()),
		Name: pick("Open", "Save", "Print", schemas.SessionStart, schemas.SessionStop),
	}
	// Clients begin and stop at different times, so that some are new and some lost.
	firstAgo, lastAgo := 60-(n*7)%50, (n*11)%30
	e.Time = w.midday - (lastAgo+r.Int64N(max(1, firstAgo-lastAgo)))*reportDay - reportDay/2 + r.Int64N(reportDay)
	if r.IntN(4) == 0 {
		e.Time = midnight(time.UnixMilli(e.Time), pick(reportZones...)) + r.Int64N(3) - 1
	}
	if e.Name == schemas.SessionStop && r.IntN(9) > 0 {
		e.RuntimeMS = new(r.Int64N(4*3600) * []int64{1000, 999, 60, 0}[r.IntN(4)])
	}
	if r.IntN(3) > 0 {
		e.Category = new(pick("File", "", "Édition"))
	}
	if r.IntN(3) == 0 {
		e.Value = new(decimal128.FromI64(r.Int64N(20_000_000_000) - 3_000_000_000))
	}
	e.ClientProps = randomClientProps(r, n)
	e.Properties = randomEventProps(r)
	return e
}

// midnight returns the beginning of the day of t in a zone; epoch milliseconds.
func midnight(t time.Time, zone string) int64 {
	in, err := time.LoadLocation(zone)
	if err != nil {
		return 0
	}
	y, m, d := t.In(in).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, in).UnixMilli()
}

// randomClientProps returns the $client of an event of the nth client.
func randomClientProps(r *rand.Rand, n int64) []byte {
	var props []string
	add := func(name string, values ...string) {
		if r.IntN(4) == 0 {
			props = append(props, fmt.Sprintf("%q:%s", name, values[r.IntN(len(values))]))
		}
	}
	add("prodVersion", `"1.0"`, `"1.1"`, `"2.0"`, `""`, `null`)
	add("prodEdition", `"Pro"`, `"Lite"`)
	add("licenseType", `"purchased"`, `"freeware"`, `null`)
	add("C01", `"a"`, `"b"`, `"<NULL>"`, `7`)
	add("C02", `"x"`, `"y"`, `7`, `"7"`, `"1.0"`, `""`, `null`)
	add("os.platform", `"Linux"`, `"Windows"`)
	add("os.version", `"Linux 6"`, `"Windows 11"`, `null`)
	add("geography.continent", `"EU"`, `"NA"`, `"ZZ"`, `null`)
	add("geography.country", `"DE"`, `"MT"`, `"US"`, `"NZ"`, `"NP"`, `"XX"`, `"Germany"`, `"UK"`, `"de"`, `null`)
	add("geography.usState", `"US-NY"`, `null`)
	add("licenseStatus.activated", `true`, `false`, `"Y"`, `"TRUE"`, `" yes"`, `"maybe"`, `null`)
	add("licenseStatus.expired", `true`, `false`)
	add("ram", `4096`, `8192`, `8192.0`, `16384.5`, `"8192"`, `" 8192"`, `8.192e3`, `"0x2000"`, `"much"`)
	add("cpuCores", `2`, `4`, `"8"`, `"+4"`, `1e400`, `null`)
	add("touchScreen", `true`, `false`, `"TRUE"`, `"n"`, `0`, `"maybe"`, `null`)
	add("gpu.vendor", `"A"`, `"N"`)
	add("gpu.model", `"A1"`, `"N1"`, `null`)
	add("optOut.current", `true`, `false`)
	add("optOut.historical", `true`, `"N"`)
	add("backOff.current", `false`, `"yes"`)
	own := fmt.Sprintf(`"m%d"`, n%7)
	add("machineId", own, own, own, `"m1"`, `""`, `null`)
	add("licenseKey", fmt.Sprintf(`"K-%d"`, n%5), `"K-1"`, `null`)
	if len(props) == 0 {
		return nil
	}
	return []byte("{" + strings.Join(props, ",") + "}")
}

// randomEventProps returns the own properties of an event.
func randomEventProps(r *rand.Rand) []byte {
	var props []string
	add := func(name string, values ...string) {
		if r.IntN(4) > 0 {
			props = append(props, fmt.Sprintf("%q:%s", name, values[r.IntN(len(values))]))
		}
	}
	add("plan", `"free"`, `"pro"`, `"pro"`, `""`, `null`, `{"name":"pro"}`)
	add("seats", `1`, `2`, `3.5`, `"3"`, `" 3.0"`, `"0x3"`, `"many"`, `[3]`)
	add("beta", `true`, `false`, `"yes"`, `"No"`, `"maybe"`, `null`)
	add("since", `"2024-05-01T10:00:00Z"`, `"2024-06-01"`, `"soon"`)
	add("deep", `{"plan":"pro"}`, `"flat"`, `["flat","pro"]`)
	if len(props) == 0 {
		return nil
	}
	return []byte("{" + strings.Join(props, ",") + "}")
}

// reportFlags are the events that are not collected as basic or not as
// advanced.
var reportFlags = map[naiveKey]naiveFlags{
	{"File", "Save"}: {notAdvanced: true}, {"", "Print"}: {notBasic: true}, {"Édition", "Open"}: {true, true},
}

// setEventFlags stores reportFlags in the registry.
func (w *reportWorld) setEventFlags() {
	w.t.Helper()
	var updates []registry.EventFlagsUpdate
	for key, f := range reportFlags {
		name := registry.EventName{HasCategory: key.category != "", Category: key.category, Name: key.name}
		updates = append(updates, registry.EventFlagsUpdate{Event: name, Basic: new(!f.notBasic), Advanced: new(!f.notAdvanced)})
	}
	if err := w.deps.Registry.UpdateEventFlags(w.t.Context(), 1, updates, 100); err != nil {
		w.t.Fatal(err)
	}
}

// allowGroupByC02 gives C02 the type that groupBy needs.
func allowGroupByC02(w *reportWorld) {
	w.t.Helper()
	if err := w.deps.Registry.SetPropertyType(w.t.Context(), 1, "C02", 3); err != nil {
		w.t.Fatal(err)
	}
}

// ask sends the request of a report and returns the answer.
func (w *reportWorld) ask(path, body string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, reportPath(path), strings.NewReader(body))
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
	out := httptest.NewRecorder()
	w.Handler().ServeHTTP(out, r)
	return out
}

// reportPath returns the path of an endpoint below /v3/reporting/ or, if it
// begins with a slash, below /v3.
func reportPath(path string) string {
	if strings.HasPrefix(path, "/") {
		return "/v3" + path
	}
	return "/v3/reporting/" + path
}

// envelope returns an answer, which must be a 200.
func (w *reportWorld) envelope(path string, body map[string]any) map[string]any {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	rec := w.ask(path, string(text))
	if rec.Code != http.StatusOK {
		w.t.Fatalf("POST %s %s\nanswered %d %s, want 200", path, text, rec.Code, rec.Body)
	}
	return naiveObject(rec.Body.Bytes())
}

// date returns the day that was some days ago.
func (w *reportWorld) date(ago int) string {
	return time.UnixMilli(w.midday - int64(ago)*reportDay).UTC().Format(time.DateOnly)
}
