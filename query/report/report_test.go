package report

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"weir/schemas/rollup"
)

func day(t testing.TB, text string) Day {
	t.Helper()
	d, err := ParseDay("x", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestBuckets(t *testing.T) {
	check := func(start, stop string, split Split, want ...string) {
		t.Helper()
		r, err := NewRange(day(t, start), day(t, stop), split)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, b := range r.Buckets {
			got = append(got, fmt.Sprintf("%s: %s to %s", b.Key, b.From, b.To-1))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s to %s by %s (-want +got):\n%s", start, stop, split, diff)
		}
		for i, b := range r.Buckets {
			for d := b.From; d < b.To; d++ {
				if got, in := r.bucket(d); !in || got != i {
					t.Errorf("%s is in bucket %d, %v, want %d", d, got, in, i)
				}
			}
		}
	}
	check("2024-02-28", "2024-03-01", ByDay, "2024-02-28: 2024-02-28 to 2024-02-28", "2024-02-29: 2024-02-29 to 2024-02-29",
		"2024-03-01: 2024-03-01 to 2024-03-01")
	check("2024-03-05", "2024-03-17", ByWeek, "2024-03-04: 2024-03-05 to 2024-03-10", "2024-03-11: 2024-03-11 to 2024-03-17")
	check("2024-03-10", "2024-03-11", ByWeek, "2024-03-04: 2024-03-10 to 2024-03-10", "2024-03-11: 2024-03-11 to 2024-03-11")
	check("2023-12-31", "2024-02-01", ByMonth, "2023-12-01: 2023-12-31 to 2023-12-31", "2024-01-01: 2024-01-01 to 2024-01-31",
		"2024-02-01: 2024-02-01 to 2024-02-01")
	check("1970-01-01", "1970-01-01", NoSplit, "1970-01-01: 1970-01-01 to 1970-01-01")
}

func TestDays(t *testing.T) {
	today := DayOf(time.Date(2024, 3, 1, 23, 59, 59, 0, time.UTC))
	for text, want := range map[string]string{"NOW": "2024-03-01", "NOW-0": "2024-03-01", "NOW-30": "2024-01-31", "2024-02-29": "2024-02-29"} {
		if got, err := ParseDay("x", text, today); err != nil || got.String() != want {
			t.Errorf("%s = %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "now", "NOW30", "NOW--1", "NOW-x", "2024-02-30", "2024-2-3", "1969-12-31", "2024-02-29T00:00:00"} {
		wrong := (*FieldError)(nil)
		if _, err := ParseDay("x", text, today); !errors.As(err, &wrong) || wrong.Field != "x" {
			t.Errorf("%q: %v, want an error of field x", text, err)
		}
	}
	if _, err := NewRange(0, maxBuckets, ByDay); err == nil {
		t.Error("a range of too many days was split")
	}
}

func TestAutomaticBins(t *testing.T) {
	check := func(s scale, numbers []int64, want string) {
		t.Helper()
		exact, rounded, ends := distribution{}, distribution{}, s.binEnds()
		for _, n := range numbers {
			exact[n]++
			rounded[roundUp(ends, n)]++
		}
		bins := s.automaticBins(exact)
		var got []string
		for _, b := range bins {
			got = append(got, b.label)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%v: %s, want %s", numbers, text, want)
		}
		if diff := cmp.Diff(bins, s.automaticBins(rounded), cmp.AllowUnexported(bin{})); diff != "" {
			t.Errorf("%v: bins of rounded numbers differ: %s", numbers, diff)
		}
		if diff := cmp.Diff(histogram(bins, exact), histogram(bins, rounded)); diff != "" {
			t.Errorf("%v: histogram of rounded numbers differs: %s", numbers, diff)
		}
		sum := int64(0)
		for _, n := range histogram(bins, exact) {
			sum += n
		}
		if sum != int64(len(numbers)) {
			t.Errorf("%v: %d are in a bin", numbers, sum)
		}
	}
	check(sessionScale(), nil, "")
	check(sessionScale(), []int64{0}, "≤ 1")
	check(sessionScale(), []int64{0, 4}, "≤ 1, 2, 3, 4 - 5")
	check(sessionScale(), []int64{1, 20}, "≤ 2, 3 - 4, 5 - 6, 7 - 10, 11 - 16, 17 - 24")
	few := make([]int64, 100)
	few[0] = 1_000_000
	check(sessionScale(), few, "≤ 1, ≥ 2")
	check(dayScale(), []int64{1, 4}, "1, 2, 3, 4 - 5")
	check(dayScale(), []int64{1, 20}, "1 - 2, 3 - 4, 5 - 6, 7 - 10, 11 - 16, 17 - 24")
	check(runtimeScale(), []int64{3, 16, 29}, "≤ 0:05, 0:06 - 0:15, 0:16 - 0:30")
	check(runtimeScale(), []int64{1, 1000}, "≤ 0:25, 0:26 - 1:15, 1:16 - 2:30, 2:31 - 5:00, 5:01 - 10:00, 10:01 - 20:00")
	check(averageScale(), []int64{0, 7, 25}, "0.0 - 0.1, 0.11 - 0.2, 0.21 - 0.5")
	check(averageScale(), []int64{501}, "0.0 - 0.2, 0.21 - 0.4, 0.41 - 1.0, 1.01 - 2.0, 2.01 - 4.0, 4.01 - 10.0")
}

// TestPropertiesInAnyOrder: rows of one client come in any split and order.
func TestPropertiesInAnyOrder(t *testing.T) {
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
	lives := []rollup.Client{
		{Client: 1, First: 5, Last: 5, Properties: reported(`"0"`, 0, 1)},
		{Client: 1, First: 5, Last: 3 * dayMS, Properties: reported(`null`, 3, 4)},
	}
	want := `{"result":{"1970-01-02":{"level1":{"0":{"totals":{"active":1}},"2":{"totals":{"active":0}},"<NULL>":{"totals":{"active":0}}}},` +
		`"1970-01-03":{"level1":{"0":{"totals":{"active":0}},"2":{"totals":{"active":1}},"<NULL>":{"totals":{"active":0}}}},` +
		`"1970-01-04":{"level1":{"0":{"totals":{"active":0}},"2":{"totals":{"active":0}},"<NULL>":{"totals":{"active":1}}}}}}`
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 0, 3, 1}} {
		src := &fakeSource{}
		for i := range lives {
			src.clients = append(src.clients, lives[(i+order[0])%len(lives)])
		}
		for _, i := range order {
			src.days = append(src.days, days[i])
		}
		if got := answerOf(t, NewDateRange, body, Params{}, src); got != want {
			t.Errorf("%v (-want +got):\n%s", order, cmp.Diff(want, got))
		}
	}
}

// TestAnyMemoryAnswersTheSame: clients are looked at in as many passes as it
// takes.
func TestAnyMemoryAnswersTheSame(t *testing.T) {
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
			t.Errorf("%s says little: %s", name, want)
		}
		src.scans = 0
		if got := answerOf(t, test.compile, test.body, Params{Bytes: 120_000}, src); got != want {
			t.Errorf("%s in little memory (-want +got):\n%s", name, cmp.Diff(want, got))
		}
		if name != "table" && src.scans < 4 {
			t.Errorf("%s: %d scans in little memory", name, src.scans)
		}
	}
}

