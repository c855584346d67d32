package query

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/lake"
	"weir/schemas/lake/laketest"
	"weir/schemas/values"
)

const eventCountsPath = "/analytics/api/v1/traffic/event-counts"

// naiveCounts is a question for event counts. It compares dates as texts, as
// clocks of the zone show them.
type naiveCounts struct {
	naiveQuestion         // its filters alone count
	from, to, group, zone string
}

func (q naiveCounts) body() string {
	text, _ := json.Marshal(map[string]any{
		"startDate": q.from, "endDate": q.to, "groupByPeriod": q.group, "timeZone": q.zone,
		"filters": map[string]any{
			"name": q.names,
			"user": map[string]any{"id": q.ids, "realm": q.realms, "group": q.groups, "role": q.roles},
		},
	})
	return string(text)
}

// seconds writes a date of the API in full.
func (naiveCounts) seconds(date string) string { return date + "2000-01-01T00:00:00"[len(date):] }

// shortest writes a date as answers do.
func (naiveCounts) shortest(date string) string { return strings.TrimSuffix(date, "T00:00:00") }

// next returns where the period that has a date ends.
func (q naiveCounts) next(date string) string {
	day, _ := time.Parse(time.DateOnly, date[:10])
	end := day.AddDate(0, 0, 1)
	for q.group == "week" && end.Weekday() != time.Monday || q.group == "month" && end.Day() != 1 {
		end = end.AddDate(0, 0, 1)
	}
	return end.Format(values.SecondLayout)
}

func (q naiveCounts) answer(t testing.TB, all []stored, products []int64) map[string]any {
	zone, err := time.LoadLocation(q.zone)
	if err != nil {
		t.Fatal(err)
	}
	q.start, q.end = 0, 1<<40
	counts := map[string]map[string]int{}
	for _, name := range q.names {
		counts[name] = map[string]int{}
	}
	var starts []string
	for at := q.seconds(q.from); at < q.seconds(q.to); at = q.next(at) {
		starts = append(starts, at)
	}
	for _, s := range all {
		at := time.UnixMilli(s.Time).In(zone).Format("2006-01-02T15:04:05.000")
		if !q.wants(s, products) || at < q.seconds(q.from) || at >= q.seconds(q.to) {
			continue
		}
		if counts[s.Name] == nil {
			counts[s.Name] = map[string]int{}
		}
		for _, start := range slices.Backward(starts) {
			if at >= start {
				counts[s.Name][start]++
				break
			}
		}
	}
	results := []any{}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		periods := []any{}
		for i, start := range starts {
			end := q.seconds(q.to)
			if i+1 < len(starts) {
				end = starts[i+1]
			}
			periods = append(periods, map[string]any{
				"periodStartDate": q.shortest(start), "periodEndDate": q.shortest(end), "eventCount": float64(counts[name][start]),
			})
		}
		results = append(results, map[string]any{"name": name, "periods": periods})
	}
	return map[string]any{"startDate": q.from, "endDate": q.to, "groupByPeriod": q.group, "results": results}
}

// randomCounts asks about parts of the time of randomEvent, in which clocks are
// changed in each zone.
func randomCounts(r *rand.Rand) naiveCounts {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	layout := func() string { return pick(time.DateOnly, time.DateOnly, values.MinuteLayout, values.SecondLayout) }
	to := time.UnixMilli(listNow).UTC().Add(time.Duration(r.IntN(48)-24*r.IntN(80)) * time.Hour)
	from := to.Add(-time.Duration(1+[]int{r.IntN(60), r.IntN(48 * 3600), r.IntN(100 * 24 * 3600)}[r.IntN(3)]) * time.Second)
	q := naiveCounts{
		naiveQuestion: randomQuestion(r), from: from.Format(layout()), to: to.Format(layout()), group: pick("day", "week", "month"),
		zone: pick("", "UTC", "", "Europe/Malta", "America/New_York", "Australia/Lord_Howe"),
	}
	if r.IntN(2) == 0 {
		q.ids, q.realms, q.groups, q.roles = nil, nil, nil, nil
	}
	if q.seconds(q.to) <= q.seconds(q.from) {
		q.to = from.AddDate(0, 0, 1).Format(time.DateOnly)
	}
	return q
}

