package query

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/property"
)

// flagWorld has client 1, which reports a value of every property that clients
// report, and client 2, which reports none.
type flagWorld struct{ *reportWorld }

func newFlagWorld(t *testing.T) flagWorld {
	w := flagWorld{newReportWorld(t)}
	values := map[string]any{}
	for _, p := range property.All() {
		if p.Source == property.Reported || p.Source == property.Continent {
			values[p.Name] = map[property.Type]any{property.Text: "a1", property.Number: 41, property.Boolean: true, property.Flag: "YES"}[p.Type]
		}
	}
	values[property.NameOptOut] = false // it would not be active
	values[property.NameCountry] = "DE" // its continent is not the reported one
	all, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	for client, props := range map[int64][]byte{1: all, 2: []byte(`{"shoeSize":42}`)} {
		w.add(0, schemas.Event{Product: 1, Client: client, Time: w.midday, Name: "Open", RandomID: "r", ClientProps: props, Properties: []byte(`{"k":"v"}`)})
	}
	return w
}

// entries returns the list of properties, without those that product owners set.
func (w flagWorld) entries() (all []propertyEntry) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/v3/meta/productProperties/1", nil)
	r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	var answer struct{ Result []propertyCategory }
	if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != http.StatusOK {
		w.t.Fatal(rec.Code, rec.Body, err)
	}
	for _, c := range answer.Result {
		all = append(all, c.Properties...)
	}
	return all
}

// question is a body of JSON.
type question = map[string]any

// accepts reports whether a question is answered; else it must be refused.
func (w flagWorld) accepts(path string, body question) bool {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	rec := w.ask(path+"/1", string(text))
	if rec.Code != http.StatusOK && rec.Code != http.StatusBadRequest {
		w.t.Errorf("%s %s: %d %s", path, text, rec.Code, rec.Body)
	}
	return rec.Code == http.StatusOK
}

// matched returns the clients that pass a filter.
func (w flagWorld) matched(name string, filter question) (ids []string) {
	w.t.Helper()
	for _, c := range w.envelope("clientPropertyList/1", question{"globalFilters": question{name: filter}})["result"].([]any) {
		ids = append(ids, c.(question)["clientId"].(string))
	}
	return ids
}

// segmented returns the clients of each series of all values of a property.
func (w flagWorld) segmented(name string, nulls bool) map[string]string {
	w.t.Helper()
	level := question{"property": name, "segments": []any{question{"type": "regex", "value": ".*", "split": true, "includeNull": nulls}}}
	answer := w.envelope("generic/current/1", question{"clientStatus": []any{"active"}, "levels": question{"level1": level}})
	out := map[string]string{}
	for label, series := range answer["result"].(question)["level1"].(question) {
		out[label] = fmt.Sprint(series.(question)["totals"].(question)["active"])
	}
	return out
}

// listed returns a property of both clients, as the client list has it.
func (w flagWorld) listed(name string) [2]string {
	w.t.Helper()
	rows := w.envelope("clientPropertyList/1", question{"properties": []any{name}})["result"].([]any)
	return [2]string{fmt.Sprint(rows[0].(question)[name]), fmt.Sprint(rows[1].(question)[name])}
}

// TestFlagsOfPropertiesAreWhatEndpointsDo asks every endpoint that reads
// properties about each property of the catalogue, and compares what it does
// with the flags of the property in the list of properties.
func TestFlagsOfPropertiesAreWhatEndpointsDo(t *testing.T) {
	w := newFlagWorld(t)
	seen := 0
	for _, p := range w.entries() {
		if p.Name == property.NameEventUsage { // it has a filter of its own and no segments
			if p.SupportsNull || p.SupportsRegex || p.SupportsMeta {
				t.Errorf("%+v: its filter has bounds alone", p)
			}
			continue
		}
		seen++
		t.Run(p.Name, func(t *testing.T) {
			w := flagWorld{w.reportWorld}
			w.t = t
			w.checkNull(p)
			w.checkRegex(p)
			w.checkMeta(p)
			w.checkDaily(p)
			w.checkExport(p)
		})
	}
	if want := len(property.All()) - 2; seen != want { // lifetimeEventUsage, and resolution, which is a column alone
		t.Errorf("%d properties were listed, want %d", seen, want)
	}
}

