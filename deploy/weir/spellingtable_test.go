package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// spelledRow is a row of "What each spelling means" in query/README.md about values
// of properties, or the part of it about a type.
type spelledRow struct {
	row     string
	sentIn  []string // properties of $client; the value is also the event's own property and a user attribute
	readIn  []string // properties that reports read
	values  []spelling
	filters []spelledFilter
}

func (r *spelledRow) id() string { return strings.Join(append([]string{r.row}, r.readIn...), " ") }

// spelling is a value as it is sent, and what it is read as.
type spelling struct {
	sent string // JSON
	text string // where it is a text: of user attributes and events' own properties
	read string // JSON of it in lists, where it has the type of the property; without quotes, it is its label
}

// spelledFilter is a filter and the readings, of either kind, that pass it.
type spelledFilter struct {
	filter  string
	matches []string
}

const null = `"` + noValue + `"`

func spellingTable() []spelledRow {
	only := func(filter string, matches ...string) spelledFilter { return spelledFilter{filter, matches} }
	return []spelledRow{
		{"none", []string{"C01", "licenseType", "ram", "touchScreen", "geography.country"}, []string{"C01", "licenseType", "ram", "touchScreen", "geography.country", "geography.continent"}, []spelling{
			{`null`, noValue, null}, {`""`, noValue, null}, {`"<NULL>"`, noValue, null}, {`"\u003cNULL>"`, noValue, null},
		}, []spelledFilter{only(`{"includeNull":true}`, noValue), only(`{"type":"string","value":"x","includeNull":true}`, noValue), only(`{"type":"string","value":"null"}`)}},
		{"text", []string{"C02", "licenseKey", "prodBuild"}, []string{"C02", "licenseKey", "prodBuild"}, []spelling{
			{`8192`, `8192`, `"8192"`},
			{`"8192"`, `8192`, `"8192"`},
			{`8192.0`, `8192.0`, `"8192.0"`},
			{`" 8192"`, ` 8192`, `" 8192"`},
			{`true`, `true`, `"true"`},
			{`"True"`, `True`, `"True"`},
			{`"a"`, `a`, `"a"`},
			{`"\u0061"`, `a`, `"a"`},
			{`"A"`, `A`, `"A"`},
			{`"a,\"b\"\n"`, "a,\"b\"\n", `"a,\"b\"\n"`},
			{`"\u00e4 "`, `ä `, `"ä "`},
			{`" "`, ` `, `" "`},
		}, []spelledFilter{
			only(`{"type":"string","value":"8192"}`, "8192"), only(`{"type":"stringArray","value":["a","True"]}`, "a", "True"), only(`{"type":"regex","value":"^8192"}`, "8192", "8192.0"),
			only(`{"type":"number","value":8192}`, "8192", "8192.0", " 8192"), only(`{"type":"boolean","value":true}`, "true", "True"),
		}},
		{"number in a property", []string{"ram", "cpuCores"}, []string{"ram", "cpuCores"}, []spelling{
			{`8192`, `8192`, `8192`},
			{`8192.0`, `8192.0`, `8192`},
			{`"+8192"`, `+8192`, `8192`},
			{`8.192e3`, `8.192e3`, `8192`},
			{`" 8192\n"`, " 8192\n", `8192`},
			{`".5"`, `.5`, `0.5`},
			{`5E-1`, `5E-1`, `0.5`},
			{`-0`, `-0`, `0`},
			{`"0x1p4"`, `0x1p4`, `"0x1p4"`},
			{`"1_000"`, `1_000`, `"1_000"`},
			{`"inf"`, `inf`, `"inf"`},
			{`"1e400"`, `1e400`, `"1e400"`},
			{`true`, `true`, `"true"`},
			{`null`, noValue, null},
		}, []spelledFilter{
			only(`{"type":"number","value":8192}`, "8192", "8192.0", "+8192", "8.192e3", " 8192\n"), only(`{"type":"numberRange","min":-1,"max":5e-1}`, "0.5", ".5", "5E-1", "0", "-0"),
			only(`{"type":"string","value":"8192"}`, "8192"), only(`{"type":"number","value":16}`), only(`{"type":"string","value":"0x1p4"}`, "0x1p4"),
		}},
		{"flag, boolean in a property", []string{"touchScreen"}, []string{"touchScreen"}, []spelling{
			{`true`, `true`, `true`},
			{`1`, `1`, `true`},
			{`"1"`, `1`, `true`},
			{`"Y"`, `Y`, `true`},
			{`"yes"`, `yes`, `true`},
			{`" YES\t"`, " YES\t", `true`},
			{`"TRUE"`, `TRUE`, `true`},
			{`false`, `false`, `false`},
			{`0`, `0`, `false`},
			{`"N"`, `N`, `false`},
			{`"no"`, `no`, `false`},
			{`"False"`, `False`, `false`},
			{`"maybe"`, `maybe`, `"maybe"`},
			{`2`, `2`, `"2"`},
			{`null`, noValue, null},
		}, []spelledFilter{
			only(`{"type":"boolean","value":true}`, "true", "1", "Y", "yes", " YES\t", "TRUE"), only(`{"type":"boolean","value":false}`, "false", "0", "N", "no", "False"),
			only(`{"type":"string","value":"true"}`, "true"), only(`{"type":"string","value":"maybe"}`, "maybe"),
		}},
		{"flag, boolean in a property", []string{"licenseStatus.allowed"}, []string{"licenseStatus.allowed"}, []spelling{
			{`true`, `true`, `true`},
			{`1`, `1`, `true`},
			{`"y"`, `y`, `true`},
			{`"Yes"`, `Yes`, `true`},
			{`" true"`, " true", `true`},
			{`"True"`, `True`, `true`},
			{`false`, `false`, `false`},
			{`0`, `0`, `false`},
			{`"n"`, `n`, `false`},
			{`"NO"`, `NO`, `false`},
			{`"maybe"`, `maybe`, `false`},
			{`null`, noValue, `false`},
		}, []spelledFilter{only(`{"type":"boolean","value":true}`, "true", "1", "y", "Yes", " true", "True"), only(`{"type":"boolean","value":false}`, "false", "0", "n", "NO")}},
		{"list in a property", nil, nil, []spelling{
			{`["a","b"]`, `["a","b"]`, ``}, {`[ "\u0061", "b" ]`, `["a","b"]`, ``}, {`["a"]`, `["a"]`, ``}, {`[]`, `[]`, ``}, {`{"a":["a"]}`, noValue, ``},
		}, []spelledFilter{only(`{"type":"string","value":"[\"a\",\"b\"]"}`, `["a","b"]`), only(`{"type":"string","value":"a"}`), only(`{"type":"regex","value":"\"a\""}`, `["a","b"]`, `["a"]`)}},
		{"date in a property", []string{"C03"}, []string{"C03"}, []spelling{
			{`"2026-03-01"`, `2026-03-01`, `"2026-03-01"`},
			{`"2026-03-01T23:59:59-05:00"`, `2026-03-01T23:59:59-05:00`, `"2026-03-01T23:59:59-05:00"`},
			{`"2026-03-01 10:00"`, `2026-03-01 10:00`, `"2026-03-01 10:00"`},
			{`" 2026-03-01"`, ` 2026-03-01`, `" 2026-03-01"`},
			{`"2026-03-02"`, `2026-03-02`, `"2026-03-02"`},
			{`"20260301"`, `20260301`, `"20260301"`},
			{`"2026-03-01x"`, `2026-03-01x`, `"2026-03-01x"`},
			{`"2026-02-30"`, `2026-02-30`, `"2026-02-30"`},
		}, []spelledFilter{
			only(`{"type":"date","value":"2026-03-01"}`, "2026-03-01", "2026-03-01T23:59:59-05:00", "2026-03-01 10:00", " 2026-03-01"),
			only(`{"type":"dateRange","min":"2026-03-02T00:00","max":"2026-03-31"}`, "2026-03-02"),
		}},
		{"country", []string{"geography.country"}, []string{"geography.continent"}, []spelling{
			{`"GB"`, `GB`, `"EU"`},
			{`"gb"`, `gb`, `"EU"`},
			{`"UK"`, `UK`, `"EU"`},
			{`"GBR"`, `GBR`, `"EU"`},
			{`"United Kingdom"`, `United Kingdom`, `"EU"`},
			{`"germany"`, `germany`, `"EU"`},
			{`"USA"`, `USA`, `"NA"`},
			{`"XX"`, `XX`, null},
			{`"Deutschland"`, `Deutschland`, null},
		}, []spelledFilter{only(`{"type":"string","value":"EU"}`, "EU"), only(`{"type":"stringArray","value":["NA","gb"]}`, "NA", "gb")}},
	}
}

