package query

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// asker makes random questions, and knows what they are to be answered.
type asker struct {
	*rand.Rand
	t     testing.TB
	w     *reportWorld
	naive *naiveReport
	group bool // of several clients, who are then not asked for by their ids
}

func newAsker(t testing.TB, r *rand.Rand, w *reportWorld) *asker {
	return &asker{Rand: r, t: t, w: w, naive: newNaiveReport(1, w.all(nil))}
}

// some is a member that is there half of the time.
func (g *asker) some(to map[string]any, name string, value func() any) {
	if g.IntN(2) == 0 {
		to[name] = value()
	}
}

func (g *asker) pick(of ...any) any { return of[g.IntN(len(of))] }

func (g *asker) texts(of ...any) any {
	var out []any
	for range 1 + g.IntN(2) {
		out = append(out, g.pick(of...))
	}
	return out
}

// question is what every question with a range has.
func (g *asker) question() map[string]any {
	body := map[string]any{}
	g.dates(body)
	g.zone(body)
	return body
}

// dates is a range, of dates or of days before today.
func (g *asker) dates(to map[string]any) {
	stop := g.IntN(42) - 2
	start := max(0, stop) + g.IntN(40)
	said := func(ago int) any {
		if ago == 0 {
			return "NOW"
		}
		return fmt.Sprint("NOW-", ago)
	}
	switch {
	case stop < 0 || g.IntN(2) == 0:
		to["startDate"], to["stopDate"] = g.w.date(start), g.w.date(stop)
	case g.IntN(2) == 0:
		to["startDate"], to["stopDate"] = said(start), said(stop)
	default: // two days more, as today is not the same everywhere
		to["startDate"], to["stopDate"] = g.w.date(start+2), said(stop)
	}
}

// zone is a time zone and what the events' own properties are to be.
func (g *asker) zone(to map[string]any) {
	g.some(to, "timeZone", func() any { return reportZones[g.IntN(len(reportZones))] })
	if g.IntN(4) > 0 {
		return
	}
	own := map[string]any{}
	for range 1 + g.IntN(2) {
		name, f := g.own()
		own[name] = f
	}
	to["eventProperties"] = own
}

// own is a filter of an event's own property.
func (g *asker) own() (string, any) {
	switch g.IntN(10) {
	case 0:
		return "plan", g.filled("string", g.pick("pro", "free"))
	case 1:
		return "plan", g.filled("stringArray", g.texts("pro", "free", "none"))
	case 2:
		return "plan", g.filled("regex", g.pick("^p", "e+", ".*"))
	case 3:
		return "seats", g.filled("number", g.pick(1.0, 3.0, 3.5))
	case 4:
		return "seats", g.between("numberRange", 2.0, 3.5)
	case 5:
		return "beta", g.filled("boolean", g.IntN(2) == 0)
	case 6:
		return "since", g.filled("date", "2024-05-01")
	case 7:
		return "since", g.between("dateRange", "2024-05-01", "2024-05-31")
	case 8:
		return g.pick("plan", "seats", "deep", "never").(string), map[string]any{"includeNull": true}
	}
	return "deep", g.filled("string", g.pick("flat", "pro"))
}

// filled is a filter with a value, and between one with bounds.
func (g *asker) filled(kind string, value any) map[string]any {
	m := map[string]any{"type": kind, "value": value}
	if g.IntN(3) == 0 {
		m["includeNull"] = g.IntN(4) > 0
	}
	return m
}

func (g *asker) between(kind string, low, high any) map[string]any {
	m := map[string]any{"type": kind}
	g.some(m, "min", func() any { return low })
	g.some(m, "max", func() any { return high })
	g.some(m, "includeNull", func() any { return true })
	return m
}

// filters are globalFilters of one or two properties.
func (g *asker) filters() any {
	out := map[string]any{}
	for range 1 + g.IntN(2) {
		name, f := g.filter()
		out[name] = f
	}
	return out
}

// askedTexts are properties and values that they may have.
var askedTexts = map[string][]any{
	"prodVersion": {"1.0", "1.1", "2.0"}, "prodEdition": {"Pro", "Lite"}, "licenseType": {"purchased", "freeware"}, "C01": {"a", "b", "7"},
	"C02": {"x", "7", "1.0"}, "machineId": {"m1", "m2", "m3"}, "licenseKey": {"K-1", "K-2"}, "os.platform": {"Linux", "Windows"},
	"os.version": {"Linux 6", "Windows 11"}, "geography.country": {"DE", "NZ", "XX"}, "geography.continent": {"EU", "OC", "AS", "ZZ"},
	"geography.usState": {"US-NY"}, "gpu.vendor": {"A", "N"}, "gpu.model": {"A1", "N1"}, "javaVendor": {"never"}, "user.never": {"x"},
}