// TestOneLargeGroup: who is counted as one has to fit memory together.
func TestOneLargeGroup(t *testing.T) {
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
		if wrong := (*FieldError)(nil); fits != (err == nil) || !fits && (!errors.As(err, &wrong) || wrong.Field != "groupBy") {
			t.Errorf("in %d bytes: %v", bytes, err)
		}
	}
}

// FuzzQuestion: whatever is asked is compiled and answered, or refused with
// the field that is wrong.
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
			var wrong *FieldError
			if err != nil {
				if !errors.As(err, &wrong) {
					t.Errorf("%s: %v names no field", body, err)
				}
				continue
			}
			q.MatchesEvent(`{"a":1}`)
			if _, err := q.Answer(t.Context(), src); err != nil && !errors.As(err, &wrong) {
				t.Errorf("%s: %v", body, err)
			}
		}
	})
}

// TestSegmentsOfOnePercentGoByLabel: what shows as the same is the same.
func TestSegmentsOfOnePercentGoByLabel(t *testing.T) {
	s, p := sorting{bySegments: byPercent, segmentsDown: true}, &series{labels: []string{"a", "b"}, units: []int64{10_000, 10_000}}
	if got := s.segments(p, 0, 1, &tableCell{users: 1}, &tableCell{users: 2}); got >= 0 {
		t.Errorf("of 10,000 clients 1 and 2, both 0.0 per cent: %d, want the order of the labels", got)
	}
}
