package query

import (
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// some is a member that is there half of the time.
func (g *asker) some(to map[string]any, name string, value func() any) {
	if g.IntN(2) == 0 {
		to[name] = value()
	}
}

// asker makes random questions.
type asker struct {
	*rand.Rand
	w *reportWorld
}

func (g *asker) pick(of ...any) any { return of[g.IntN(len(of))] }

func (g *asker) texts(of ...any) []any {
	var out []any
	for range 1 + g.IntN(2) {
		out = append(out, g.pick(of...))
	}
	return out
}

// filters are globalFilters of one to three properties.
func (g *asker) filters() any {
	out := map[string]any{}
	for range 1 + g.IntN(2) {
		name, f := g.filter()
		out[name] = f
	}
	return out
}

func (g *asker) filter() (string, any) {
	m := map[string]any{}
	set := func(name, kind string, value any) (string, any) {
		m["type"], m["value"] = kind, value
		if g.IntN(3) == 0 {
			m["includeNull"] = g.IntN(4) > 0
		}
		return name, m
	}
	between := func(name, kind string, low, high any) (string, any) {
		m["type"] = kind
		g.some(m, "min", func() any { return low })
		g.some(m, "max", func() any { return high })
		g.some(m, "includeNull", func() any { return true })
		return name, m
	}
	switch g.IntN(15) {
	case 0:
		return set("prodVersion", "string", g.pick("1.0", "2.0", "none"))
	case 1:
		return set("prodVersion", "stringArray", g.texts("1.0", "1.1", "2.0"))
	case 2:
		return set("C01", "regex", g.pick("^[a-c]$", "7", ".*", "^$"))
	case 3:
		return set("ram", "number", g.pick(8192.0, 16384.5, 4096.0))
	case 4:
		return between("ram", "numberRange", 4097.0, 16384.5)
	case 5:
		return set("dateInstalled", "date", g.w.date(20+g.IntN(40)))
	case 6:
		return between("dateLastSeen", "dateRange", g.w.date(10+g.IntN(20)), g.w.date(g.IntN(20)))
	case 7:
		return set("touchScreen", "boolean", g.IntN(2) == 0)
	case 8:
		return g.pick("prodVersion", "C01", "ram", "touchScreen").(string), map[string]any{"includeNull": true}
	case 9:
		return "licenseStatus", []any{
			map[string]any{"activated": g.IntN(2) == 0, "expired": g.IntN(2) == 0}, map[string]any{"activated": g.IntN(2) == 0},
		}[:1+g.IntN(2)]
	case 10:
		m["type"] = "string"
		g.some(m, "platform", func() any { return g.pick("Linux", "Windows") })
		m["version"] = g.pick("Windows 11", map[string]any{"value": "Linux 6", "includeNull": true}, map[string]any{"includeNull": true})
		return "os", m
	case 11:
		return "geography", map[string]any{"type": "stringArray", "country": g.texts("DE", "MT", "US")}
	case 12:
		m["category"], m["name"] = g.pick("File", nil, ""), g.pick("Open", "Save")
		g.some(m, "min", func() any { return float64(1 + g.IntN(3)) })
		g.some(m, "max", func() any { return float64(g.IntN(8)) })
		return "lifetimeEventUsage", m
	case 13:
		return "lifetimeEventUsage", map[string]any{"min": 4.0, "combiArray": []any{
			map[string]any{"categoryType": "string", "nameType": "regex", "category": "File", "name": "^(Open|S)"},
			map[string]any{"name": "Print", "category": nil},
		}}
	}
	return between(g.pick("lifetimeSessionCount", "lifetimeRuntimeMinutes").(string), "numberRange", float64(g.IntN(10)), float64(5+g.IntN(600)))
}

// level is one level of a segmentation.
func (g *asker) level() any {
	null := g.IntN(2) == 0
	split := map[string]any{"type": "regex", "value": g.pick(".*", "^1", "a|D"), "split": true, "includeNull": null}
	if g.IntN(3) == 0 {
		split["limit"] = float64(1 + g.IntN(2))
	}
	all := [][]any{
		{split},
		{map[string]any{"type": "string", "value": g.pick("1.0", "DE", "Linux")}, map[string]any{"type": "regex", "value": ".*", "segmentLabel": "all"}},
		{map[string]any{"type": "stringArray", "value": []any{"1.0", "2.0", "a", "7"}, "split": true}, map[string]any{"includeNull": true}},
		{map[string]any{"type": "stringArray", "value": []any{"1.0", "2.0", "MT", "US"}, "split": false, "segmentLabel": "some", "includeNull": null}, split},
	}
	switch g.IntN(5) {
	case 0:
		return map[string]any{"property": "ram", "segments": []any{
			map[string]any{"type": "numberRange", "max": 8192.0, "segmentLabel": "small"},
			map[string]any{"type": "number", "value": 8192.0},
			map[string]any{"type": "number", "value": 16384.5, "includeNull": null},
		}}
	case 1:
		return map[string]any{"property": "licenseStatus", "segments": []any{
			map[string]any{"segmentLabel": "on", "activated": true}, map[string]any{"segmentLabel": "off", "activated": false, "expired": g.IntN(2) == 0},
		}}
	case 2:
		return map[string]any{"property": "touchScreen", "segments": []any{
			map[string]any{"segmentLabel": "yes", "type": "boolean", "value": true}, map[string]any{"segmentLabel": "no", "type": "boolean", "value": false},
		}}
	}
	return map[string]any{"property": g.pick("prodVersion", "C01", "geography.country", "os.platform"), "segments": all[g.IntN(len(all))]}
}

// count is a question of a generic report.
func (g *asker) count(levels int) map[string]any {
	body := map[string]any{"daysUntilDeclaredLost": float64(1 + g.IntN(30)), "dateReportedLost": g.pick("dateLastSeen", "dateDeclaredLost")}
	status := []any{"new", "active", "lost"}
	g.Shuffle(3, func(i, j int) { status[i], status[j] = status[j], status[i] })
	body["clientStatus"] = status[:1+g.IntN(3)]
	if g.IntN(3) > 0 {
		body["globalFilters"] = g.filters()
	}
	if g.IntN(2) == 0 {
		in := map[string]any{}
		for i := range 1 + g.IntN(levels) {
			in[[]string{"level1", "level2", "level3"}[i]] = g.level()
		}
		body["levels"] = in
	}
	return body
}

// sent is a body as its reader sees it.
func sent(t testing.TB, body map[string]any) map[string]any {
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

// worlds calls f with questions about different worlds, until n were asked.
func worlds(t *testing.T, n int, f func(t *testing.T, g *asker, naive *naiveReport)) {
	const each = 100
	for seed := range uint64((n + each - 1) / each) {
		r := rand.New(rand.NewPCG(seed, 77))
		w := newReportWorld(t)
		w.fill(r, 300+r.IntN(500))
		today := time.Now().UTC().Truncate(24 * time.Hour)
		naive := newNaiveReport(1, w.all(nil), today)
		for range each {
			f(t, &asker{Rand: r, w: w}, naive)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

// check holds an answer to the naive one.
func (g *asker) check(t *testing.T, path string, body map[string]any, want any) {
	t.Helper()
	got := g.w.result(path+"/1", body)
	var plain any
	text, _ := json.Marshal(want)
	json.Unmarshal(text, &plain)
	if diff := cmp.Diff(plain, got); diff != "" {
		asked, _ := json.Marshal(body)
		t.Errorf("%s %s\n(-want +got):\n%s", path, asked, diff)
	}
}

func TestDateRangeAgainstRawEvents(t *testing.T) {
	worlds(t, 300, func(t *testing.T, g *asker, naive *naiveReport) {
		split := g.pick(nil, nil, "day", "week", "month")
		levels := 3
		if split != nil {
			levels = 1
		}
		body := g.count(levels)
		stop := g.IntN(40)
		start := stop + g.IntN(40)
		body["startDate"], body["stopDate"], body["dateSplit"] = g.w.date(start), g.w.date(stop), split
		buckets := naiveBuckets(naive.today.AddDate(0, 0, -start), naive.today.AddDate(0, 0, -stop), split)
		g.check(t, "generic/dateRange", body, naive.count(sent(t, body), buckets))
	})
}

func TestCurrentAgainstRawEvents(t *testing.T) {
	worlds(t, 100, func(t *testing.T, g *asker, naive *naiveReport) {
		body := g.count(3)
		ends := naive.today.AddDate(100, 0, 0)
		b := naiveBucket{key: "all", to: ends}
		g.some(body, "startDate", func() any {
			ago := g.IntN(50)
			b.from = naive.today.AddDate(0, 0, -ago)
			return g.w.date(ago)
		})
		g.check(t, "generic/current", body, naive.count(sent(t, body), []naiveBucket{b}))
	})
}