// spelledRequest is a request with a spelling that a row of the docs' table is about.
type spelledRequest struct {
	row, path, body string
	status          int
	text            string // in the answer
	examples        string // of the row, where the body has them in another form
}

func spelledRequests() []spelledRequest {
	const current, lines, events, users = "/v3/reporting/generic/current/1000", "/v3/customEventTracking/getLastLines/1000", "/analytics/api/v1/events", "/api/v3/business/report/event/user"
	with := func(members string) string { return `{"clientStatus":["active"],` + members + `}` }
	filter := func(name, f string) string { return with(fmt.Sprintf(`"globalFilters":{%q:%s}`, name, f)) }
	regex := func(pattern string) string { return filter("C01", fmt.Sprintf(`{"type":"regex","value":%q}`, pattern)) }
	dates := func(from, to string) string {
		return fmt.Sprintf(`{"startDate":%q,"stopDate":%q,"clientStatus":["active"]}`, from, to)
	}
	uses := func(from string) string {
		return fmt.Sprintf(`{"refId":"x","customerId":1,"from":%q,"until":"2100-01-01"}`, from)
	}
	const ok, bad, missing = 200, 400, 404
	return []spelledRequest{
		{"none", current, with(`"daysUntilDeclaredLost":null`), ok, "", ""},
		{"whole number in a request", current, with(`"daysUntilDeclaredLost":30`), ok, "", ""},
		{"whole number in a request", current, with(`"daysUntilDeclaredLost":30.0`), ok, "", ""},
		{"whole number in a request", current, with(`"daysUntilDeclaredLost":3e1`), ok, "", ""},
		{"whole number in a request", current, with(`"daysUntilDeclaredLost":30.5`), bad, "daysUntilDeclaredLost", ""},
		{"whole number in a request", current, with(`"daysUntilDeclaredLost":"30"`), bad, "daysUntilDeclaredLost", ""},
		{"whole number in a request", current, with(`"daysUntilDeclaredLost":1e19`), bad, "daysUntilDeclaredLost", ""},
		{"whole number in a request", lines, `{"lineCount":"30"}`, ok, "", ""},
		{"number in a request", current, filter("ram", `{"type":"number","value":8.192e3}`), ok, "", ""},
		{"number in a request", current, filter("ram", `{"type":"number","value":1e400}`), bad, "globalFilters.ram.value", ""},
		{"number in a request", current, filter("ram", `{"type":"number","value":"8192"}`), bad, "globalFilters.ram.value", ""},
		{"boolean in a request", current, filter("touchScreen", `{"type":"boolean","value":true}`), ok, "", ""},
		{"boolean in a request", current, filter("touchScreen", `{"type":"boolean","value":false}`), ok, "", ""},
		{"boolean in a request", current, filter("touchScreen", `{"type":"boolean","value":1}`), bad, "globalFilters.touchScreen.value", ""},
		{"boolean in a request", current, filter("touchScreen", `{"type":"boolean","value":"true"}`), bad, "globalFilters.touchScreen.value", ""},
		{"list in a request", events, `{"startDate":"2026-03-01","filters":{"name":[null]}}`, bad, "bad_type", "`null` `bad_type`"},
		{"list in a request", current, filter("C01", `{"type":"stringArray","value":["a",null]}`), bad, "globalFilters.C01.value", ""},
		{"list in a request", current, filter("C01", `{"type":"stringArray","value":[1]}`), bad, "globalFilters.C01.value", ""},
		{"date in a request", "/v3/reporting/generic/dateRange/1000", dates("2026-03-01", "NOW"), ok, "", "`YYYY-MM-DD` `NOW`"},
		{"date in a request", "/v3/reporting/generic/dateRange/1000", dates("NOW-30", "NOW"), ok, "", ""},
		{"date in a request", "/v3/reporting/generic/dateRange/1000", dates("2026-03-01T00:00", "NOW"), bad, "startDate", ""},
		{"date in a request", events, `{"startDate":"%DAY%"}`, ok, "", ""},
		{"date in a request", events, `{"startDate":"%DAY%T00:00"}`, ok, "", "`YYYY-MM-DD[THH:MM[:SS]]`"},
		{"date in a request", events, `{"startDate":"%DAY%T00:00:00"}`, ok, "", ""},
		{"date in a request", events, `{"startDate":"%DAY%T00:00:00Z"}`, bad, "bad_date", ""},
		{"date in a request", users, uses("20250601T000000+0200"), missing, "User not found", ""},
		{"date in a request", users, uses("NOW"), bad, "Invalid date", ""},
		{"misnamed member", current, filter("C01", `{"type":"string","value":"x","valeu":"y"}`), bad, "globalFilters.C01.valeu", ""},
		{"misnamed member", current, with(`"valeu":"y"`), ok, "", ""},
		{"regular expression", current, regex("^a$"), ok, "", "`^` `$`"},
		{"regular expression", current, regex("a(?=b)"), bad, "no look-ahead", ""},
		{"regular expression", current, regex("(?<=a)b"), bad, "no look-behind", ""},
		{"regular expression", current, regex(`(a)\1`), bad, "no back-references", ""},
		{"regular expression", current, regex("a++"), bad, "no possessive repetition", ""},
	}
}

