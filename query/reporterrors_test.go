package query

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// checkRefused fails unless a question is answered with a 400 whose reason
// begins with the field.
func (w *reportWorld) checkRefused(path string, body map[string]any, field string) {
	w.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	rec := w.ask(path+"/1", string(text))
	reason, _ := naiveObject(rec.Body.Bytes())["reason"].(string)
	if rec.Code != http.StatusBadRequest || !strings.HasPrefix(reason, field) {
		w.t.Errorf("%s %s:\nanswered %d %s\nwant 400 and a reason that begins with %s", path, text, rec.Code, rec.Body, field)
	}
}

// TestReportsRefuseInvalidMembers asks valid questions in which one member is
// missing or invalid.
func TestReportsRefuseInvalidMembers(t *testing.T) {
	w := newReportWorld(t)
	many := make([]any, 101)
	for i := range many {
		many[i] = map[string]any{"name": fmt.Sprint("n", i)}
	}
	combi := func(label any, of ...any) map[string]any {
		return map[string]any{"combiLabel": label, "combiArray": of}
	}
	open := map[string]any{"category": nil, "name": "Open"}
	bounds := func(v any) map[string]any { return map[string]any{"eventCount": v} }
	for _, c := range []struct {
		paths, member string
		value         any // nil is without the member
		field         string
	}{
		{"lifetime fullReport timeline churnAndEngagement churn/histogram", "startDate", nil, "startDate: "},
		{"lifetime fullReport timeline churnAndEngagement churn/histogram", "stopDate", "1970-01-01", "stopDate: "},
		{"lifetime fullReport timeline churnAndEngagement churn/histogram", "startDate", "1969-12-31", `startDate: "1969-12-31" lies before 1970-01-01`},
		{"lifetime/histogram fullReport timeline", "events", nil, "events: "},
		{"lifetime fullReport timeline", "events", []any{}, "events: "},
		{"lifetime fullReport timeline", "events", many, "events: "},
		{"lifetime fullReport", "events", []any{open, map[string]any{"name": "Open"}}, "events.1"},
		{"lifetime fullReport", "events", []any{combi("a", open), combi("a", open)}, "events.1"},
		{"lifetime fullReport", "events", []any{open, combi(nil, open)}, "events.1"},
		{"lifetime fullReport", "events", []any{combi("a")}, "events.0"},
		{"lifetime fullReport", "events", []any{combi("a", map[string]any{"nameType": "regex", "name": "("})}, "events.0"},
		{"timeline", "events", []any{open, combi("a", open)}, "events.1"},
		{"lifetime/dataTable fullReport churnAndEngagement", "segmentBy", "prodVersion", "segments"},
		{"lifetime/dataTable fullReport churnAndEngagement", "segmentBy", "shoeSize", "segment"},
		{"lifetime/dataTable fullReport", "segmentBy", "installationMonth", "segment"},
		{"lifetime/histogram", "lowerBounds", bounds(1), "binUpperBounds"},
		{"lifetime/histogram", "binUpperBounds", bounds([]any{1}), "lowerBounds"},
		{"lifetime/dataTable", "limit", 0, "limit: "},
		{"lifetime/dataTable", "limit", 1001, "limit: "},
		{"lifetime/dataTable", "startAtRow", -1, "startAtRow: "},
		{"lifetime/dataTable", "sorting", map[string]any{"events": "beauty"}, "sorting.events: "},
		{"lifetime/dataTable", "sorting", map[string]any{"segmentsDirection": "up"}, "sorting.segmentsDirection: "},
		{"churnAndEngagement churn/", "daysUntilDeclaredLost", nil, "daysUntilDeclaredLost: "},
		{"churn/", "dateReportedLost", nil, "dateReportedLost: "},
		{"churnAndEngagement", "dateSplit", nil, "dateSplit: "},
		{"clientPropertyList", "properties", []any{"ram", "shoeSize"}, "properties.1: "},
		{"clientPropertyList", "retDailyData", map[string]any{"stopDate": "NOW"}, "retDailyData.startDate: "},
		{"clientPropertyList", "retDailyData", map[string]any{"startDate": "NOW", "stopDate": "NOW", "properties": []any{"ram"}}, "retDailyData.properties.0: "},
		{"/", "globalFilters", map[string]any{"shoeSize": map[string]any{"type": "number", "value": 42}}, "globalFilters.shoeSize"},
		{"/", "globalFilters", map[string]any{"geography.usState": map[string]any{"type": "regex", "value": "U"}}, "globalFilters.geography.usState.type: "},
		{"/", "eventProperties", map[string]any{"plan": map[string]any{"type": "colour", "value": "x"}}, "eventProperties.plan"},
		{"/", "timeZone", "Atlantis/Poseidonis", "timeZone: "},
	} {
		matched := 0
		for path := range randomQuestions {
			if !matchesAny(path, c.paths) || c.member == "globalFilters" && strings.Contains(path, "basic") {
				continue
			}
			matched++
			body := map[string]any{
				"startDate": "NOW-1", "stopDate": "NOW", "events": []any{open}, "dateSplit": "day", "dataView": "usageCounts",
				"daysUntilDeclaredLost": 9, "dateReportedLost": "dateLastSeen", "clientStatus": []any{"active"},
			}
			w.envelope(path+"/1", body)
			if body[c.member] = c.value; c.value == nil {
				delete(body, c.member)
			}
			w.checkRefused(path, body, c.field)
		}
		if matched == 0 {
			t.Errorf("no report matches %s", c.paths)
		}
	}
}

// matchesAny reports whether a path contains one of some words; "/" is in every
// path.
func matchesAny(path, words string) bool {
	for word := range strings.FieldsSeq(words) {
		if strings.Contains("/"+path, word) {
			return true
		}
	}
	return false
}

// TestInvalidGroupByIsRefused: groupBy is refused where a report has none, and
// for properties that cannot group.
func TestInvalidGroupByIsRefused(t *testing.T) {
	w := newReportWorld(t)
	g := newQuestionGenerator(t, rand.New(rand.NewPCG(8, 8)), w)
	for path, question := range randomQuestions {
		body := question(g)
		for _, member := range []string{"globalFilters", "levels", "segmentBy", "segments", "eventProperties"} {
			delete(body, member)
		}
		for _, by := range []any{"C03", "prodVersion", "shoeSize"} { // C03 is not of type 3
			body["groupBy"] = by
			w.checkRefused(path, body, "groupBy: ")
		}
		body["groupBy"] = "clientId"
		w.envelope(path+"/1", body)
		body["groupBy"] = "machineId"
		if !strings.Contains(path, "generic/") && !strings.Contains(path, "lifetime/") {
			w.checkRefused(path, body, "groupBy: ")
			continue
		}
		body["globalFilters"] = map[string]any{"clientId": map[string]any{"type": "string", "value": "100"}}
		w.checkRefused(path, body, "globalFilters.clientId")
	}
}
