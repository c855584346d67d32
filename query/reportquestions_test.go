package query

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// questionGenerator makes random questions for a world and compares the answers
// with those of the naive model.
type questionGenerator struct {
	*rand.Rand
	t     testing.TB
	w     *reportWorld
	naive *naiveReport
	group bool // the question has a groupBy, so that clientId cannot be filtered by
}

func newQuestionGenerator(t testing.TB, r *rand.Rand, w *reportWorld) *questionGenerator {
	return &questionGenerator{Rand: r, t: t, w: w, naive: newNaiveReport(1, w.all(nil))}
}

// maybe sets a member half of the time.
func (g *questionGenerator) maybe(to map[string]any, name string, value func() any) {
	if g.IntN(2) == 0 {
		to[name] = value()
	}
}

func (g *questionGenerator) pick(of ...any) any { return of[g.IntN(len(of))] }

func (g *questionGenerator) texts(of ...any) any {
	var out []any
	for range 1 + g.IntN(2) {
		out = append(out, g.pick(of...))
	}
	return out
}

// rangeQuestion returns the members of every question on a range.
func (g *questionGenerator) rangeQuestion() map[string]any {
	body := map[string]any{}
	g.addRange(body)
	g.addZoneAndEventFilter(body)
	return body
}

// addRange adds startDate and stopDate, as dates or relative to today.
func (g *questionGenerator) addRange(to map[string]any) {
	stop := g.IntN(42) - 2
	start := max(0, stop) + g.IntN(40)
	relative := func(ago int) any {
		if ago == 0 {
			return "NOW"
		}
		return fmt.Sprint("NOW-", ago)
	}
	switch {
	case stop < 0 || g.IntN(2) == 0:
		to["startDate"], to["stopDate"] = g.w.date(start), g.w.date(stop)
	case g.IntN(2) == 0:
		to["startDate"], to["stopDate"] = relative(start), relative(stop)
	default: // two days earlier, because today depends on the zone
		to["startDate"], to["stopDate"] = g.w.date(start+2), relative(stop)
	}
}

// addZoneAndEventFilter adds a timeZone and eventProperties, sometimes.
func (g *questionGenerator) addZoneAndEventFilter(to map[string]any) {
	g.maybe(to, "timeZone", func() any { return reportZones[g.IntN(len(reportZones))] })
	if g.IntN(4) > 0 {
		return
	}
	own := map[string]any{}
	for range 1 + g.IntN(2) {
		name, f := g.eventPropertyFilter()
		own[name] = f
	}
	to["eventProperties"] = own
}

// eventPropertyFilter returns a filter of an event's own property.
func (g *questionGenerator) eventPropertyFilter() (string, any) {
	switch g.IntN(10) {
	case 0:
		return "plan", g.valueFilter("string", g.pick("pro", "free"))
	case 1:
		return "plan", g.valueFilter("stringArray", g.texts("pro", "free", "none"))
	case 2:
		return "plan", g.valueFilter("regex", g.pick("^p", "e+", ".*"))
	case 3:
		return "seats", g.valueFilter("number", g.pick(1.0, 3.0, 3.5))
	case 4:
		return "seats", g.rangeFilter("numberRange", 2.0, 3.5)
	case 5:
		return "beta", g.valueFilter("boolean", g.IntN(2) == 0)
	case 6:
		return "since", g.valueFilter("date", "2024-05-01")
	case 7:
		return "since", g.rangeFilter("dateRange", "2024-05-01", "2024-05-31")
	case 8:
		return g.pick("plan", "seats", "deep", "never").(string), map[string]any{"includeNull": true}
	}
	return "deep", g.valueFilter("string", g.pick("flat", "pro", `["flat","pro"]`))
}

// valueFilter returns a filter with a value.
func (g *questionGenerator) valueFilter(kind string, value any) map[string]any {
	m := map[string]any{"type": kind, "value": value}
	if g.IntN(3) == 0 {
		m["includeNull"] = g.IntN(4) > 0
	}
	return m
}

// rangeFilter returns a filter with bounds.
func (g *questionGenerator) rangeFilter(kind string, low, high any) map[string]any {
	m := map[string]any{"type": kind}
	g.maybe(m, "min", func() any { return low })
	g.maybe(m, "max", func() any { return high })
	g.maybe(m, "includeNull", func() any { return true })
	return m
}

