package report

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/rollup"
)

// TestRowsInAnyOrder: the answer does not depend on how the rows of a client are
// split and ordered.
func TestRowsInAnyOrder(t *testing.T) {
	body := `{"startDate":"1970-01-02","stopDate":"1970-01-04","dateSplit":"day","clientStatus":["active"],
		"levels":{"level1":{"property":"prodVersion","segments":[{"type":"regex","value":".*","split":true,"includeNull":true}]}}}`
	reported := func(value string, day, offset int64) rollup.Properties {
		return rollup.Properties{{Name: "prodVersion", Value: value, Time: day*dayMS + 5, Offset: offset}}
	}
	days := []rollup.ClientDay{
		{Client: 1, Day: 0, Properties: reported(`"0"`, 0, 1)},
		{Client: 1, Day: 1},
		{Client: 1, Day: 2, Properties: reported(`"1"`, 2, 7)},
		{Client: 1, Day: 2, Properties: reported(`"2"`, 2, 8)},
		{Client: 1, Day: 3, Properties: reported(`null`, 3, 4)},
	}
	clients := []rollup.Client{
		{Client: 1, First: 5, Last: 5, Properties: reported(`"0"`, 0, 1)},
		{Client: 1, First: 5, Last: 3 * dayMS, Properties: reported(`null`, 3, 4)},
	}
	want := `{"result":{"1970-01-02":{"level1":{"0":{"totals":{"active":1}},"2":{"totals":{"active":0}},"<NULL>":{"totals":{"active":0}}}},` +
		`"1970-01-03":{"level1":{"0":{"totals":{"active":0}},"2":{"totals":{"active":1}},"<NULL>":{"totals":{"active":0}}}},` +
		`"1970-01-04":{"level1":{"0":{"totals":{"active":0}},"2":{"totals":{"active":0}},"<NULL>":{"totals":{"active":1}}}}}}`
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 0, 3, 1}} {
		src := &fakeSource{}
		for i := range clients {
			src.clients = append(src.clients, clients[(i+order[0])%len(clients)])
		}
		for _, i := range order {
			src.days = append(src.days, days[i])
		}
		if got := answerOf(t, NewDateRange, body, Params{}, src); got != want {
			t.Errorf("days in the order %v (-want +got):\n%s", order, cmp.Diff(want, got))
		}
	}
}