var codeSpan = regexp.MustCompile("`[^`]+`")

// TestSpellingTableOfTheDocs: TestSpellingsByEveryWay has cases for every row of the
// table in query/README.md, and sends or asks with every example of the row.
func TestSpellingTableOfTheDocs(t *testing.T) {
	cases := map[string]string{}
	for _, row := range spellingTable() {
		cases[row.row] += fmt.Sprint(row)
	}
	for _, r := range spelledRequests() {
		cases[r.row] += fmt.Sprint(r)
	}
	readme, err := os.ReadFile("../../query/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## What each spelling means\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, section, _ = strings.Cut(section, "\n|---|---|\n")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 2 {
			continue // the end of the table
		}
		row := strings.TrimPrefix(cells[0], "| ")
		have, known := cases[row]
		if !known {
			t.Errorf("no case is of the row %q", row)
		}
		delete(cases, row)
		for _, example := range codeSpan.FindAllString(cells[1], -1) {
			whole := `(^|[^\w.])` + regexp.QuoteMeta(strings.Trim(example, "`")) + `($|[^\w.])`
			if !regexp.MustCompile(whole).MatchString(have) {
				t.Errorf("row %q: no case has %s", row, example)
			}
		}
	}
	for row := range cases {
		t.Errorf("no row is named %q", row)
	}
}
