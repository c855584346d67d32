package query

import (
	"encoding/json"
	"net/http"
	"testing"
)

// TestListedPropertiesFilterAndSegment asks for the list of properties, and then
// filters and segments a report by each of them, as the list says it may be.
func TestListedPropertiesFilterAndSegment(t *testing.T) {
	w := newExportWorld(t, Config{})
	list := read[struct {
		Result []struct {
			Properties []struct {
				Name, DataType              string
				SupportsRegex, SupportsNull bool
			}
		}
	}](t, w.ask(w.userA, http.MethodGet, "/v3/meta/productProperties/1001", "").Body.Bytes())
	accepted := func(member, property string, value map[string]any) {
		t.Helper()
		body := map[string]any{"startDate": "NOW", "stopDate": "NOW", "clientStatus": []string{"active"}, member: value}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if rec := w.ask(w.userA, http.MethodPost, "/v3/reporting/generic/dateRange/1001", string(text)); rec.Code != http.StatusOK {
			t.Errorf("%s by %s: %s is answered %d %s", member, property, text, rec.Code, rec.Body)
		}
	}
	conditions := map[string]map[string]any{
		"string":  {"type": "string", "value": "x"},
		"number":  {"type": "number", "value": 1},
		"boolean": {"type": "boolean", "value": true},
		"date":    {"type": "date", "value": "2024-01-01"},
	}
	properties := 0
	for _, category := range list.Result {
		for _, p := range category.Properties {
			properties++
			if p.Name == "lifetimeEventUsage" { // filters alone, by an object of its own
				accepted("globalFilters", p.Name, map[string]any{p.Name: map[string]any{"name": "Open"}})
				continue
			}
			conditions := []map[string]any{conditions[p.DataType]}
			if p.SupportsRegex {
				conditions = append(conditions, map[string]any{"type": "regex", "value": ".*"})
			}
			if p.SupportsNull {
				conditions = append(conditions, map[string]any{"includeNull": true})
			}
			for _, condition := range conditions {
				accepted("globalFilters", p.Name, map[string]any{p.Name: condition})
				if p.DataType == "date" || condition["type"] == nil {
					continue // dates filter alone
				}
				segment := map[string]any{"segmentLabel": "label", "type": condition["type"], "value": condition["value"], "includeNull": p.SupportsNull}
				accepted("levels", p.Name, map[string]any{"level1": map[string]any{"property": p.Name, "segments": []any{segment}}})
			}
		}
	}
	if properties < 60 {
		t.Errorf("%d properties are listed, want those of the document", properties)
	}
}
