package query

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	const each = 100
	for seed := range uint64((n + each - 1) / each) {
		r := rand.New(rand.NewPCG(seed, 77))
		w := newReportWorld(t)
		w.fill(r, 300+r.IntN(500))
		g := newAsker(t, r, w)
		if seed%2 == 0 {
			w.flag()
			g.naive.flags = reportFlags
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
		before := g.naive.view(asked, time.Now()).today
		got := g.w.envelope(path+"/1", body)
		now := time.Now()
		if g.naive.view(asked, now).today != before {
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
