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
	"weir/schemas/registry"
)

// spellingWorld has a client for each spelling of a value.
type spellingWorld struct{ *reportWorld }

// newSpellingWorld returns a world in which client 101 and the following report the
// values of one property, as JSON, and their only events have them too.
func newSpellingWorld(t *testing.T, property string, spellings ...string) spellingWorld {
	w := spellingWorld{newReportWorld(t)}
	for n, value := range spellings {
		w.add(0, schemas.Event{
			Product: 1, Client: int64(101 + n), Time: w.midday - reportDay, Name: "Open", RandomID: fmt.Sprint("r", n),
			ClientProps: fmt.Appendf(nil, `{%q:%s}`, property, value), Properties: fmt.Appendf(nil, `{"own":%s}`, value),
		})
	}
	return w
}

// matched returns the positions of the clients that pass a filter, in one text.
func (w spellingWorld) matched(member string, filters question) string {
	w.t.Helper()
	var out []string
	for _, c := range w.envelope("clientPropertyList/1", question{member: filters})["result"].([]any) {
		out = append(out, strings.TrimPrefix(c.(question)["clientId"].(string), "10"))
	}
	return strings.Join(out, " ")
}

// labels returns how many clients each series of all values has.
func (w spellingWorld) labels(property string) map[string]string {
	w.t.Helper()
	level := question{"property": property, "segments": []any{question{"type": "regex", "value": ".*", "split": true, "includeNull": true}}}
	answer := w.envelope("generic/current/1", question{"clientStatus": []any{"active"}, "levels": question{"level1": level}})
	out := map[string]string{}
	for label, series := range answer["result"].(question)["level1"].(question) {
		out[label] = fmt.Sprint(series.(question)["totals"].(question)["active"])
	}
	return out
}

// listed returns a property of each client as the client list has it, and as the last
// lines do if they have it.
func (w spellingWorld) listed(property string) (list, lines []string) {
	w.t.Helper()
	for _, c := range w.envelope("clientPropertyList/1", question{"properties": []any{property}})["result"].([]any) {
		text, err := json.Marshal(c.(question)[property])
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, string(text))
	}
	rows := w.envelope("/customEventTracking/getLastLines/1", question{"lineCount": 100})["result"].([]any)
	for _, row := range slices.Backward(rows) {
		if text, there := row.(question)[property].(string); there {
			lines = append(lines, text)
		}
	}
	return list, lines
}