// TestMemoryLimitDoesNotChangeAnswers: with little memory a question takes more
// passes and has the same answer.
func TestMemoryLimitDoesNotChangeAnswers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	src := &fakeSource{}
	for client := int64(1); client <= 3000; client++ {
		for _, day := range []int64{client % 50, 50 + r.Int64N(40)} {
			version := rollup.Properties{
				{Name: "prodVersion", Value: fmt.Sprintf(`"%d"`, r.IntN(4)), Time: day * dayMS, Offset: client},
				{Name: "machineId", Value: fmt.Sprintf(`"%d"`, client/2), Time: day * dayMS, Offset: client},
			}
			src.days = append(src.days, rollup.ClientDay{
				Client: client, Day: int32(day), Sessions: r.Int64N(5), RuntimeMS: r.Int64N(1e8), Properties: version,
			})
			src.clients = append(src.clients, rollup.Client{
				Client: client, First: day * dayMS, Last: day * dayMS, Sessions: 1, RuntimeMS: 60_000, Properties: version,
			})
			src.events = append(src.events, rollup.EventDay{
				Client: client, Day: int32(day), Name: string(rune('a' + r.IntN(5))), Count: 1 + r.Int64N(9), ValueCount: 1,
			})
		}
	}
	const shared = `"startDate":"1970-01-10","stopDate":"1970-03-20","daysUntilDeclaredLost":5,"dateReportedLost":"dateLastSeen",
		"globalFilters":{"prodVersion":{"type":"stringArray","value":["0","1","3"]}}`
	const segments = `,"segmentBy":"prodVersion","segments":[{"type":"regex","value":".*","split":true,"limit":2,"includeNull":true}]`
	for name, test := range map[string]struct {
		compile func(*Body, Params) (*Question, error)
		body    string
	}{
		"dateRange": {NewDateRange, `{` + shared + `,"dateSplit":"week","clientStatus":["new","active","lost"],
			"levels":{"level1":{"property":"prodVersion","segments":[{"type":"regex","value":".*","split":true}]}}}`},
		"grouped":      {NewDateRange, `{` + shared + `,"groupBy":"machineId","dateSplit":"month","clientStatus":["new","active","lost"]}`},
		"groupedLives": {NewLifetimeTable, `{` + shared + segments + `,"groupBy":"machineId"}`},
		"current":      {NewCurrent, `{` + shared + `,"clientStatus":["new","active","lost"]}`},
		"usage":        {NewUsageDistribution, `{` + shared + `}`},
		"table":        {NewEventTable, `{` + shared + `}`},
		"timeline":     {NewEventTimeline, `{` + shared + `,"dateSplit":"month","dataView":"usageCounts","divisor":"users","events":[{"name":"a"}]}`},
		"histogram":    {NewLifetimeHistogram, `{` + shared + `,"events":[{"name":"a"},{"combiLabel":"x","combiArray":[{"name":"[bc]","nameType":"regex"}]}]}`},
		"lifeTable":    {NewLifetimeTable, `{` + shared + segments + `}`},
		"churn":        {NewChurnTable, `{` + shared + segments + `}`},
		"full":         {NewFullReport, `{` + shared + segments + `,"events":[{"name":"a"},{"name":"b"}]}`},
		"cohorts":      {NewCohorts, `{` + shared + segments + `,"dateSplit":"week"}`},
		"days":         {NewChurnHistogram("days"), `{` + shared + `}`},
		"list":         {NewClientList, `{` + shared + `,"properties":["prodVersion","lifetimeEventUsage"],"retDailyData":{"startDate":"1970-01-01","stopDate":"1970-03-01","properties":["prodVersion"]}}`},
	} {
		want := answerOf(t, test.compile, test.body, Params{}, src)
		if len(want) < 20 {
			t.Errorf("%s: the answer %s is too short to compare", name, want)
		}
		src.scans = 0
		if got := answerOf(t, test.compile, test.body, Params{Bytes: 120_000}, src); got != want {
			t.Errorf("%s with little memory (-want +got):\n%s", name, cmp.Diff(want, got))
		}
		if name != "table" && src.scans < 4 {
			t.Errorf("%s: %d scans with little memory, want several passes", name, src.scans)
		}
	}
}

// TestGroupThatExceedsMemoryIsRefused: all clients of one value of groupBy must fit
// the memory limit together.
func TestGroupThatExceedsMemoryIsRefused(t *testing.T) {
	src := &fakeSource{}
	for client := int64(1); client <= 3000; client++ {
		machine := rollup.Properties{{Name: "machineId", Value: `"one"`, Time: 1, Offset: client}}
		src.clients = append(src.clients, rollup.Client{Client: client, Properties: machine})
	}
	b := &Body{StartDate: new("1970-01-01"), StopDate: new("1970-01-02"), GroupBy: new("machineId"), ClientStatus: []string{"new"}}
	for bytes, fits := range map[int64]bool{100_000: false, 400_000: true} {
		q, err := NewDateRange(b, Params{Now: time.UnixMilli(100 * dayMS), Bytes: bytes})
		if err != nil {
			t.Fatal(err)
		}
		_, err = q.Answer(t.Context(), src)
		if fieldErr := (*FieldError)(nil); fits != (err == nil) || !fits && (!errors.As(err, &fieldErr) || fieldErr.Field != "groupBy") {
			t.Errorf("with %d bytes: %v, want an error of groupBy only if they are too few", bytes, err)
		}
	}
}