// countedWorld has random events, committed in part, and rollups of their days
// that end elsewhere.
func countedWorld(t testing.TB, r *rand.Rand, n int) *listWorld {
	w := newListWorld(t, Config{})
	for range n {
		w.fill(r, 20)
		shard := int32(r.IntN(listShards))
		from := w.rolled[lake.EventDays][shard]
		if to := from + r.Int64N(w.shards[shard].state.Next-from+1); to > from {
			w.rollUp(lake.EventDays, shard, to)
		}
	}
	return w
}

func (w *listWorld) count(token, body string, headers ...string) (map[string]any, http.Header) {
	w.t.Helper()
	rec := w.post(eventCountsPath, "Bearer "+w.tokens[token], body, headers...)
	if rec.Code != http.StatusOK {
		w.t.Fatalf("%s: status %d: %s", body, rec.Code, rec.Body)
	}
	return generic(rec.Body.Bytes()).(map[string]any), rec.Header()
}

// TestEventCountsAgree compares answers with the naive ones, from rollups, from
// events and from both.
func TestEventCountsAgree(t *testing.T) {
	for seed := range uint64(laketest.Repetitions(4)) {
		r := rand.New(rand.NewPCG(seed, 33))
		w := countedWorld(t, r, 15+r.IntN(30))
		for range 30 {
			q := randomCounts(r)
			token, products := "A", []int64{1, 2, 3}
			if r.IntN(4) == 0 {
				token, products = "A2", []int64{2}
			}
			got, header := w.count(token, q.body())
			if diff := cmp.Diff(any(q.answer(t, w.all(nil), products)), any(got)); diff != "" {
				t.Fatalf("seed %d: %s\n(-want +got):\n%s", seed, q.body(), diff)
			}
			if got, want := header.Get(headerWatermark), w.newest().String(); got != want || header.Get(headerPartial) != "" {
				t.Fatalf("seed %d: watermark %s, want %s", seed, got, want)
			}
		}
	}
}

// TestEventCountsAgreeWithTheList: the dates of each period, sent to the list, give
// its count as totalCount, also under a watermark that was sent back while more
// came in.
func TestEventCountsAgreeWithTheList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 34))
	w := countedWorld(t, r, 25)
	_, header := w.count("A", `{"startDate":"2025-11-01","endDate":"2025-12-01","groupByPeriod":"day"}`)
	w.fill(r, 300)
	for range laketest.Repetitions(4) {
		q := randomCounts(r)
		q.zone = ""
		var sent []string
		if r.IntN(2) == 0 {
			sent = []string{headerWatermark, header.Get(headerWatermark)}
		}
		got, _ := w.count("A", q.body(), sent...)
		for _, result := range got["results"].([]any) {
			name := result.(map[string]any)["name"]
			for _, period := range result.(map[string]any)["periods"].([]any) {
				p := period.(map[string]any)
				ask := map[string]any{"startDate": p["periodStartDate"], "endDate": p["periodEndDate"], "filters": map[string]any{
					"name": []any{name}, "user": map[string]any{"id": q.ids, "realm": q.realms, "group": q.groups, "role": q.roles},
				}}
				body, _ := json.Marshal(ask)
				list := generic(w.post(eventsPath, "Bearer "+w.tokens["A"], string(body), sent...).Body.Bytes()).(map[string]any)
				if total := list["paging"].(map[string]any)["totalCount"]; total != p["eventCount"] {
					t.Fatalf("%s with %q: %v has %v events, the list %v", q.body(), sent, p, p["eventCount"], total)
				}
			}
		}
	}
}

