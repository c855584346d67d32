package query

import (
	"encoding/json"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weir/schemas"
	"weir/schemas/lake/laketest"
)

// answer returns the envelope that the naive model gives to a question at a
// time.
func (n *naiveReport) answer(path string, body map[string]any, now time.Time) map[string]any {
	v := n.view(body, now)
	var result any
	switch path {
	case "generic/dateRange":
		result = v.dateRange()
	case "generic/current":
		result = v.current()
	case "engagement/usageDistribution":
		result = v.usageDistribution()
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
	case "/export/request/clientPropertyList":
		if v.body["properties"] == nil {
			v.body = maps.Clone(v.body)
			v.body["properties"] = everyListed()
		}
		return v.clientList()
	case "clientPropertyList":
		return v.clientList()
	default:
		result = v.churnHistogram(strings.TrimPrefix(path, "churn/histogram/"))
	}
	return map[string]any{"status": "OK", "result": result}
}

// randomQuestions makes a random question for each report, by path.
var randomQuestions = map[string]func(g *questionGenerator) map[string]any{
	"generic/dateRange":             func(g *questionGenerator) map[string]any { return g.withGroupBy(g.dateRange) },
	"generic/current":               func(g *questionGenerator) map[string]any { return g.withGroupBy(g.current) },
	"engagement/usageDistribution":  (*questionGenerator).usageDistribution,
	"engagement/churnAndEngagement": (*questionGenerator).engagement,
	"churn/histogram/days":          (*questionGenerator).churnHistogram,
	"churn/histogram/sessions":      (*questionGenerator).churnHistogram,
	"churn/histogram/runtime":       (*questionGenerator).churnHistogram,
	"eventTracking/basic/dataTable": (*questionGenerator).rangeQuestion,
	"eventTracking/basic/timeline":  (*questionGenerator).timeline,
	"eventTracking/lifetime/histogram": func(g *questionGenerator) map[string]any {
		return g.withGroupBy(g.lifetimeHistogram)
	},
	"eventTracking/lifetime/dataTable": func(g *questionGenerator) map[string]any { return g.withGroupBy(g.lifetimeTable) },
	"eventTracking/churn/lifetime/histogram": func(g *questionGenerator) map[string]any {
		return g.withLossRule(g.withGroupBy(g.lifetimeHistogram))
	},
	"eventTracking/churn/lifetime/dataTable": func(g *questionGenerator) map[string]any {
		return g.withLossRule(g.withGroupBy(g.lifetimeTable))
	},
	"eventTracking/advanced/fullReport":  (*questionGenerator).fullReport,
	"clientPropertyList":                 (*questionGenerator).clientList,
	"/export/request/clientPropertyList": (*questionGenerator).clientList,
}

// decoded returns a body as its reader decodes it.
func decoded(t testing.TB, body map[string]any) map[string]any {
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

// encodedAnswer returns an answer as its reader decodes it, with numbers as
// they are written.
func encodedAnswer(t testing.TB, answer any) map[string]any {
	t.Helper()
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	return naiveObject(text)
}

// againstRandomEvents calls f with generators for different worlds of random
// events, until n questions were asked.
func againstRandomEvents(t *testing.T, n int, f func(g *questionGenerator)) {
	t.Helper()
	const each = 50
	n = laketest.Repetitions(n)
	name := fnv.New64a()
	name.Write([]byte(t.Name()))
	for seed := range uint64((n + each - 1) / each) {
		r := rand.New(rand.NewPCG(seed, name.Sum64()))
		w := newReportWorld(t)
		w.clients = []int{24, 24, 4, 60}[seed%4]
		w.fill(r, 200+r.IntN(600))
		g := newQuestionGenerator(t, r, w)
		if seed%2 == 0 {
			w.setEventFlags()
			g.naive.flags = reportFlags
		}
		if seed%3 == 1 {
			w.reporting.reports.pageSize, g.naive.pageSize = 3, 3
		}
		for range min(n, each) {
			f(g)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// check compares an answer with that of the naive model.
func (g *questionGenerator) check(path string, body map[string]any) {
	g.t.Helper()
	g.checkAnswer(path, body)
}

// checkWith is check of an answer that has further members.
func (g *questionGenerator) checkWith(path string, body, more map[string]any) {
	g.t.Helper()
	want := g.naive.answer(path, decoded(g.t, body), time.Now())
	maps.Copy(want, more)
	if diff := cmp.Diff(encodedAnswer(g.t, want), g.w.envelope(path+"/1", body)); diff != "" {
		text, _ := json.Marshal(body)
		g.t.Errorf("%s %s\n(-want +got):\n%s", path, text, diff)
	}
}

// checkAnswer is check and returns the answer. If the date changes while the
// question is answered, it asks again.
func (g *questionGenerator) checkAnswer(path string, body map[string]any) map[string]any {
	g.t.Helper()
	asked := decoded(g.t, body)
	for {
		before := naiveDate(time.Now(), naiveZone(asked))
		got := g.w.envelope(path+"/1", body)
		now := time.Now()
		if naiveDate(now, naiveZone(asked)) != before {
			continue
		}
		if diff := cmp.Diff(encodedAnswer(g.t, g.naive.answer(path, asked, now)), got); diff != "" {
			text, _ := json.Marshal(body)
			g.t.Errorf("%s %s\n(-want +got):\n%s", path, text, diff)
		}
		return got
	}
}

func TestDateRangeAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 300, func(g *questionGenerator) { g.check("generic/dateRange", g.withGroupBy(g.dateRange)) })
}

func TestCurrentAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) { g.check("generic/current", g.withGroupBy(g.current)) })
}

// TestGroupByComparesTexts: 7 and "7" are one value.
func TestGroupByComparesTexts(t *testing.T) {
	w := newReportWorld(t)
	allowGroupByC02(w)
	for n, props := range []string{`{"C02":7}`, `{"C02":"7"}`, `{"C02":"8"}`} {
		w.add(int32(n), schemas.Event{Product: 1, Client: 100 + int64(n), Time: w.midday - reportDay, Name: "Open", RandomID: "r", ClientProps: []byte(props)})
	}
	got := w.envelope("generic/current/1", map[string]any{"clientStatus": []any{"active"}, "groupBy": "C02"})
	want := map[string]any{"status": "OK", "result": map[string]any{"totals": map[string]any{"active": 2}}}
	if diff := cmp.Diff(encodedAnswer(t, want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestReportsInSeveralPasses: with so little memory that each client has a pass
// of its own, the answers are the same.
func TestReportsInSeveralPasses(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	w := newReportWorld(t)
	w.clients, w.reporting.reports.bytes = 4, 1
	w.fill(r, 200)
	g := newQuestionGenerator(t, r, w)
	for range 4 {
		for _, path := range naiveSorted(randomQuestions) {
			g.check(path, randomQuestions[path](g))
		}
	}
}
