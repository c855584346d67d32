package query

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/property"
)

// clientList answers clientPropertyList: the whole envelope.
func (v *naiveView) clientList() map[string]any {
	envelope := map[string]any{"status": "OK", "reachedEnd": true}
	start, _ := v.body["startAtClientId"].(string)
	result := []any{}
	for _, u := range v.units { // ordered by the bytes of their ids
		if u.id < start || !v.matches(u, naiveEnd) {
			continue
		}
		if len(result) == v.pageSize {
			envelope["reachedEnd"], envelope["nextClientId"] = false, u.id
			break
		}
		result = append(result, v.listed(u))
	}
	envelope["result"] = result
	return envelope
}

func (v *naiveView) listed(u *naiveUnit) any {
	out := map[string]any{"clientId": u.id}
	properties, _ := v.body["properties"].([]any)
	for _, name := range properties {
		out[name.(string)] = u.listed(name.(string), naiveEnd)
	}
	daily, ok := v.body["retDailyData"].(map[string]any)
	if !ok {
		return out
	}
	properties, _ = daily["properties"].([]any)
	days := []any{}
	from, to := v.date(daily["startDate"]), v.date(daily["stopDate"]).AddDate(0, 0, 1)
	for d := from; d.Before(to); d = d.AddDate(0, 0, 1) {
		day := naiveBucket{from: d, to: d.AddDate(0, 0, 1)}
		if len(u.usage(day).days) == 0 {
			continue
		}
		one := map[string]any{"date": d.Format(time.DateOnly)}
		for _, name := range properties {
			one[name.(string)] = u.listed(name.(string), day.to)
		}
		days = append(days, one)
	}
	out["dailyData"] = days
	return out
}

var naiveNumbers = []string{
	"cpuCores", "displayCount", "ram", "resolutionWidth", "resolutionHeight", "screenPpi", "javaVmRam",
	"lifetimeRuntimeMinutes", "lifetimeSessionCount",
}

// listed returns a property as lists have it.
func (u *naiveUnit) listed(name string, before time.Time) any {
	switch name {
	case "lifetimeEventUsage":
		return u.listedEvents()
	case "reachOutDeliveries.auto", "reachOutDeliveries.manual":
		return []any{}
	}
	v := u.value(name, before)
	group, _, _ := strings.Cut(name, ".")
	if slices.Contains([]string{"licenseStatus", "optOut", "backOff"}, group) {
		return naiveTrue(v)
	}
	switch {
	case v == nil:
		return "<NULL>"
	case name == "touchScreen":
		if naiveTrue(v) || naiveFalse(v) {
			return naiveTrue(v)
		}
	case slices.Contains(naiveNumbers, name):
		if _, ok := naiveNumber(v); ok {
			return json.Number(naiveText(v))
		}
	}
	return naiveText(v)
}

func (u *naiveUnit) listedEvents() any {
	out := []any{}
	names := map[string]map[string]int64{}
	for key, n := range u.lifetime.counts {
		if names[key.category] == nil {
			names[key.category] = map[string]int64{}
		}
		names[key.category][key.name] = n
	}
	for _, category := range naiveSorted(names) {
		for _, name := range naiveSorted(names[category]) {
			out = append(out, map[string]any{
				"eventCategory": naiveCategory(category), "eventName": name, "eventCount": names[category][name],
			})
		}
	}
	return out
}

// clientList returns a question of clientPropertyList.
func (g *questionGenerator) clientList() map[string]any {
	body := map[string]any{}
	g.addZoneAndEventFilter(body)
	g.maybe(body, "startAtClientId", func() any { return g.pick(nil, "1", "100", "10000000", "9", "95", "x", g.w.client(g.IntN(24))) })
	g.maybe(body, "globalFilters", g.filters)
	daily := []any{
		"prodEdition", "prodVersion", "licenseType", "licenseStatus.activated", "licenseStatus.expired", "os.platform",
		"os.version", "geography.continent", "geography.country", "geography.usState", "C01", "C02", "C01",
	}
	all := append(slices.Clone(daily),
		"machineId", "licenseKey", "optOut.current", "optOut.historical", "backOff.current", "cpuCores", "ram", "touchScreen",
		"gpu.vendor", "gpu.model", "vm", "javaVersion", "dateInstalled", "dateLastSeen", "lifetimeSessionCount",
		"lifetimeRuntimeMinutes", "lifetimeEventUsage", "reachOutDeliveries.auto", "reachOutDeliveries.manual", "user.never",
		"contact.never", "C20", "ram")
	several := func(of []any) any {
		g.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
		return of[:g.IntN(len(of))]
	}
	g.maybe(body, "properties", func() any { return several(all) })
	g.maybe(body, "retDailyData", func() any {
		in := map[string]any{}
		g.addRange(in)
		g.maybe(in, "properties", func() any { return several(daily) })
		return in
	})
	return body
}

func TestClientListAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) { g.check("clientPropertyList", g.clientList()) })
}

// TestClientListByPages follows the pages of lists that are longer than one
// page.
func TestClientListByPages(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	w := newReportWorld(t)
	w.clients = 470
	w.fill(r, 2500)
	g := newQuestionGenerator(t, r, w)
	for range 12 {
		body := g.clientList()
		delete(body, "startAtClientId")
		var all []any
		for pages := 1; ; pages++ {
			page := g.checkAnswer("clientPropertyList", body)
			all = append(all, page["result"].([]any)...)
			if page["reachedEnd"] == true {
				break
			}
			if len(page["result"].([]any)) == 0 || pages > 9 {
				t.Fatalf("page %d is empty or one too many; nextClientId %v", pages, page["nextClientId"])
			}
			body["startAtClientId"] = page["nextClientId"]
		}
		view := g.naive.view(decoded(t, body), time.Now())
		view.naiveReport = &naiveReport{pageSize: 1 << 30}
		delete(view.body, "startAtClientId")
		if diff := cmp.Diff(len(view.clientList()["result"].([]any)), len(all)); diff != "" {
			t.Errorf("clients of all pages of %v (-want +got):\n%s", body, diff)
		}
	}
}

// everyListed are the properties that an export without any lists.
func everyListed() []any {
	var names []any
	for _, p := range property.All() {
		if p.Category != "" && p.Name != property.NameClientID {
			names = append(names, p.Name)
		}
	}
	return names
}

// TestExportOfClientsListsEverything compares exports without properties with the
// naive model; an empty body is one of them.
func TestExportOfClientsListsEverything(t *testing.T) {
	againstRandomEvents(t, 15, func(g *questionGenerator) {
		body := g.clientList()
		delete(body, "properties")
		g.check("/export/request/clientPropertyList", body)
		if rec := g.w.ask("/export/request/clientPropertyList/1", ""); rec.Code != http.StatusOK || rec.Body.String() != g.w.ask("/export/request/clientPropertyList/1", "{}").Body.String() {
			g.t.Errorf("an empty body: %d %.200s", rec.Code, rec.Body)
		}
	})
}

// TestExportOfClientsIsTheList: the export request has the same body and the
// same answer as the list, if properties are named.
func TestExportOfClientsIsTheList(t *testing.T) {
	againstRandomEvents(t, 20, func(g *questionGenerator) {
		body := g.clientList()
		if body["properties"] == nil {
			body["properties"] = []any{}
		}
		want := g.w.envelope("clientPropertyList/1", body)
		got := g.w.envelope("/export/request/clientPropertyList/1", body)
		if diff := cmp.Diff(want, got); diff != "" {
			g.t.Errorf("%v (-list +export):\n%s", body, diff)
		}
	})
}

// TestExportOfClientsListsUserAttributes: without properties, an export has those
// that changes have set for a client, and refuses to list too many.
func TestExportOfClientsListsUserAttributes(t *testing.T) {
	w := newReportWorld(t)
	change := func(kind schemas.ChangeKind, values string) {
		w.appendChange(0, schemas.Change{Product: 1, Client: 7, Time: listNow, Kind: kind, Operation: schemas.OpSet, Values: []byte(values)})
	}
	w.append(0, schemas.Event{Product: 1, Client: 7, Time: listNow, Name: "a", RandomID: "r"})
	change(schemas.PropertyChange, `{"plan":"pro","seats":5}`)
	change(schemas.ContactChange, `{"email":"ann@example.org"}`)
	client := w.envelope("/export/request/clientPropertyList/1", map[string]any{})["result"].([]any)[0].(map[string]any)
	for name, want := range map[string]any{"user.plan": "pro", "user.seats": json.Number("5"), "contact.email": "ann@example.org", "prodVersion": "<NULL>"} {
		if client[name] != want {
			t.Errorf("%s is %v, want %v", name, client[name], want)
		}
	}
	many := map[string]int{}
	for i := range valuesPage + 1 {
		many[fmt.Sprint("attribute", i)] = i
	}
	text, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	change(schemas.PropertyChange, string(text))
	rec := w.ask("/export/request/clientPropertyList/1", "{}")
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "properties: is missing, and clients have more than 1000 user attributes") {
		t.Errorf("%d %.200s", rec.Code, rec.Body)
	}
}