// TestEventCountsComeFromRollups: whole days are answered without the data files of
// `events`, and a cut-off day needs them.
func TestEventCountsComeFromRollups(t *testing.T) {
	w := newListWorld(t, Config{})
	for i := range int64(10) {
		w.append(0, schemas.Event{Product: 1, Client: 7, Time: listNow - i*dayMS/2, Name: "a", RandomID: fmt.Sprint(i)})
	}
	w.commit(0, w.shards[0].next)
	w.rollUp(lake.EventDays, 0, w.shards[0].next)
	w.breakLake()
	got, _ := w.count("A", `{"startDate":"2025-11-01","endDate":"2025-12-01","groupByPeriod":"month"}`)
	if fmt.Sprint(got["results"]) != "[map[name:a periods:[map[eventCount:10 periodEndDate:2025-12-01 periodStartDate:2025-11-01]]]]" {
		t.Errorf("%v", got["results"])
	}
	for _, body := range []string{
		`{"startDate":"2025-11-01","endDate":"2025-12-01","groupByPeriod":"month","timeZone":"Europe/Malta"}`,
		`{"startDate":"2025-11-01","endDate":"2025-11-22T00:00:01","groupByPeriod":"month"}`,
	} {
		if rec := w.post(eventCountsPath, "Bearer "+w.tokens["A"], body); rec.Code != http.StatusInternalServerError {
			t.Errorf("%s without data files of events: %d %s", body, rec.Code, rec.Body)
		}
	}
}

// TestEventCountsAreBounded: an answer that is too large is refused, from events
// and from rollups, and is not blamed on a field.
func TestEventCountsAreBounded(t *testing.T) {
	w := newListWorld(t, Config{})
	for i := range int64(300) {
		w.append(0, schemas.Event{Product: 1, Client: 7, Time: listNow - i, Name: fmt.Sprint("name ", i), RandomID: fmt.Sprint(i)})
	}
	w.commit(0, w.shards[0].next)
	w.rollUp(lake.EventDays, 0, w.shards[0].next)
	const tenYears = `{"startDate":"2016-01-01","endDate":"2026-02-01","groupByPeriod":"day"`
	for _, more := range []string{``, `,"timeZone":"Europe/Malta"`, `,"filters":{"user":{"id":"7"}}`} {
		rec := w.post(eventCountsPath, "Bearer "+w.tokens["A"], tenYears+more+"}")
		body := generic(rec.Body.Bytes()).(map[string]any)
		if rec.Code != http.StatusBadRequest || body["code"] != "too_many_counts" || body["field"] != nil {
			t.Errorf("300 names in 3683 days%s: %d %s", more, rec.Code, rec.Body)
		}
	}
	got, _ := w.count("A", tenYears+`,"filters":{"name":["name 7","none"]}}`)
	if len(got["results"].([]any)) != 2 {
		t.Errorf("two names: %d results", len(got["results"].([]any)))
	}
}

// FuzzDecodeCountsQuestion reads anything as a question for event counts: it is
// refused with a 400, or its periods divide its time.
func FuzzDecodeCountsQuestion(f *testing.F) {
	for _, body := range []string{
		`{"startDate":"2024-01-01","endDate":"2024-05-01T00:00","groupByPeriod":"week","filters":{"name":["khub.search"]}}`,
		`{"startDate":"2024-03-31T02:30","endDate":"2024-04-01","groupByPeriod":"day","timeZone":"Europe/Malta"}`,
		`{"startDate":"0000-01-01","endDate":"9999-12-31T23:59:59","groupByPeriod":"month"}`,
		`{"startDate":"1969-12-31T23:59:59","endDate":"1970-01-01","groupByPeriod":"month","timeZone":"Local"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		q, err := decodeCountsQuestion(strings.NewReader(body), time.UnixMilli(listNow), 0)
		if err != nil {
			if !bad(err) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		at := q.wall.from
		for _, period := range q.periods.Buckets {
			span := q.span(period)
			if span.from != at || span.to <= at {
				t.Fatalf("%q: a period from %d to %d begins or ends elsewhere than at %d", body, span.from, span.to, at)
			}
			at = span.to
		}
		if first, end := q.wholeDays(); at != q.wall.to || first < end && (int64(first)*dayMS < q.wall.from || int64(end)*dayMS > q.wall.to) {
			t.Errorf("%q: periods end at %d, whole days are %d to %d", body, at, first, end)
		}
	})
}
