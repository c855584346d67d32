package report

import (
	"errors"
	"fmt"
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
	count := scale{ladder: []int64{1, 2, 3, 5, 8, 12}, label: plainLabel}
	clock := scale{ladder: []int64{5, 15, 30, 60, 120, 240}, label: clockLabel}
	check := func(s scale, numbers []int64, want string) {
		t.Helper()
		bins := s.automatic(numbers)
		var got []string
		for _, b := range bins {
			got = append(got, b.label)
		}
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%v: %s, want %s", numbers, text, want)
		}
		for _, n := range numbers {
			if i := in(bins, n); i < 0 || (!bins[i].last && n > bins[i].high) || (!bins[i].first && n < bins[i].low) {
				t.Errorf("%v: %d is in bin %d", numbers, n, i)
			}
		}
	}
	check(count, nil, "")
	check(count, []int64{0}, "≤ 1")
	check(count, []int64{0, 4}, "≤ 1, 2, 3, 4 - 5")
	check(count, []int64{1, 20}, "≤ 2, 3 - 4, 5 - 6, 7 - 10, 11 - 16, 17 - 24")
	few := make([]int64, 100)
	few[0] = 1_000_000
	check(count, few, "≤ 1, ≥ 2")
	check(clock, []int64{3, 16, 29}, "≤ 0:05, 0:06 - 0:15, 0:16 - 0:30")
	check(clock, []int64{1, 1000}, "≤ 0:25, 0:26 - 1:15, 1:16 - 2:30, 2:31 - 5:00, 5:01 - 10:00, 10:01 - 20:00")
}

// TestPropertiesInAnyOrder: rows of one client come in any split and order.
func TestPropertiesInAnyOrder(t *testing.T) {
	body := `{"startDate":"1970-01-02","stopDate":"1970-01-04","dateSplit":"day","clientStatus":["active"],
		"levels":{"level1":{"property":"prodVersion","segments":[{"type":"regex","value":".*","split":true,"includeNull":true}]}}}`
	said := func(value string, day, offset int64) rollup.Properties {
		return rollup.Properties{{Name: "prodVersion", Value: value, Time: day*dayMS + 5, Offset: offset}}
	}
	days := []rollup.ClientDay{
		{Client: 1, Day: 0, Properties: said(`"0"`, 0, 1)},
		{Client: 1, Day: 1},
		{Client: 1, Day: 2, Properties: said(`"1"`, 2, 7)},
		{Client: 1, Day: 2, Properties: said(`"2"`, 2, 8)},
		{Client: 1, Day: 3, Properties: said(`null`, 3, 4)},
	}
	lives := []rollup.Client{
		{Client: 1, First: 5, Last: 5, Properties: said(`"0"`, 0, 1)},
		{Client: 1, First: 5, Last: 3 * dayMS, Properties: said(`null`, 3, 4)},
	}
	want := `{"1970-01-02":{"level1":{"0":{"totals":{"active":1}},"2":{"totals":{"active":0}},"<NULL>":{"totals":{"active":0}}}},` +
		`"1970-01-03":{"level1":{"0":{"totals":{"active":0}},"2":{"totals":{"active":1}},"<NULL>":{"totals":{"active":0}}}},` +
		`"1970-01-04":{"level1":{"0":{"totals":{"active":0}},"2":{"totals":{"active":0}},"<NULL>":{"totals":{"active":1}}}}}`
	for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 0, 3, 1}} {
		var b Body
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			t.Fatal(err)
		}
		q, err := NewCount(&b, 10)
		if err != nil {
			t.Fatal(err)
		}
		for i := range lives {
			q.AddClient(&lives[(i+order[0])%len(lives)])
		}
		for _, i := range order {
			q.AddDay(&days[i])
		}
		if !q.NeedsPast() {
			t.Fatal("the past is not asked for")
		}
		for _, i := range order {
			q.AddPast(&days[i])
		}
		got, err := json.Marshal(q.Answer())
		if diff := cmp.Diff(want, string(got)); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
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
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var b Body
		if json.Unmarshal([]byte(body), &b) != nil {
			return
		}
		life := &rollup.Client{Client: 1, First: 5, Last: 90 * dayMS, Properties: rollup.Properties{{Name: "C01", Value: `"a"`, Time: 7}}}
		refused := func(err error) bool {
			var wrong *FieldError
			if err != nil && !errors.As(err, &wrong) {
				t.Errorf("%s: %v names no field", body, err)
			}
			return err != nil
		}
		q, err := NewCount(&b, 100)
		if !refused(err) {
			q.AddClient(life)
			q.AddDay(&rollup.ClientDay{Client: 1, Day: 90, Properties: life.Properties})
			q.NeedsPast()
			q.Answer()
		}
		u, err := NewUsageDistribution(&b, 100)
		if !refused(err) {
			u.AddClient(life)
			u.AddDay(&rollup.ClientDay{Client: 1, Day: 90, Sessions: 3, RuntimeMS: 1e9})
			u.Answer()
		}
		e, err := NewEventTimeline(&b, 100)
		if !refused(err) {
			e.AddDay(&rollup.ClientDay{Client: 1, Day: 90})
			e.AddEvent(&rollup.EventDay{Client: 1, Day: 90, Name: "a", Count: 1})
			e.Answer()
		}
	})
}