// textProperty is one of askedTexts, and some of its values.
func (g *asker) textProperty() (name string, values []any) {
	all := naiveSorted(askedTexts)
	name = all[g.IntN(len(all))]
	return name, askedTexts[name]
}

func (g *asker) filter() (string, any) {
	switch g.IntN(16) {
	case 0, 1:
		name, values := g.textProperty()
		return name, g.filled("string", g.pick(values...))
	case 2:
		name, values := g.textProperty()
		return name, g.filled("stringArray", g.texts(values...))
	case 3:
		name, _ := g.textProperty()
		return name, g.filled("regex", g.pick("^[a-c]$", "1", ".*", "^$", "^(m|K|L)", "(?i)e"))
	case 4:
		name, _ := g.textProperty()
		return name, map[string]any{"includeNull": true}
	case 5:
		return g.pick("ram", "cpuCores").(string), g.filled("number", g.pick(8192.0, 16384.5, 4.0, 8.0))
	case 6:
		return g.pick("ram", "cpuCores").(string), g.between("numberRange", 4.0, 8192.0)
	case 7:
		return "dateInstalled", g.filled("date", g.w.date(20+g.IntN(40)))
	case 8:
		return g.pick("dateInstalled", "dateLastSeen").(string), g.between("dateRange", g.w.date(10+g.IntN(30)), g.w.date(g.IntN(20)))
	case 9:
		return "touchScreen", g.filled("boolean", g.IntN(2) == 0)
	case 10, 11:
		return g.flags()
	case 12, 13:
		return g.nested()
	case 14:
		return "lifetimeEventUsage", g.usage()
	}
	if !g.group && g.IntN(3) == 0 {
		return "clientId", g.filled("regex", g.pick("^1", "[02468]$", "^9", "5"))
	}
	return g.pick("lifetimeSessionCount", "lifetimeRuntimeMinutes").(string), g.between("numberRange", float64(g.IntN(10)), float64(5+g.IntN(600)))
}

// flags is a filter of flags: an object, or several of which one must hold.
func (g *asker) flags() (string, any) {
	name := g.pick("licenseStatus", "licenseStatus", "optOut", "backOff").(string)
	one := func() any {
		if name == "licenseStatus" {
			return g.pick(map[string]any{"activated": g.IntN(2) == 0, "expired": g.IntN(2) == 0}, map[string]any{"activated": g.IntN(2) == 0},
				map[string]any{"blocked": false, "allowed": g.IntN(2) == 0})
		}
		return g.pick(map[string]any{"current": g.IntN(2) == 0, "historical": g.IntN(2) == 0}, map[string]any{"current": g.IntN(2) == 0})
	}
	if g.IntN(2) == 0 {
		return name, one()
	}
	return name, []any{one(), one()}[:1+g.IntN(2)]
}

// nested is a filter of os, geography or gpu.
func (g *asker) nested() (string, any) {
	name := g.pick("os", "geography", "gpu").(string)
	levels := map[string][]string{"os": {"platform", "version"}, "geography": {"continent", "country", "usState"}, "gpu": {"vendor", "model"}}[name]
	kinds := []any{"string", "stringArray", "regex"}
	if name == "geography" {
		kinds = kinds[:2]
	}
	kind := g.pick(kinds...)
	m := map[string]any{"type": kind}
	value := func(level string) any {
		of := askedTexts[name+"."+level]
		switch kind {
		case "stringArray":
			return g.texts(of...)
		case "regex":
			return g.pick("^L", "1", "A|N")
		}
		return g.pick(of...)
	}
	for len(m) == 1 {
		for _, level := range levels {
			g.some(m, level, func() any {
				return g.pick(value(level), value(level), map[string]any{"includeNull": true},
					map[string]any{"value": value(level), "includeNull": g.IntN(2) == 0}, map[string]any{"value": value(level)})
			})
		}
	}
	return name, m
}

// usage is a filter of how often something happened.
func (g *asker) usage() any {
	m := map[string]any{}
	g.some(m, "min", func() any { return float64(1 + g.IntN(3)) })
	g.some(m, "max", func() any { return float64(g.IntN(8)) })
	if g.IntN(2) == 0 {
		m["category"], m["name"] = g.pick("File", nil, ""), g.pick("Open", "Save")
		return m
	}
	m["combiArray"] = g.combination()
	return m
}

// combination is a combiArray.
func (g *asker) combination() any {
	var out []any
	for range 1 + g.IntN(3) {
		m := map[string]any{"name": g.pick("Open", "Save", "Print", "never")}
		g.some(m, "nameType", func() any { return "string" })
		if g.IntN(2) == 0 {
			m["nameType"], m["name"] = "regex", g.pick("^(Open|S)", ".*", "n", "^session_", "(?i)PRINT")
		}
		g.some(m, "category", func() any { return g.pick("File", "Édition", nil, "") })
		g.some(m, "categoryType", func() any { return "string" })
		if g.IntN(3) == 0 {
			m["categoryType"], m["category"] = "regex", g.pick("^F", "i", ".*", "")
		}
		out = append(out, m)
	}
	return out
}