// FuzzQuestion: any body is either compiled and answered, or refused with an error
// that names a field.
func FuzzQuestion(f *testing.F) {
	for _, body := range []string{
		`{"startDate":"1970-01-02","stopDate":"NOW-1","dateSplit":"week","clientStatus":["new","lost"],"daysUntilDeclaredLost":3,"dateReportedLost":"dateLastSeen"}`,
		`{"startDate":"1970-01-02","stopDate":"NOW","clientStatus":["active"],"globalFilters":{"os":{"type":"stringArray","version":{"value":["x"],"includeNull":true}},"C01":{"includeNull":true}}}`,
		`{"startDate":"NOW","stopDate":"NOW","clientStatus":["active"],"levels":{"level1":{"property":"licenseStatus","segments":[{"segmentLabel":"a","blocked":true}]}}}`,
		`{"startDate":"NOW-9","stopDate":"NOW","clientStatus":["new"],"globalFilters":{"lifetimeEventUsage":{"combiArray":[{"name":"a"}],"max":3},"licenseStatus":[{"expired":false}]}}`,
		`{"startDate":"NOW-9","stopDate":"NOW","dateSplit":"day","dataView":"customValues","divisor":"runtime","events":[{"category":"","name":"a"}]}`,
		`{"startDate":"NOW-9","stopDate":"NOW","timeZone":"Asia/Kathmandu","events":[{"combiLabel":"x","combiArray":[{"name":"a"}]}],"lowerBounds":{"eventCount":1},"binUpperBounds":{"eventCount":[2,"inf"]}}`,
		`{"startDate":"NOW-9","stopDate":"NOW","groupBy":"machineId","segmentBy":"C01","segments":[{"type":"regex","value":".","split":true,"limit":1}],"sorting":{"events":"eventCounts","segmentsDirection":"desc"},"startAtRow":0,"limit":1}`,
		`{"startDate":"1970-01-01","stopDate":"NOW","dateSplit":"month","daysUntilDeclaredLost":1,"dateReportedLost":"dateDeclaredLost","segmentBy":"installationMonth"}`,
		`{"startAtClientId":"1","properties":["ram","user.plan","lifetimeEventUsage"],"retDailyData":{"startDate":"NOW-3","stopDate":"NOW","properties":["C01"]},"eventProperties":{"a":{"type":"number","value":1}}}`,
	} {
		f.Add(body)
	}
	reported := rollup.Properties{{Name: "C01", Value: `"a"`, Time: 7}, {Name: "machineId", Value: `"m"`, Time: 7}}
	src := &fakeSource{
		clients: []rollup.Client{{Client: 1, First: 5, Last: 90 * dayMS, Properties: reported}},
		days:    []rollup.ClientDay{{Client: 1, Day: 90, Sessions: 3, RuntimeMS: 1e9, Properties: reported}},
		events:  []rollup.EventDay{{Client: 1, Day: 90, Name: "a", Count: 1}},
	}
	f.Fuzz(func(t *testing.T, body string) {
		var b Body
		if json.Unmarshal([]byte(body), &b) != nil {
			return
		}
		for _, compile := range []func(*Body, Params) (*Question, error){
			NewDateRange, NewCurrent, NewUsageDistribution, NewEventTable, NewEventTimeline, NewLifetimeHistogram, NewLifetimeTable,
			NewChurnEventHistogram, NewChurnTable, NewFullReport, NewCohorts, NewChurnHistogram("days"), NewClientList,
		} {
			q, err := compile(&b, Params{Now: time.UnixMilli(100 * dayMS), Page: 1})
			var fieldErr *FieldError
			if err != nil {
				if !errors.As(err, &fieldErr) {
					t.Errorf("%s: error %v names no field", body, err)
				}
				continue
			}
			q.MatchesEvent(`{"a":1}`)
			if _, err := q.Answer(t.Context(), src); err != nil && !errors.As(err, &fieldErr) {
				t.Errorf("%s: %v", body, err)
			}
		}
	})
}