func (w spellingWorld) same(what string, want, got any) {
	w.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestSpellings asks every report, list and export about values in every spelling. The
// cases have the ids of those in ingest/spellings_test.go, which sends them.
func TestSpellings(t *testing.T) {
	value := func(kind string, v any) question { return question{"type": kind, "value": v} }
	t.Run("10.1 licence flags", func(t *testing.T) {
		w := newSpellingWorld(t, "licenseStatus.allowed", `true`, `"true"`, `"True"`, `"TRUE"`, `" yes\n"`, `"Y"`, `1`, `false`, `"maybe"`, `null`)
		w.same("flags", "1 2 3 4 5 6 7", w.matched("globalFilters", question{"licenseStatus": question{"allowed": true}}))
		w.same("flags that are off", "8 9 10", strings.ReplaceAll(w.matched("globalFilters", question{"licenseStatus": question{"allowed": false}}), "110", "10"))
		for _, text := range []string{"true", "TRUE", "yes"} {
			w.same("text "+text, "1 2 3 4 5 6 7", w.matched("globalFilters", question{"licenseStatus.allowed": value("string", text)}))
		}
		w.same("labels", map[string]string{"true": "7", "false": "3", "<NULL>": "0"}, w.labels("licenseStatus.allowed"))
		list, lines := w.listed("licenseStatus.allowed")
		w.same("list", strings.Fields("true true true true true true true false false false"), list)
		w.same("last lines", strings.Fields("Y Y Y Y Y Y Y N N N"), lines)
	})
	t.Run("10.1 boolean property", func(t *testing.T) {
		w := newSpellingWorld(t, "touchScreen", `true`, `"True"`, `"no"`, `0`, `"maybe"`, `null`)
		w.same("labels", map[string]string{"true": "2", "false": "2", "maybe": "1", "<NULL>": "1"}, w.labels("touchScreen"))
		list, _ := w.listed("touchScreen")
		w.same("list", []string{"true", "true", "false", "false", `"maybe"`, `"\u003cNULL\u003e"`}, list)
	})
	t.Run("10.2 numbers as text", func(t *testing.T) {
		w := newSpellingWorld(t, "ram", `8192`, `8192.0`, `" 8192"`, `"+8192"`, `8.192e3`, `"0x2000"`, `"+5"`, `"0x1p4"`)
		for _, f := range []question{value("number", 8192), {"type": "numberRange", "min": 6}, value("string", "8192"), value("string", "8192.0"), value("stringArray", []any{" 8192"}), value("regex", "^8192$")} {
			w.same(fmt.Sprint(f), "1 2 3 4 5", w.matched("globalFilters", question{"ram": f}))
		}
		w.same("no number", "", w.matched("globalFilters", question{"ram": value("number", 16)}))
		w.same("labels", map[string]string{"8192": "5", "0x2000": "1", "5": "1", "0x1p4": "1", "<NULL>": "0"}, w.labels("ram"))
		list, lines := w.listed("ram")
		w.same("list", []string{"8192", "8192", "8192", "8192", "8192", `"0x2000"`, "5", `"0x1p4"`}, list)
		w.same("last lines", strings.Fields("8192 8192 8192 8192 8192 0x2000 5 0x1p4"), lines)
		w.same("event property", "1 2 3 4 5", w.matched("eventProperties", question{"own": value("number", 8192)}))
	})
	t.Run("10.2 texts stay as they are", func(t *testing.T) {
		w := newSpellingWorld(t, "C01", `8192`, `"8192"`, `8192.0`, `" 8192"`)
		w.same("text", "1 2", w.matched("globalFilters", question{"C01": value("string", "8192")}))
		w.same("number", "1 2 3 4", w.matched("globalFilters", question{"C01": value("number", 8192)}))
		w.same("labels", map[string]string{"8192": "2", "8192.0": "1", " 8192": "1", "<NULL>": "0"}, w.labels("C01"))
		list, _ := w.listed("C01")
		w.same("list", []string{`"8192"`, `"8192"`, `"8192.0"`, `" 8192"`}, list)
		var values []string
		for _, v := range w.envelope("/meta/propertyValues/1", question{"property": "C01"})["result"].([]any) {
			values = append(values, v.(question)["value"].(string))
		}
		w.same("property values", []string{" 8192", "8192", "8192.0"}, values)
	})
	t.Run("10.2 key", func(t *testing.T) {
		w := newSpellingWorld(t, "licenseKey", `8192`, `"8192"`, `8192.0`)
		answer := w.envelope("generic/current/1", question{"clientStatus": []any{"active"}, "groupBy": "licenseKey"})
		w.same("groupBy", "2", fmt.Sprint(answer["result"].(question)["totals"].(question)["active"]))
		keys := map[string]string{}
		for _, k := range w.envelope("/license-key-registry/1", question{})["result"].([]any) {
			keys[k.(question)["licenseKey"].(string)] = fmt.Sprint(k.(question)["installCount"])
		}
		w.same("registry", map[string]string{"8192": "2", "8192.0": "1"}, keys)
		w.same("labels", map[string]string{"8192": "2", "8192.0": "1", "<NULL>": "0"}, w.labels("licenseKey"))
	})
	t.Run("10.3 boolean filter of false", func(t *testing.T) {
		for _, property := range []string{"touchScreen", "C01", "ram"} {
			w := newSpellingWorld(t, property, `false`, `"False"`, `"N"`, `0`, `"maybe"`, `"2"`, `""`, `true`)
			w.same(property, "1 2 3 4", w.matched("globalFilters", question{property: value("boolean", false)}))
			w.same(property, "8", w.matched("globalFilters", question{property: value("boolean", true)}))
			w.same("event property", "1 2 3 4", w.matched("eventProperties", question{"own": value("boolean", false)}))
		}
	})
	t.Run("10.19 country", func(t *testing.T) {
		w := newSpellingWorld(t, "geography.country", `"GB"`, `"UK"`, `"gb"`, `"germany"`, `"DE"`, `"USA"`, `"XX"`)
		w.same("filter", "1 2 3 4 5", w.matched("globalFilters", question{"geography": question{"type": "string", "continent": "EU"}}))
		w.same("labels", map[string]string{"EU": "5", "NA": "1", "<NULL>": "1"}, w.labels("geography.continent"))
		list, _ := w.listed("geography.continent")
		w.same("list", []string{`"EU"`, `"EU"`, `"EU"`, `"EU"`, `"EU"`, `"NA"`, `"\u003cNULL\u003e"`}, list)
		_, lines := w.listed("geography.country")
		w.same("the country stays", strings.Fields("GB UK gb germany DE USA XX"), lines)
		values := w.envelope("/meta/propertyValues/1", question{"property": "geography", "granularity": "continent"})["result"].([]any)
		w.same("property values", "[map[value:EU] map[value:NA]]", fmt.Sprint(values))
	})
	t.Run("10.21 list properties", func(t *testing.T) {
		w := newSpellingWorld(t, "C01", `"x"`, `"x"`, `"x"`)
		for n, list := range []string{`["a","b"]`, `[ "\u0061" ]`} {
			w.appendChange(0, schemas.Change{Product: 1, Client: int64(101 + n), Kind: schemas.PropertyChange, Operation: schemas.OpSet, Values: []byte(`{"tags":` + list + `}`), Time: w.midday})
		}
		w.same("whole", "1", w.matched("globalFilters", question{"user.tags": value("string", `["a","b"]`)}))
		w.same("escapes do not count", "2", w.matched("globalFilters", question{"user.tags": value("stringArray", []any{`["a"]`})}))
		w.same("one member is not the list", "", w.matched("globalFilters", question{"user.tags": value("string", "a")}))
		w.same("a member by a regular expression", "1 2", w.matched("globalFilters", question{"user.tags": value("regex", `"a"`)}))
		w.same("null", "3", w.matched("globalFilters", question{"user.tags": question{"includeNull": true}}))
		own := newSpellingWorld(t, "C02", `"x"`, `"y"`)
		own.add(1, schemas.Event{Product: 1, Client: 103, Time: w.midday, Name: "Open", RandomID: "r", Properties: []byte(`{"own":["a","b"]}`)})
		own.same("event property", "3", own.matched("eventProperties", question{"own": value("string", `["a","b"]`)}))
	})
	t.Run("10.20 regular expressions", func(t *testing.T) {
		w := newReportWorld(t)
		w.checkRefused("generic/current", question{"clientStatus": []any{"active"}, "globalFilters": question{"C01": value("regex", "a(?=b)")}},
			"globalFilters.C01.value: is not a regular expression of RE2, which has no look-ahead `(?=`")
	})
}

// TestSpellingsOfRequests has the cases about the members of requests.
func TestSpellingsOfRequests(t *testing.T) {
	w := newReportWorld(t)
	current := func(more question) question {
		body := question{"clientStatus": []any{"active"}}
		maps.Copy(body, more)
		return body
	}
	filter := func(name string, f any) question { return current(question{"globalFilters": question{name: f}}) }
	segment := func(s question) question {
		return current(question{"levels": question{"level1": question{"property": "C01", "segments": []any{s}}}})
	}
	for _, c := range []struct {
		id, path string
		body     question
		field    string // of the 400; "" is a 200
	}{
		{"10.5 null in a list", "generic/current", filter("C01", question{"type": "stringArray", "value": []any{nil}}), "globalFilters.C01.value: "},
		{"10.5 null in a list", "generic/current", question{"clientStatus": []any{"active", nil}}, "clientStatus.1: "},
		{"10.5 null in a list", "clientPropertyList", question{"properties": []any{nil}}, "properties.0: "},
		{"10.5 null in a list", "/license-key-registry", question{"filters": question{"licenseKey": question{"type": "stringArray", "value": []any{nil}}}}, "filters.licenseKey.value: "},
		{"10.6 misnamed member of a filter", "generic/current", filter("C01", question{"type": "string", "value": "x", "valeu": "y"}), "globalFilters.C01.valeu: "},
		{"10.6 misnamed member of a filter", "generic/current", filter("C01", question{"type": "string", "valeu": "x"}), "globalFilters.C01.valeu: "},
		{"10.6 misnamed member of a filter", "generic/current", filter("ram", question{"type": "numberRange", "mni": 5}), "globalFilters.ram.mni: "},
		{"10.6 misnamed member of a filter", "generic/current", filter("ram", question{"type": "number", "value": 5, "max": 7}), "globalFilters.ram.max: "},
		{"10.6 misnamed member of a level", "generic/current", filter("os", question{"type": "string", "platform": "x", "versions": "y"}), "globalFilters.os.versions: "},
		{"10.6 misnamed member of a level", "generic/current", filter("os", question{"type": "string", "platform": question{"valeu": "x", "includeNull": true}}), "globalFilters.os.platform.valeu: "},
		{"10.6 misnamed flag", "generic/current", filter("licenseStatus", question{"allowed": true, "bloked": true}), "globalFilters.licenseStatus.bloked: "},
		{"10.6 misnamed bound", "generic/current", filter("lifetimeEventUsage", question{"name": "Open", "mn": 5}), "globalFilters.lifetimeEventUsage.mn: "},
		{"10.6 misnamed member of a segment", "generic/current", segment(question{"type": "string", "value": "x", "segmentLable": "y"}), "levels.level1.segments.0.segmentLable: "},
		{"10.6 misnamed member of a level", "generic/current", current(question{"levels": question{"level1": question{"property": "C01", "segments": []any{}, "segement": 1}}}), "levels.level1.segement: "},
		{"10.6 misnamed member of an event", "eventTracking/advanced/fullReport", question{"startDate": "NOW", "stopDate": "NOW", "events": []any{question{"name": "Open", "categry": "x"}}}, "events.0.categry: "},
		{"10.6 misnamed condition", "generic/current", current(question{"eventProperties": question{"plan": question{"type": "regex", "value": "x", "split": true}}}), "eventProperties.plan.split: "},
		{"10.6 misnamed member of a filter", "/license-key-registry", question{"filters": question{"installCount": question{"type": "numberRange", "mni": 5}}}, "filters.installCount.mni: "},
		{"10.6 misnamed member of a filter", "/meta/propertyValues", question{"property": "C01", "filter": question{"type": "string", "valeu": "x"}}, "filter.valeu: "},
		{"10.6 elsewhere they are skipped", "generic/current", current(question{"user": "ann@example.org", "nothing": []any{1}}), ""},
		{"10.6 null is as good as absent", "generic/current", filter("C01", question{"type": "string", "value": "x", "min": nil, "other": nil}), ""},
		{"10.7 members that are not read", "generic/current", current(question{"daysUntilDeclaredLost": "x"}), "daysUntilDeclaredLost: must be a whole number"},
		{"10.7 members that are not read", "generic/current", current(question{"daysUntilDeclaredLost": 30.5}), "daysUntilDeclaredLost: must be a whole number"},
		{"10.7 members that are not read", "generic/current", current(question{"dateReportedLost": 5}), "dateReportedLost: "},
		{"10.7 members that are not read", "generic/current", current(question{"segments": question{}}), "segments: "},
		{"10.7 members that are not read", "generic/current", current(question{"events": "x"}), "events: "},
		{"10.7 members that are not read", "generic/current", current(question{"sorting": []any{}}), "sorting: "},
		{"10.7 members that are not read", "eventTracking/basic/dataTable", question{"startDate": "NOW", "stopDate": "NOW", "globalFilters": "x"}, "globalFilters: "},
		{"10.7 members that are not read", "/meta/propertyValues", question{"property": "C01", "getFullList": "x"}, "getFullList: "},
		{"10.7 the live client's members", "generic/current", current(question{"daysUntilDeclaredLost": 30, "dateReportedLost": "dateLastSeen", "globalFilters": question{}, "groupBy": "clientId"}), ""},
		{"10.9 whole numbers", "generic/current", current(question{"daysUntilDeclaredLost": json.Number("30.0")}), ""},
		{"10.9 whole numbers", "generic/current", current(question{"daysUntilDeclaredLost": json.Number("3e1")}), ""},
		{"10.9 whole numbers", "/customEventTracking/getLastLines", question{"lineCount": json.Number("1e0")}, ""},
		{"10.9 whole numbers", "/customEventTracking/getLastLines", question{"lineCount": "5"}, ""},
		{"10.9 whole numbers", "/customEventTracking/getLastLines", question{"lineCount": json.Number("1.5")}, "lineCount: "},
		{"10.9 whole numbers", "/license-key-registry", question{"limit": json.Number("10.0")}, ""},
		{"10.9 whole numbers", "/license-key-registry", question{"limit": json.Number("10.5")}, "limit: "},
		{"10.9 whole numbers", "/license-key-registry/update", question{"keyUpdates": []any{question{"licenseKey": "k", "installQuota": json.Number("3.0")}}}, ""},
		{"10.9 whole numbers", "generic/current", segment(question{"type": "regex", "value": ".", "split": true, "limit": json.Number("2.0")}), ""},
		{"10.10 numbers", "generic/current", filter("ram", question{"type": "number", "value": json.Number("1e400")}), "globalFilters.ram.value: must be a number"},
		{"10.10 numbers", "/license-key-registry", question{"filters": question{"installCount": question{"type": "numberRange", "max": json.Number("1e400")}}}, "filters.installCount.max: "},
		{"10.10 numbers", "/license-key-registry", question{"limit": json.Number("1e400")}, "limit: "},
	} {
		t.Run(c.id, func(t *testing.T) {
			w.t = t
			if c.field != "" {
				w.checkRefused(c.path, c.body, c.field)
				return
			}
			w.envelope(c.path+"/1", c.body)
		})
	}
}

// TestSpellingsOfTheOtherAPIs has the cases of the Events API, the User Events API and
// of what stands around a body.
func TestSpellingsOfTheOtherAPIs(t *testing.T) {
	w := newReportWorld(t)
	const events, counts, users = "/analytics/api/v1/events", "/analytics/api/v1/traffic/event-counts", "/api/v3/business/report/event/user"
	day := w.date(1)
	list := func(more string) string { return `{"startDate":"` + day + `"` + more + `}` }
	for _, c := range []struct {
		id, path, body string
		status         int
		text           string
	}{
		{"10.5 null in a list", events, list(`,"filters":{"name":[null]}`), 400, `"code":"bad_type","message":"filters.name.0`},
		{"10.5 null in a list", events, list(`,"filters":{"id":[null]}`), 400, `"code":"bad_type","message":"filters.id.0`},
		{"10.5 null in a list", events, list(`,"filters":{"user":{"realm":["a",null]}}`), 400, `"code":"bad_type","message":"filters.user.realm.1`},
		{"10.5 null in a list", counts, list(`,"endDate":"` + day + `T10:00","groupByPeriod":"day","filters":{"name":[null]}`), 400, `"code":"bad_type"`},
		{"10.6 misnamed filter", events, list(`,"filters":{"nam":["x"]}`), 400, `"code":"bad_value","message":"filters.nam is no filter"`},
		{"10.6 misnamed filter", events, list(`,"filters":{"user":{"groups":["x"]}}`), 400, `"message":"filters.user.groups is no filter"`},
		{"10.6 elsewhere they are skipped", events, list(`,"other":{"nam":1}`), 200, `"results"`},
		{"10.9 whole numbers", events, list(`,"paging":{"page":1.0,"perPage":1e1}`), 200, `"perPage":10`},
		{"10.9 whole numbers", events, list(`,"paging":{"page":1.5,"perPage":10}`), 400, `"code":"bad_type","message":"paging.page`},
		{"10.9 whole numbers", users, `{"refId":"x","customerId":2847.0,"from":"2025-06-01","until":"2025-06-02"}`, 404, "User not found"},
		{"10.9 whole numbers", users, `{"refId":"x","customerId":2847.5,"from":"2025-06-01","until":"2025-06-02"}`, 400, "Invalid"},
	} {
		t.Run(c.id, func(t *testing.T) {
			w.t = t
			if got := w.post(c.path, "Bearer "+w.tokens["A"], c.body); got.Code != c.status || !strings.Contains(got.Body.String(), c.text) {
				t.Errorf("%s %s: %d %s, want %d %s", c.path, c.body, got.Code, got.Body, c.status, c.text)
			}
		})
	}
	send := func(path, body, encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
		r.Header.Set("Authorization", "Bearer "+w.tokens["A"])
		r.Header.Set("Content-Encoding", encoding)
		out := httptest.NewRecorder()
		w.Handler().ServeHTTP(out, r)
		return out
	}
	t.Run("10.12 compressed bodies", func(t *testing.T) {
		w.t = t
		for _, path := range []string{events, counts, users, "/v3/reporting/generic/current/1", "/v3/auth/logout", "/v3/license-key-registry/1"} {
			for _, encoding := range []string{"gzip", "zstd", "br"} {
				got := send(path, "\x1f\x8b\x08", encoding)
				if got.Code != http.StatusUnsupportedMediaType || !strings.Contains(got.Body.String(), encoding) {
					t.Errorf("%s, %s: %d %s", path, encoding, got.Code, got.Body)
				}
			}
		}
		if got := send("/v3/reporting/generic/current/1", `{"clientStatus":["active"]}`, "identity"); got.Code != http.StatusOK {
			t.Errorf("identity: %d %s", got.Code, got.Body)
		}
	})
	t.Run("10.18 products", func(t *testing.T) {
		w.t = t
		for _, product := range []string{"+1", "01", "1.0", "%2B1", "1%2F", "-1", "0"} {
			if got := send("/v3/reporting/generic/current/"+product, `{"clientStatus":["active"]}`, ""); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "product_id") {
				t.Errorf("%s: %d %s", product, got.Code, got.Body)
			}
		}
		for _, path := range []string{"/v3/reporting/generic%2Fcurrent/1", "/v3/auth%2Fweb", "/analytics/api/v1%2Fevents", "/api/v3/business/report%2Fevent/user"} {
			if got := send(path, `{}`, ""); got.Code != http.StatusNotFound {
				t.Errorf("%s: %d %s", path, got.Code, got.Body)
			}
		}
	})
	t.Run("10.8 logout", func(t *testing.T) {
		w.t = t
		for _, body := range []string{`{"all":"x"}`, `{"all":1}`, `{"all":[true]}`, `{"all":{}}`} {
			if got := send("/v3/auth/logout", body, ""); got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), "all: must be true or false") {
				t.Errorf("%s: %d %s", body, got.Code, got.Body)
			}
		}
		user, err := w.deps.Registry.CreateUser(t.Context(), registry.User{Account: w.account, Email: "bea@example.org"}, listPassword)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{`{"all":null}`, `{"userName":"ann@example.org","password":"x"}`, `not JSON`, `[]`, ``, `{"all":false}`} {
			session, err := w.deps.Registry.NewSession(t.Context(), user.ID)
			if err != nil {
				t.Fatal(err)
			}
			w.session = session.ID
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v3/auth/logout", strings.NewReader(body))
			r.AddCookie(&http.Cookie{Name: cookieSession, Value: w.session})
			got := httptest.NewRecorder()
			if w.Service.Handler().ServeHTTP(got, r); got.Code != http.StatusNoContent { // not all of these bodies are documented
				t.Errorf("%s: %d %s", body, got.Code, got.Body)
			}
		}
	})
}