// events are single events and combinations, each once.
func (g *asker) events() []any {
	var out []any
	seen := map[any]bool{}
	for range 1 + g.IntN(5) {
		e := map[string]any{"name": g.pick("Open", "Save", "Print", "never")}
		g.some(e, "category", func() any { return g.pick(nil, "", "File", "Édition", "none") })
		var key any = naiveNamed(e)
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

// segmentBy is a level of its own.
func (g *asker) segmentBy(body map[string]any) {
	level := g.level()
	body["segmentBy"], body["segments"] = level["property"], level["segments"]
}

// level is one level of a segmentation.
func (g *asker) level() map[string]any {
	null := g.IntN(2) == 0
	of := func(property any, segments ...any) map[string]any {
		return map[string]any{"property": property, "segments": segments}
	}
	switch g.IntN(10) {
	case 0:
		return of("ram",
			map[string]any{"type": "numberRange", "max": 8192.0, "segmentLabel": "small"},
			map[string]any{"type": "number", "value": 8192.0},
			map[string]any{"type": "number", "value": 16384.5, "includeNull": null})
	case 1:
		return of("licenseStatus",
			map[string]any{"segmentLabel": "on", "activated": true},
			map[string]any{"segmentLabel": "off", "activated": false, "expired": g.IntN(2) == 0})
	case 2:
		return of(g.pick("optOut", "backOff"),
			map[string]any{"segmentLabel": "out", "current": true}, map[string]any{"segmentLabel": "in", "current": false, "historical": false})
	case 3:
		return of("touchScreen",
			map[string]any{"segmentLabel": "yes", "type": "boolean", "value": true, "includeNull": null},
			map[string]any{"segmentLabel": "no", "type": "boolean", "value": false})
	case 4:
		return of(g.pick("lifetimeSessionCount", "lifetimeRuntimeMinutes"),
			map[string]any{"type": "numberRange", "min": 3.0, "segmentLabel": "many"},
			map[string]any{"type": "numberRange", "min": 1.0, "max": 4.0, "segmentLabel": "few"})
	case 5:
		return of(g.pick("dateInstalled", "dateLastSeen"),
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
		return of(name, map[string]any{"type": "string", "value": g.pick(values...)},
			map[string]any{"type": "regex", "value": ".*", "segmentLabel": "all", "split": false})
	case 1:
		list := map[string]any{"type": "stringArray", "value": values, "split": true}
		g.some(list, "limit", func() any { return 1.0 })
		return of(name, list, map[string]any{"includeNull": true})
	case 2:
		return of(name, map[string]any{"type": "stringArray", "value": values, "split": false, "segmentLabel": "some", "includeNull": null}, split)
	}
	return of(name, split)
}

// grouped is a question of units other than clients, sometimes.
func (g *asker) grouped(question func() map[string]any) map[string]any {
	by := g.pick(nil, nil, "clientId", "machineId", "licenseKey", "C02")
	if g.w.cfg.ReportBytes > 0 {
		by = nil // groups are looked at in one pass
	}
	if by == "C02" {
		typeThree(g.w)
	}
	g.group = by != nil && by != "clientId"
	body := question()
	g.group = false
	if by != nil {
		body["groupBy"] = by
	}
	return body
}

// losses adds what lost means.
func (g *asker) losses(body map[string]any) map[string]any {
	body["daysUntilDeclaredLost"], body["dateReportedLost"] = float64(1+g.IntN(30)), g.pick("dateLastSeen", "dateDeclaredLost")
	return body
}

// count is what both generic reports ask.
func (g *asker) count(body map[string]any, levels int) map[string]any {
	g.losses(body)
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

// dateRange is a question of generic/dateRange.
func (g *asker) dateRange() map[string]any {
	body := g.question()
	if body["dateSplit"] = g.pick(nil, nil, "day", "week", "month"); body["dateSplit"] == nil {
		return g.count(body, 3)
	}
	return g.count(body, 1)
}

// current is a question of generic/current.
func (g *asker) current() map[string]any {
	body := map[string]any{}
	g.zone(body)
	g.some(body, "startDate", func() any { return g.pick(g.w.date(g.IntN(50)), fmt.Sprint("NOW-", g.IntN(50))) })
	return g.count(body, 3)
}

// distribution is a question of engagement/usageDistribution.
func (g *asker) distribution() map[string]any {
	body := g.question()
	g.some(body, "globalFilters", g.filters)
	return body
}