// filters returns globalFilters of one or two properties.
func (g *questionGenerator) filters() any {
	out := map[string]any{}
	for range 1 + g.IntN(2) {
		name, f := g.filter()
		out[name] = f
	}
	return out
}

// textValues lists text properties with values that clients may have.
var textValues = map[string][]any{
	"prodVersion": {"1.0", "1.1", "2.0"}, "prodEdition": {"Pro", "Lite"}, "licenseType": {"purchased", "freeware"}, "C01": {"a", "b", "7"},
	"C02": {"x", "7", "1.0"}, "machineId": {"m1", "m2", "m3"}, "licenseKey": {"K-1", "K-2"}, "os.platform": {"Linux", "Windows"},
	"os.version": {"Linux 6", "Windows 11"}, "geography.country": {"DE", "NZ", "XX", "UK"}, "geography.continent": {"EU", "OC", "AS", "ZZ"},
	"licenseStatus.activated": {"true", "FALSE"}, "ram": {"8192", "16384.50", "0x2000"}, "touchScreen": {"yes", "false", "maybe"}, "geography.usState": {"US-NY"}, "gpu.vendor": {"A", "N"}, "gpu.model": {"A1", "N1"}, "javaVendor": {"never"}, "user.never": {"x"},
}

// textProperty picks one of textValues.
func (g *questionGenerator) textProperty() (name string, values []any) {
	all := naiveSorted(textValues)
	name = all[g.IntN(len(all))]
	return name, textValues[name]
}

func (g *questionGenerator) filter() (string, any) {
	switch g.IntN(16) {
	case 0, 1:
		name, values := g.textProperty()
		return name, g.valueFilter("string", g.pick(values...))
	case 2:
		name, values := g.textProperty()
		return name, g.valueFilter("stringArray", g.texts(values...))
	case 3:
		name, _ := g.textProperty()
		for strings.HasPrefix(name, "geography.") {
			name, _ = g.textProperty()
		}
		return name, g.valueFilter("regex", g.pick("^[a-c]$", "1", ".*", "^$", "^(m|K|L)", "(?i)e"))
	case 4:
		name, _ := g.textProperty()
		return name, map[string]any{"includeNull": true}
	case 5:
		return g.pick("ram", "cpuCores").(string), g.valueFilter("number", g.pick(8192.0, 16384.5, 4.0, 8.0))
	case 6:
		return g.pick("ram", "cpuCores").(string), g.rangeFilter("numberRange", 4.0, 8192.0)
	case 7:
		return "dateInstalled", g.valueFilter("date", g.w.date(20+g.IntN(40)))
	case 8:
		return g.pick("dateInstalled", "dateLastSeen").(string), g.rangeFilter("dateRange", g.w.date(10+g.IntN(30)), g.w.date(g.IntN(20)))
	case 9:
		return "touchScreen", g.valueFilter("boolean", g.IntN(2) == 0)
	case 10, 11:
		return g.flags()
	case 12, 13:
		return g.nested()
	case 14:
		return "lifetimeEventUsage", g.usage()
	}
	if !g.group && g.IntN(3) == 0 {
		return "clientId", g.valueFilter("regex", g.pick("^1", "[02468]$", "^9", "5"))
	}
	return g.pick("lifetimeSessionCount", "lifetimeRuntimeMinutes").(string), g.rangeFilter("numberRange", float64(g.IntN(10)), float64(5+g.IntN(600)))
}

// flags returns a filter of flags: one object, or several of which one must
// match.
func (g *questionGenerator) flags() (string, any) {
	name := g.pick("licenseStatus", "licenseStatus", "optOut", "backOff").(string)
	object := func() any {
		if name == "licenseStatus" {
			return g.pick(map[string]any{"activated": g.IntN(2) == 0, "expired": g.IntN(2) == 0}, map[string]any{"activated": g.IntN(2) == 0},
				map[string]any{"blocked": false, "allowed": g.IntN(2) == 0})
		}
		return g.pick(map[string]any{"current": g.IntN(2) == 0, "historical": g.IntN(2) == 0}, map[string]any{"current": g.IntN(2) == 0})
	}
	if g.IntN(2) == 0 {
		return name, object()
	}
	return name, []any{object(), object()}[:1+g.IntN(2)]
}

