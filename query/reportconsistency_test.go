package query

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weir/query/export"
	"weir/schemas"
)

// consistencyWorld is a product whose events of past days are committed and
// whose events of today are only acknowledged.
type consistencyWorld struct {
	*exportWorld
	today time.Time // midnight, UTC
	days  int       // number of days before today with events
}

func newConsistencyWorld(t *testing.T) *consistencyWorld {
	w := &consistencyWorld{exportWorld: newExportWorld(t, Config{}), today: time.Now().UTC().Truncate(24 * time.Hour), days: 12}
	r := rand.New(rand.NewPCG(4, 4))
	for ago := w.days; ago >= 1; ago-- {
		day := w.today.AddDate(0, 0, -ago)
		for shard := range int32(2) {
			w.arrive(shard, day.Add(20*time.Hour), w.events(r, shard, func() time.Time { return day.Add(time.Duration(r.Int64N(int64(24 * time.Hour)))) })...)
		}
	}
	w.tick(w.today)
	if err := w.files.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	w.hold(now, w.events(r, 0, func() time.Time { return now })...)
	return w
}

// events returns some events of one day, of the clients of a shard.
func (*consistencyWorld) events(r *rand.Rand, shard int32, at func() time.Time) []schemas.Event {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var out []schemas.Event
	for range 10 + r.IntN(20) {
		e := schemas.Event{
			Product: 1001, Client: 2*(1+r.Int64N(12)) + int64(shard), Time: at().UnixMilli(), RandomID: fmt.Sprint(r.Int64()),
			Name: pick("Open", "Save", "Print", schemas.SessionStart), Category: new(pick("File", "Edit", "")),
		}
		if r.IntN(2) == 0 {
			e.ClientProps = fmt.Appendf(nil, `{"prodVersion":%s,"geography.country":%s,"licenseStatus.activated":%s}`,
				pick(`"1.0"`, `"2.0"`, `null`), pick(`"DE"`, `"NZ"`), pick(`true`, `false`))
		}
		out = append(out, e)
	}
	return out
}

// result returns the result of a report on the whole period.
func (w *consistencyWorld) result(path string, body map[string]any) any {
	w.t.Helper()
	body["startDate"], body["stopDate"] = w.today.AddDate(0, 0, -w.days).Format(time.DateOnly), w.today.Format(time.DateOnly)
	text, _ := json.Marshal(body)
	out := w.ask(w.userA, http.MethodPost, "/v3/reporting/"+path+"/1001", string(text))
	if out.Code != http.StatusOK {
		w.t.Fatalf("%s %s: %d %s", path, text, out.Code, out.Body)
	}
	return naiveObject(out.Body.Bytes())["result"]
}

// countsByEvent is the number of occurrences of each event.
type countsByEvent map[naiveKey]int64

func (c countsByEvent) add(category, name, n any) {
	count, _ := n.(json.Number).Int64()
	key := naiveKey{name: name.(string)}
	key.category, _ = category.(string)
	c[key] += count
}

// timeline adds up the buckets of the event timeline.
func (w *consistencyWorld) timeline() countsByEvent {
	var events []any
	for _, category := range []any{nil, "File", "Edit"} {
		for _, name := range []string{"Open", "Save", "Print"} {
			events = append(events, map[string]any{"category": category, "name": name})
		}
	}
	out := countsByEvent{}
	days := w.result("eventTracking/basic/timeline", map[string]any{"dateSplit": "day", "dataView": "usageCounts", "events": events})
	for _, day := range days.(map[string]any) {
		for _, e := range day.([]any) {
			e := e.(map[string]any)
			out.add(e["category"], e["name"], e["value"])
		}
	}
	return out
}

func (w *consistencyWorld) table() countsByEvent {
	out := countsByEvent{}
	for _, category := range w.result("eventTracking/basic/dataTable", map[string]any{}).([]any) {
		category := category.(map[string]any)
		for name, of := range category["categoryEventsData"].(map[string]any) {
			out.add(category["category"], name, of.(map[string]any)["eventUsage"].(map[string]any)["cumulativeUsageCount"])
		}
	}
	return out
}

func (w *consistencyWorld) lifetimeTable() countsByEvent {
	out := countsByEvent{}
	for _, row := range w.result("eventTracking/lifetime/dataTable", map[string]any{}).([]any) {
		row := row.(map[string]any)
		out.add(row["eventCategory"], row["eventName"], row["eventCount"])
	}
	return out
}

// clients adds up lifetimeEventUsage over the client list.
func (w *consistencyWorld) clients() countsByEvent {
	out := countsByEvent{}
	for _, c := range w.result("clientPropertyList", map[string]any{"properties": []any{"lifetimeEventUsage"}}).([]any) {
		for _, e := range c.(map[string]any)["lifetimeEventUsage"].([]any) {
			e := e.(map[string]any)
			out.add(e["eventCategory"], e["eventName"], e["eventCount"])
		}
	}
	return out
}

