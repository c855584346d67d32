package query

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir/query/cost"
	"weir/schemas"
)

// costlySegments returns n segments of a level, each of one value.
func costlySegments(n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = map[string]any{"type": "string", "value": fmt.Sprint("v", i), "segmentLabel": fmt.Sprint("version ", i)}
	}
	return out
}

// costlyLevels returns levels that all have n segments.
func costlyLevels(levels, n int) map[string]any {
	out := map[string]any{}
	for i := range levels {
		out[fmt.Sprint("level", i+1)] = map[string]any{"property": "prodVersion", "segments": costlySegments(n)}
	}
	return out
}

// occupyScans takes all places for scans, so that a question that is refused
// all the same was refused before it scanned.
func (w *reportWorld) occupyScans() {
	w.t.Helper()
	for n := range w.cfg.MaxScans {
		place, err := w.views.AcquireScan(w.t.Context(), fmt.Sprint("account ", n))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(place.Release)
	}
}

// TestCostlyQuestionsAreRefusedBeforeTheyScan asks questions of each API that
// cost more than they may.
func TestCostlyQuestionsAreRefusedBeforeTheyScan(t *testing.T) {
	w := newReportWorld(t)
	w.occupyScans()
	type object = map[string]any
	const longRange = "NOW-3690"
	pattern := object{"type": "regex", "value": "(?:x?){1000}"}
	event := object{"category": "c", "categoryType": "regex", "name": "(?:x?){1000}", "nameType": "regex"}
	combination := []any{object{"combiLabel": "all", "combiArray": []any{event}}}
	longName := []any{object{"name": strings.Repeat("n", 100_000)}}
	for _, c := range []struct {
		path string
		body object
		want string
	}{
		{
			"reporting/generic/dateRange",
			object{"clientStatus": []any{"active"}, "startDate": "NOW", "stopDate": "NOW", "levels": costlyLevels(3, 150)},
			"levels.level3.segments: the answer would have 3397650 series, and may have 100000 (query.max_series)",
		},
		{
			"reporting/generic/dateRange",
			object{"clientStatus": []any{"active"}, "startDate": "NOW-3699", "stopDate": "NOW", "dateSplit": "day", "levels": costlyLevels(1, 1000)},
			"levels.level1.segments: the answer would have 3700000 numbers (buckets x series x numbers of each), and may have 3000000 (query.max_counts)",
		},
		{
			"reporting/generic/current",
			object{"clientStatus": []any{"active"}, "levels": costlyLevels(3, 400)},
			"levels.level3.segments.200: is condition number 1001 of the question, which may have 1000 (query.max_conditions)",
		},
		{"reporting/generic/current", object{"clientStatus": []any{"active"}, "globalFilters": object{"prodVersion": pattern}}, "globalFilters.prodVersion.value: is a regular expression that comes to 2001 instructions"},
		{"reporting/eventTracking/basic/dataTable", object{"startDate": "NOW", "stopDate": "NOW", "eventProperties": object{"plan": pattern}}, "eventProperties.plan.value: is a regular expression"},
		{"reporting/eventTracking/basic/timeline", object{"startDate": "NOW-3699", "stopDate": "NOW", "dateSplit": "day", "dataView": "usageCounts", "events": longName}, "events: the answer would have about 370"},
		{"reporting/eventTracking/lifetime/histogram", object{"startDate": "NOW", "stopDate": "NOW", "events": combination}, "events.0.combiArray.0.name: is a regular expression"},
		{"reporting/eventTracking/lifetime/dataTable", object{"startDate": "NOW", "stopDate": "NOW", "globalFilters": object{"lifetimeEventUsage": event}}, "globalFilters.lifetimeEventUsage.name: is a regular expression"},
		{"reporting/eventTracking/advanced/fullReport", object{"startDate": "NOW", "stopDate": "NOW", "events": longName, "segmentBy": "prodVersion", "segments": costlySegments(900)}, "segments: the answer would have about"},
		{
			"reporting/engagement/churnAndEngagement",
			object{"startDate": longRange, "stopDate": "NOW-1", "dateSplit": "day", "daysUntilDeclaredLost": 30, "segmentBy": "prodVersion", "segments": costlySegments(900)},
			"segments: the answer would have",
		},
		{"reporting/clientPropertyList", object{"globalFilters": object{"prodVersion": pattern}}, "globalFilters.prodVersion.value: "},
		{"export/request/clientPropertyList", object{"properties": []any{}, "globalFilters": object{"prodVersion": pattern}}, "globalFilters.prodVersion.value: "},
		{"license-key-registry", object{"filters": object{"licenseKey": pattern}}, "filters.licenseKey.value: is a regular expression"},
		{"meta/propertyValues", object{"property": "prodVersion", "filter": pattern}, "filter.value: is a regular expression"},
		{"meta/propertyValues", object{"property": "prodVersion", "filter": object{"type": "regex", "value": strings.Repeat("x", 2001)}}, "filter.value: is a regular expression of 2001 bytes, and may have 2000 (query.max_pattern_bytes)"},
	} {
		text, err := json.Marshal(c.body)
		if err != nil {
			t.Fatal(err)
		}
		rec := w.ask("/"+c.path+"/1", string(text))
		reason, _ := naiveObject(rec.Body.Bytes())["reason"].(string)
		if rec.Code != http.StatusBadRequest || !strings.HasPrefix(reason, c.want) {
			t.Errorf("%s: answered %d %.200s, want 400 %s", c.path, rec.Code, rec.Body, c.want)
		}
	}
}

// TestLargeQuestionsAreAnswered asks what must pass.
func TestLargeQuestionsAreAnswered(t *testing.T) {
	w := newReportWorld(t)
	for _, body := range []map[string]any{
		{"startDate": "NOW-3652", "stopDate": "NOW", "dateSplit": "day", "clientStatus": []any{"new", "active"}, "levels": costlyLevels(1, 100)},
		{"startDate": "NOW-3652", "stopDate": "NOW", "clientStatus": []any{"new", "active"}, "levels": costlyLevels(3, 20)},
	} {
		w.envelope("generic/dateRange/1", body)
	}
}

// TestSeriesOfTheDataAreBounded asks for a series of each value, of which there
// are more than an answer may have.
func TestSeriesOfTheDataAreBounded(t *testing.T) {
	w := newReportWorld(t)
	for i := range 40 {
		client := int64(100 + i)
		w.add(int32(client%listShards), schemas.Event{
			Product: 1, Client: client, Time: w.midday, Name: "Open", RandomID: fmt.Sprint(i), ClientProps: fmt.Appendf(nil, `{"prodVersion":"%d"}`, i),
		})
	}
	w.reporting.reports.cost = cost.Limits{Series: 10}
	split := []any{map[string]any{"type": "regex", "value": ".*", "split": true}}
	w.checkRefused("generic/current", map[string]any{
		"clientStatus": []any{"active"}, "levels": map[string]any{"level1": map[string]any{"property": "prodVersion", "segments": split}},
	}, "levels.level1.segments: the answer would have 11 series, and may have 10 (query.max_series)")
	w.checkRefused("eventTracking/advanced/fullReport", map[string]any{
		"startDate": "NOW-1", "stopDate": "NOW", "events": []any{map[string]any{"name": "Open"}}, "segmentBy": "prodVersion", "segments": split,
	}, "segments: the answer would have 11 series")
}