// checkNull: without a value a client is "<NULL>" in lists, passes includeNull,
// and is in the series of null alone; all clients are in some series.
func (w flagWorld) checkNull(p propertyEntry) {
	w.t.Helper()
	listed := w.listed(p.Name)
	if got := listed[1] == "<NULL>"; got != p.SupportsNull || listed[0] == "<NULL>" {
		w.t.Errorf("lists have %q, supportsNull is %t", listed, p.SupportsNull)
	}
	passing, nulls := []string(nil), map[string]string{"<NULL>": "0"}
	if p.SupportsNull {
		passing, nulls["<NULL>"] = []string{"2"}, "1"
	}
	if got := w.matched(p.Name, question{"includeNull": true}); !slices.Equal(got, passing) {
		w.t.Errorf("includeNull matches %q, supportsNull is %t", got, p.SupportsNull)
	}
	values := map[string]string{}
	for _, value := range listed {
		switch {
		case value == "<NULL>":
		case values[value] == "1":
			values[value] = "2"
		default:
			values[value] = "1"
		}
	}
	if diff := cmp.Diff(values, w.segmented(p.Name, false)); diff != "" {
		w.t.Errorf("series of all values differ from lists (-want +got):\n%s", diff)
	}
	maps.Copy(values, nulls)
	if diff := cmp.Diff(values, w.segmented(p.Name, true)); diff != "" {
		w.t.Errorf("series of all values and null differ from lists (-want +got):\n%s", diff)
	}
	for client, value := range listed {
		if value != "<NULL>" && !slices.Contains(w.matched(p.Name, question{"type": "string", "value": value}), fmt.Sprint(client+1)) {
			w.t.Errorf("no filter for %q finds client %d, which has it in lists", value, client+1)
		}
	}
}

// checkRegex: filters are regular expressions where the list says so.
func (w flagWorld) checkRegex(p propertyEntry) {
	w.t.Helper()
	body := question{"globalFilters": question{p.Name: question{"type": "regex", "value": "."}}}
	if got := w.accepts("clientPropertyList", body); got != p.SupportsRegex {
		w.t.Errorf("a filter with a regular expression is accepted: %t, supportsRegex is %t", got, p.SupportsRegex)
	}
	if parent, member, nested := strings.Cut(p.Name, "."); nested && p.DataType == "string" {
		body := question{"globalFilters": question{parent: question{"type": "regex", member: "."}}}
		if got := w.accepts("clientPropertyList", body); got != p.SupportsRegex {
			w.t.Errorf("a filter of %s with a regular expression is accepted: %t, supportsRegex is %t", parent, got, p.SupportsRegex)
		}
	}
}

// checkMeta: propertyValues lists values where the list says so, those of the
// client list.
func (w flagWorld) checkMeta(p propertyEntry) {
	w.t.Helper()
	body := question{"property": p.Name}
	if parent, member, nested := strings.Cut(p.Name, "."); nested {
		body = question{"property": parent, "granularity": member}
	}
	if got := w.accepts("/meta/propertyValues", body); got != p.SupportsMeta {
		w.t.Errorf("values are listed: %t, supportsMeta is %t", got, p.SupportsMeta)
	}
	if !p.SupportsMeta {
		return
	}
	var got []string
	for _, v := range w.envelope("/meta/propertyValues/1", body)["result"].([]any) {
		got = append(got, v.(question)["value"].(string))
	}
	if want := []string{w.listed(p.Name)[0]}; !slices.Equal(got, want) {
		w.t.Errorf("values are %q, the client list has %q", got, want)
	}
}

// checkDaily: dailyData has the properties that are standard, and no current
// ones. The two dates are published as standard but have one value.
func (w flagWorld) checkDaily(p propertyEntry) {
	w.t.Helper()
	got := w.accepts("clientPropertyList", question{"retDailyData": question{"startDate": "NOW", "stopDate": "NOW", "properties": []any{p.Name}}})
	if want := property.Find(p.Name).Daily; got != want || p.FilterType != "special" && p.DataType != "date" && want != (p.FilterType == "standard") {
		w.t.Errorf("daily data is listed: %t, filterType is %s", got, p.FilterType)
	}
}

// checkExport: the export files have an empty field where the list says that
// there may be null, and N for flags.
func (w flagWorld) checkExport(p propertyEntry) {
	w.t.Helper()
	lines := w.envelope("/customEventTracking/getLastLines/1", question{"lineCount": 2})["result"].([]any)
	for _, line := range lines {
		value, exported := line.(question)[p.Name]
		without := line.(question)["clientId"] == "2"
		switch want := map[bool]any{true: "", false: "N"}[p.SupportsNull]; {
		case !exported || p.Name == property.NameClientID:
		case without && value != want:
			w.t.Errorf("a client without a value has %q in exports, want %q", value, want)
		case !without && (value == "" || value == "N"):
			w.t.Errorf("a client with a value has %q in exports", value)
		}
	}
	if want := property.Find(p.Name).Header != ""; len(lines) != 2 || (lines[0].(question)[p.Name] != nil) != want {
		w.t.Errorf("exports have the column: %t, want %t", !want, want)
	}
}