// nested returns a filter of os, geography or gpu.
func (g *questionGenerator) nested() (string, any) {
	name := g.pick("os", "geography", "gpu").(string)
	levels := map[string][]string{"os": {"platform", "version"}, "geography": {"continent", "country", "usState"}, "gpu": {"vendor", "model"}}[name]
	kinds := []any{"string", "stringArray", "regex"}
	if name == "geography" {
		kinds = kinds[:2]
	}
	kind := g.pick(kinds...)
	m := map[string]any{"type": kind}
	value := func(level string) any {
		values := textValues[name+"."+level]
		switch kind {
		case "stringArray":
			return g.texts(values...)
		case "regex":
			return g.pick("^L", "1", "A|N")
		}
		return g.pick(values...)
	}
	for len(m) == 1 {
		for _, level := range levels {
			g.maybe(m, level, func() any {
				return g.pick(value(level), value(level), map[string]any{"includeNull": true},
					map[string]any{"value": value(level), "includeNull": g.IntN(2) == 0}, map[string]any{"value": value(level)})
			})
		}
	}
	return name, m
}

// usage returns a filter of lifetimeEventUsage.
func (g *questionGenerator) usage() any {
	m := map[string]any{}
	g.maybe(m, "min", func() any { return float64(1 + g.IntN(3)) })
	g.maybe(m, "max", func() any { return float64(g.IntN(8)) })
	if g.IntN(2) == 0 {
		m["category"], m["name"] = g.pick("File", nil, ""), g.pick("Open", "Save")
		return m
	}
	m["combiArray"] = g.combination()
	return m
}

// combination returns a combiArray.
func (g *questionGenerator) combination() any {
	var out []any
	for range 1 + g.IntN(3) {
		m := map[string]any{"name": g.pick("Open", "Save", "Print", "never")}
		g.maybe(m, "nameType", func() any { return "string" })
		if g.IntN(2) == 0 {
			m["nameType"], m["name"] = "regex", g.pick("^(Open|S)", ".*", "n", "^session_", "(?i)PRINT")
		}
		g.maybe(m, "category", func() any { return g.pick("File", "Édition", nil, "") })
		g.maybe(m, "categoryType", func() any { return "string" })
		if g.IntN(3) == 0 {
			m["categoryType"], m["category"] = "regex", g.pick("^F", "i", ".*", "")
		}
		out = append(out, m)
	}
	return out
}

// events returns single events and combinations, each once.
func (g *questionGenerator) events() []any {
	var out []any
	seen := map[any]bool{}
	for range 1 + g.IntN(5) {
		e := map[string]any{"name": g.pick("Open", "Save", "Print", "never")}
		g.maybe(e, "category", func() any { return g.pick(nil, "", "File", "Édition", "none") })
		var key any = naiveKeyOf(e)
		if g.IntN(3) == 0 {
			key = g.pick("both", "a", "Ω")
			e = map[string]any{"combiLabel": key, "combiArray": g.combination()}
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, e)
		}
	}
	return out
}

// segmentBy adds segmentBy and segments.
func (g *questionGenerator) segmentBy(body map[string]any) {
	level := g.level()
	body["segmentBy"], body["segments"] = level["property"], level["segments"]
}

