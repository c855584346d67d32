package query

import (
	"encoding/json"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/lake/laketest"
)

// answer is the envelope that a question is to get that is asked now.
func (n *naiveReport) answer(path string, body map[string]any, now time.Time) map[string]any {
	v := n.view(body, now)
	var result any
	switch path {
	case "generic/dateRange":
		result = v.dateRange()
	case "generic/current":
		result = v.current()
	case "engagement/usageDistribution":
		result = v.distribution()
	case "engagement/churnAndEngagement":
		result = v.engagement()
	case "eventTracking/basic/dataTable":
		result = v.eventTable()
	case "eventTracking/basic/timeline":
		result = v.timeline()
	case "eventTracking/lifetime/histogram":
		result = v.lifetimeHistogram(v.activeUnits())
	case "eventTracking/churn/lifetime/histogram":
		result = v.lifetimeHistogram(v.lostUnits())
	case "eventTracking/lifetime/dataTable":
		return v.lifetimeTable(v.activeUnits())
	case "eventTracking/churn/lifetime/dataTable":
		return v.lifetimeTable(v.lostUnits())
	case "eventTracking/advanced/fullReport":
		result = v.fullReport()
	case "clientPropertyList", "/export/request/clientPropertyList":
		return v.clientList()
	default:
		result = v.lossHistogram(strings.TrimPrefix(path, "churn/histogram/"))
	}
	return map[string]any{"status": "OK", "result": result}
}

// anyReport is a random question of every report, by path.
var anyReport = map[string]func(g *asker) map[string]any{
	"generic/dateRange":             func(g *asker) map[string]any { return g.grouped(g.dateRange) },
	"generic/current":               func(g *asker) map[string]any { return g.grouped(g.current) },
	"engagement/usageDistribution":  (*asker).distribution,
	"engagement/churnAndEngagement": (*asker).engagement,
	"churn/histogram/days":          (*asker).loss,
	"churn/histogram/sessions":      (*asker).loss,
	"churn/histogram/runtime":       (*asker).loss,
	"eventTracking/basic/dataTable": (*asker).question,
	"eventTracking/basic/timeline":  (*asker).timeline,
	"eventTracking/lifetime/histogram": func(g *asker) map[string]any {
		return g.grouped(g.lifetimeHistogram)
	},
	"eventTracking/lifetime/dataTable": func(g *asker) map[string]any { return g.grouped(g.lifetimeTable) },
	"eventTracking/churn/lifetime/histogram": func(g *asker) map[string]any {
		return g.losses(g.grouped(g.lifetimeHistogram))
	},
	"eventTracking/churn/lifetime/dataTable": func(g *asker) map[string]any {
		return g.losses(g.grouped(g.lifetimeTable))
	},
	"eventTracking/advanced/fullReport":  (*asker).fullReport,
	"clientPropertyList":                 (*asker).clientList,
	"/export/request/clientPropertyList": (*asker).clientList,
}

// sent is a body as its reader sees it.
func sent(t testing.TB, body map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// plain is an answer as its reader sees it, numbers as they are written.
func plain(t testing.TB, answer any) map[string]any {
	t.Helper()
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return naiveObject(text)
}

// worlds calls f with somebody who asks about different worlds, until n
// questions were asked.
func worlds(t *testing.T, n int, f func(g *asker)) {
	t.Helper()
	const each = 50
	n = laketest.Some(n)
	name := fnv.New64a()
	name.Write([]byte(t.Name()))
	for seed := range uint64((n + each - 1) / each) {
		r := rand.New(rand.NewPCG(seed, name.Sum64()))
		w := newReportWorld(t)
		w.clients = []int{24, 24, 4, 60}[seed%4]
		w.fill(r, 200+r.IntN(600))
		g := newAsker(t, r, w)
		if seed%2 == 0 {
			w.flag()
			g.naive.flags = reportFlags
		}
		if seed%3 == 1 {
			w.listPage, g.naive.paged = 3, 3
		}
		for range min(n, each) {
			f(g)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// check holds an answer to the naive one.
func (g *asker) check(path string, body map[string]any) {
	g.t.Helper()
	g.checked(path, body)
}

// checked returns the answer, too. A question that is asked around midnight is
// asked again.
func (g *asker) checked(path string, body map[string]any) map[string]any {
	g.t.Helper()
	asked := sent(g.t, body)
	for {
		before := naiveDate(time.Now(), naiveZone(asked))
		got := g.w.envelope(path+"/1", body)
		now := time.Now()
		if naiveDate(now, naiveZone(asked)) != before {
			continue
		}
		if diff := cmp.Diff(plain(g.t, g.naive.answer(path, asked, now)), got); diff != "" {
			text, _ := json.Marshal(body)
			g.t.Errorf("%s %s\n(-want +got):\n%s", path, text, diff)
		}
		return got
	}
}

func TestDateRangeAgainstRawEvents(t *testing.T) {
	worlds(t, 300, func(g *asker) { g.check("generic/dateRange", g.grouped(g.dateRange)) })
}

func TestCurrentAgainstRawEvents(t *testing.T) {
	worlds(t, 200, func(g *asker) { g.check("generic/current", g.grouped(g.current)) })
}

// TestGroupsAreOfValuesAsTheyAreWritten: 7 and "7" are one.
func TestGroupsAreOfValuesAsTheyAreWritten(t *testing.T) {
	w := newReportWorld(t)
	typeThree(w)
	for n, said := range []string{`{"C02":7}`, `{"C02":"7"}`, `{"C02":"8"}`} {
		w.add(int32(n), schemas.Event{Product: 1, Client: 100 + int64(n), Time: w.midday - reportDay, Name: "Open", RandomID: "r", ClientProps: []byte(said)})
	}
	got := w.envelope("generic/current/1", map[string]any{"clientStatus": []any{"active"}, "groupBy": "C02"})
	want := map[string]any{"status": "OK", "result": map[string]any{"totals": map[string]any{"active": 2}}}
	if diff := cmp.Diff(plain(t, want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReportsInPasses: where memory is short, each client is looked at in a
// pass of its own, and the answer is the same.
func TestReportsInPasses(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	w := newReportWorld(t)
	w.clients, w.cfg.ReportBytes = 4, 1
	w.fill(r, 200)
	g := newAsker(t, r, w)
	for range 4 {
		for _, path := range naiveSorted(anyReport) {
			g.check(path, anyReport[path](g))
		}
	}
}