// exported counts the rows of the raw files of all days.
func (w *consistencyWorld) exported() countsByEvent {
	out := countsByEvent{}
	for ago := range w.days + 1 {
		name := export.RawEvents().FileName(1001, export.DayOf(w.today.AddDate(0, 0, -ago)))
		for _, row := range w.download(raw, name) {
			if row[4] != schemas.SessionStart {
				out[naiveKey{category: row[5], name: row[4]}]++
			}
		}
	}
	return out
}

// eventsAPI returns the number of events of a name in the Events API.
func (w *consistencyWorld) eventsAPI(name string) int64 {
	w.t.Helper()
	body := fmt.Sprintf(`{"startDate":%q,"endDate":%q,"filters":{"name":[%q]},"paging":{"page":1,"perPage":1}}`,
		w.today.AddDate(0, 0, -w.days).Format(time.DateOnly), w.today.AddDate(0, 0, 1).Format(time.DateOnly), name)
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, eventsPath, strings.NewReader(body))
	r.SetBasicAuth("ann@example.org", worldPassword)
	out := httptest.NewRecorder()
	w.Handler().ServeHTTP(out, r)
	paging, ok := naiveObject(out.Body.Bytes())["paging"].(map[string]any)
	if out.Code != http.StatusOK || !ok {
		w.t.Fatalf("%s: %d %s", body, out.Code, out.Body)
	}
	n, _ := paging["totalCount"].(json.Number).Int64()
	return n
}

// TestTimelineTablesListAndExportAgree: reports, the Events API and the export
// files count the same events, committed or not.
func TestTimelineTablesListAndExportAgree(t *testing.T) {
	w := newConsistencyWorld(t)
	want := w.exported()
	if len(want) != 9 {
		t.Fatalf("the export files have %v, want three names in three categories", want)
	}
	for from, got := range map[string]countsByEvent{"chart": w.timeline(), "table": w.table(), "lives": w.lifetimeTable(), "clients": w.clients()} {
		for key, n := range want {
			if got[key] != n {
				t.Errorf("%s counts %d of %v, the export files %d", from, got[key], key, n)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s has the events %v, the export files %v", from, got, want)
		}
	}
	for _, name := range []string{"Open", "Save", "Print"} {
		rows := int64(0)
		for key, n := range want {
			if key.name == name {
				rows += n
			}
		}
		if got := w.eventsAPI(name); got != rows {
			t.Errorf("the Events API counts %d of %s, the export files %d", got, name, rows)
		}
	}
}

// TestActiveClientsAgreeWithTheClientList: under the same filters, all reports
// count as many active clients as the client list has.
func TestActiveClientsAgreeWithTheClientList(t *testing.T) {
	w := newConsistencyWorld(t)
	filters := []map[string]any{
		{},
		{"prodVersion": map[string]any{"type": "string", "value": "1.0"}},
		{"prodVersion": map[string]any{"type": "regex", "value": "^2", "includeNull": true}},
		{"geography": map[string]any{"type": "string", "continent": "EU"}, "licenseStatus": []any{map[string]any{"activated": true}}},
		{"lifetimeEventUsage": map[string]any{"category": "File", "name": "Open", "min": 3}},
	}
	numbers := map[int]bool{}
	for _, f := range filters {
		ask := func(path string, more map[string]any) any {
			body := map[string]any{"globalFilters": f}
			maps.Copy(body, more)
			return w.result(path, body)
		}
		active := map[string]any{"clientStatus": []any{"active"}}
		total := func(path string) string {
			return fmt.Sprint(ask(path, active).(map[string]any)["totals"].(map[string]any)["active"])
		}
		clients := len(ask("clientPropertyList", nil).([]any))
		numbers[clients] = true
		want := fmt.Sprint(clients)
		got := map[string]string{"dateRange": total("generic/dateRange"), "current": total("generic/current")}
		rows := ask("eventTracking/lifetime/dataTable", map[string]any{"events": []any{map[string]any{"name": "Open"}}}).([]any)
		got["lifetime table"] = fmt.Sprint(rows[0].(map[string]any)["active"])
		users := int64(0)
		for _, bin := range ask("engagement/usageDistribution", nil).(map[string]any)["activeDays"].(map[string]any) {
			n, _ := bin.(map[string]any)["users"].(json.Number).Int64()
			users += n
		}
		got["usage distribution"] = fmt.Sprint(users)
		for from, n := range got {
			if n != want {
				t.Errorf("filters %v: %s active clients in %s, %s in the client list", f, n, from, want)
			}
		}
	}
	if len(numbers) < 3 {
		t.Errorf("the filters leave %v clients, want at least three different numbers", numbers)
	}
}