// level returns one level of a segmentation.
func (g *questionGenerator) level() map[string]any {
	null := g.IntN(2) == 0
	level := func(property any, segments ...any) map[string]any {
		return map[string]any{"property": property, "segments": segments}
	}
	switch g.IntN(10) {
	case 0:
		return level("ram",
			map[string]any{"type": "numberRange", "max": 8192.0, "segmentLabel": "small"},
			map[string]any{"type": "number", "value": 8192.0},
			map[string]any{"type": "number", "value": 16384.5, "includeNull": null})
	case 1:
		return level("licenseStatus",
			map[string]any{"segmentLabel": "on", "activated": true},
			map[string]any{"segmentLabel": "off", "activated": false, "expired": g.IntN(2) == 0})
	case 2:
		return level(g.pick("optOut", "backOff"),
			map[string]any{"segmentLabel": "out", "current": true}, map[string]any{"segmentLabel": "in", "current": false, "historical": false})
	case 3:
		return level("touchScreen",
			map[string]any{"segmentLabel": "yes", "type": "boolean", "value": true, "includeNull": null},
			map[string]any{"segmentLabel": "no", "type": "boolean", "value": false})
	case 4:
		return level(g.pick("lifetimeSessionCount", "lifetimeRuntimeMinutes"),
			map[string]any{"type": "numberRange", "min": 3.0, "segmentLabel": "many"},
			map[string]any{"type": "numberRange", "min": 1.0, "max": 4.0, "segmentLabel": "few"})
	case 5:
		return level(g.pick("dateInstalled", "dateLastSeen"),
			map[string]any{"type": "regex", "value": g.pick("0$", ".*", "-1[0-9]$"), "split": true, "limit": float64(1 + g.IntN(4))},
			map[string]any{"type": "string", "value": "never", "segmentLabel": "never"})
	}
	name, values := g.textProperty()
	split := map[string]any{"type": "regex", "value": g.pick(".*", "^1", "a|D|m", "[a-z]"), "split": true, "includeNull": null}
	if g.IntN(3) == 0 {
		split["limit"] = float64(1 + g.IntN(3))
	}
	switch g.IntN(4) {
	case 0:
		return level(name, map[string]any{"type": "string", "value": g.pick(values...)},
			map[string]any{"type": "regex", "value": ".*", "segmentLabel": "all", "split": false})
	case 1:
		list := map[string]any{"type": "stringArray", "value": values, "split": true}
		g.maybe(list, "limit", func() any { return 1.0 })
		return level(name, list, map[string]any{"includeNull": true})
	case 2:
		return level(name, map[string]any{"type": "stringArray", "value": values, "split": false, "segmentLabel": "some", "includeNull": null}, split)
	}
	return level(name, split)
}

// withGroupBy returns a question, with a groupBy sometimes.
func (g *questionGenerator) withGroupBy(question func() map[string]any) map[string]any {
	by := g.pick(nil, nil, "clientId", "machineId", "licenseKey", "C02")
	if g.w.reporting.reports.bytes > 0 {
		by = nil // a group must fit one pass
	}
	if by == "C02" {
		allowGroupByC02(g.w)
	}
	g.group = by != nil && by != "clientId"
	body := question()
	g.group = false
	if by != nil {
		body["groupBy"] = by
	}
	return body
}

// withLossRule adds the members that define lost.
func (g *questionGenerator) withLossRule(body map[string]any) map[string]any {
	body["daysUntilDeclaredLost"], body["dateReportedLost"] = float64(1+g.IntN(30)), g.pick("dateLastSeen", "dateDeclaredLost")
	return body
}

// clientCounts adds the members of both generic reports.
func (g *questionGenerator) clientCounts(body map[string]any, levels int) map[string]any {
	g.withLossRule(body)
	status := []any{"new", "active", "lost"}
	g.Shuffle(3, func(i, j int) { status[i], status[j] = status[j], status[i] })
	body["clientStatus"] = status[:1+g.IntN(3)]
	if g.IntN(3) > 0 {
		body["globalFilters"] = g.filters()
	}
	if g.IntN(2) == 0 {
		in := map[string]any{}
		for i := range 1 + g.IntN(levels) {
			in[fmt.Sprint("level", i+1)] = g.level()
		}
		body["levels"] = in
	}
	return body
}

// dateRange returns a question of generic/dateRange.
func (g *questionGenerator) dateRange() map[string]any {
	body := g.rangeQuestion()
	if body["dateSplit"] = g.pick(nil, nil, "day", "week", "month"); body["dateSplit"] == nil {
		return g.clientCounts(body, 3)
	}
	return g.clientCounts(body, 1)
}

// current returns a question of generic/current.
func (g *questionGenerator) current() map[string]any {
	body := map[string]any{}
	g.addZoneAndEventFilter(body)
	g.maybe(body, "startDate", func() any { return g.pick(g.w.date(g.IntN(50)), fmt.Sprint("NOW-", g.IntN(50))) })
	g.clientCounts(body, 3)
	if !slices.Contains(body["clientStatus"].([]any), any("lost")) && g.IntN(2) == 0 {
		delete(body, "daysUntilDeclaredLost")
	}
	return body
}

// usageDistribution returns a question of engagement/usageDistribution.
func (g *questionGenerator) usageDistribution() map[string]any {
	body := g.rangeQuestion()
	g.maybe(body, "globalFilters", g.filters)
	return body
}
