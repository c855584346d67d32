package query

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// activeUnits returns the units that were active in the range and match by
// their latest values.
func (v *naiveView) activeUnits() []*naiveUnit {
	return slices.DeleteFunc(slices.Clone(v.units), func(u *naiveUnit) bool {
		return !u.active(v.days()) || !v.matches(u, naiveEnd)
	})
}

// lostUnits returns the units that were lost in the range and match by their
// latest values.
func (v *naiveView) lostUnits() []*naiveUnit {
	return slices.DeleteFunc(slices.Clone(v.units), func(u *naiveUnit) bool {
		on, lost := v.lost(u)
		return !lost || !v.days().has(on) || !v.matches(u, naiveEnd)
	})
}

// count returns how often an element of "events" occurred on some days.
func (u *naiveUnit) count(asked map[string]any, in naiveBucket) (n int64) {
	for _, e := range u.events {
		if in.has(e.day) && naiveRequested(asked, e) {
			n++
		}
	}
	return n
}

// naiveEventName returns the members that name an element of "events" in
// answers.
func naiveEventName(asked map[string]any) map[string]any {
	if label, combi := asked["combiLabel"]; combi {
		return map[string]any{"combiLabel": label}
	}
	key := naiveKeyOf(asked)
	return map[string]any{"category": naiveCategory(key.category), "name": key.name}
}

func naiveEventValue(asked map[string]any, value int) map[string]any {
	out := naiveEventName(asked)
	out["value"] = value
	return out
}

// naiveAverages are the periods that counts are divided by.
var naiveAverages = map[string]func(*naiveUnit) int{
	"eventCount":               nil,
	"averageCountPerActiveDay": func(u *naiveUnit) int { return len(u.lifetime.days) },
	"averageCountPerActiveWeek": func(u *naiveUnit) int {
		return len(u.lifetime.weeks)
	},
	"averageCountPerActiveMonth": func(u *naiveUnit) int { return len(u.lifetime.months) },
}

// lifetimeHistogram answers the lifetime histogram of active and of lost
// clients.
func (v *naiveView) lifetimeHistogram(units []*naiveUnit) any {
	var used, never []any
	for _, asked := range v.body["events"].([]any) {
		asked, n := asked.(map[string]any), 0
		for _, u := range units {
			if u.count(asked, naiveAllDays) > 0 {
				n++
			}
		}
		used = append(used, naiveEventValue(asked, n))
		never = append(never, naiveEventValue(asked, len(units)-n))
	}
	histograms := map[string]any{}
	for name, periods := range naiveAverages {
		histograms[name] = v.eventBins(name, units, periods)
	}
	return map[string]any{
		"summary": map[string]any{"usedAtLeastOnce": used, "neverUsed": never}, "histograms": histograms,
	}
}

// eventBins returns one of the histograms.
func (v *naiveView) eventBins(name string, units []*naiveUnit, periods func(*naiveUnit) int) any {
	events := v.body["events"].([]any)
	numbers := make([][]int64, len(events))
	var all []int64
	for i, asked := range events {
		for _, u := range units {
			n := u.count(asked.(map[string]any), naiveAllDays)
			if n == 0 {
				continue
			}
			if periods != nil {
				d := int64(periods(u))
				n = (2*100*n + d) / (2 * d) // hundredths, half up
			}
			numbers[i] = append(numbers[i], n)
			all = append(all, n)
		}
	}
	bins, given := v.requestedBins(name)
	switch {
	case given:
	case name == "eventCount":
		bins = naiveAutomatic(all, naiveLadder, 1, false, naivePlain)
	default:
		bins = naiveAutomatic(all, []int64{10, 20, 50, 100, 200, 500}, 0, false, naiveHundredths)
	}
	out := map[string]any{}
	for _, b := range bins {
		var row []any
		for i, asked := range events {
			count := 0
			for _, n := range numbers[i] {
				if b.low <= n && n <= b.high {
					count++
				}
			}
			row = append(row, naiveEventValue(asked.(map[string]any), count))
		}
		out[b.label] = row
	}
	return out
}

// requestedBins returns the bins of lowerBounds and binUpperBounds, if they
// name the histogram.
func (v *naiveView) requestedBins(name string) (bins []naiveBin, given bool) {
	lower, _ := v.body["lowerBounds"].(map[string]any)
	upper, _ := v.body["binUpperBounds"].(map[string]any)
	if lower[name] == nil {
		return nil, false
	}
	scale, label := 100.0, naiveHundredths
	if name == "eventCount" {
		scale, label = 1, naivePlain
	}
	whole := func(bound any) int64 {
		if bound == "inf" {
			return naiveOpenEnd
		}
		return int64(math.Round(bound.(float64) * scale))
	}
	low := whole(lower[name])
	for _, bound := range upper[name].([]any) {
		bins = append(bins, naiveNewBin(low, whole(bound), label))
		low = whole(bound) + 1
	}
	return bins, true
}

// naiveRow is a row of a lifetime data table.
type naiveRow struct {
	event    map[string]any
	combi    bool
	key      naiveKey // the label of a combination is its name
	metrics  naiveMetrics
	segments map[string]naiveMetrics
}

type naiveMetrics struct{ active, count, users, days int64 }

func (m naiveMetrics) encode(to map[string]any) map[string]any {
	to["active"], to["eventCount"], to["uniqueUsersUsedAtLeastOnce"] = m.active, m.count, m.users
	to["percentUsedAtLeastOnce"] = naivePercent(m.users, m.active)
	to["eventCountPerUserUsedAtLeastOnce"] = naivePer(m.count, m.users)
	to["eventCountPerUserUsedAtLeastOnceActiveDay"] = naivePer(m.count, m.days)
	return to
}

// by returns the number that a key of "sorting" refers to.
func (m naiveMetrics) by(key any) float64 {
	percent := 0.0 // null is ordered as 0
	if number, ok := naivePercent(m.users, m.active).(json.Number); ok {
		percent, _ = number.Float64()
	}
	return map[any]float64{
		"active": float64(m.active), "eventCounts": float64(m.count), "uniqueUsersUsedAtLeastOnce": float64(m.users),
		"percentUsedAtLeastOnce": percent,
	}[key]
}

func naiveMetricsOf(asked map[string]any, units []*naiveUnit) naiveMetrics {
	m := naiveMetrics{active: int64(len(units))}
	for _, u := range units {
		if n := u.count(asked, naiveAllDays); n > 0 {
			m.users++
			m.count += n
			m.days += int64(len(u.lifetime.days))
		}
	}
	return m
}

// lifetimeTable answers the lifetime data table of active and of lost clients:
// the whole envelope.
func (v *naiveView) lifetimeTable(units []*naiveUnit) map[string]any {
	events, given := v.body["events"].([]any)
	if !given {
		seen := map[naiveKey]bool{}
		for _, u := range units {
			for key := range u.lifetime.counts {
				if !seen[key] {
					events = append(events, map[string]any{"category": key.category, "name": key.name})
				}
				seen[key] = true
			}
		}
	}
	var parts map[string][]*naiveUnit
	if v.body["segmentBy"] != nil {
		parts = v.segments(units, func(*naiveUnit) time.Time { return naiveEnd })
	}
	var rows []naiveRow
	for _, e := range events {
		r := naiveRow{event: e.(map[string]any), metrics: naiveMetricsOf(e.(map[string]any), units), segments: map[string]naiveMetrics{}}
		if label, combi := r.event["combiLabel"].(string); combi {
			r.combi, r.key.name = true, label
		} else {
			r.key = naiveKeyOf(r.event)
		}
		for label, part := range parts {
			r.segments[label] = naiveMetricsOf(r.event, part)
		}
		rows = append(rows, r)
	}
	return v.page(v.sortRows(rows))
}

func (v *naiveView) sortRows(rows []naiveRow) []naiveRow {
	sorting, _ := v.body["sorting"].(map[string]any)
	alpha := func(a, b naiveRow) int {
		if a.combi != b.combi {
			return map[bool]int{false: -1, true: 1}[a.combi]
		}
		return cmp.Or(cmp.Compare(a.key.category, b.key.category), cmp.Compare(a.key.name, b.key.name))
	}
	slices.SortFunc(rows, func(a, b naiveRow) int {
		return naiveDirected(sorting["events"], sorting["eventsDirection"], a.metrics, b.metrics, alpha(a, b))
	})
	return rows
}

// naiveDirected orders by a key of "sorting" and then alphabetically.
func naiveDirected(key, direction any, a, b naiveMetrics, alpha int) int {
	c := cmp.Compare(a.by(key), b.by(key))
	if key == nil || key == "alpha" {
		c = alpha
	}
	if direction == "desc" {
		c = -c
	}
	return cmp.Or(c, alpha)
}

// page returns the requested rows, by category if requested.
func (v *naiveView) page(rows []naiveRow) map[string]any {
	start, limit := 0, 1000
	if n, ok := v.body["startAtRow"].(float64); ok {
		start = int(n)
	}
	if n, ok := v.body["limit"].(float64); ok {
		limit = int(n)
	}
	stop := min(start+limit, len(rows))
	envelope := map[string]any{"status": "OK", "reachedEnd": stop == len(rows) || start >= len(rows)}
	if envelope["reachedEnd"] == false {
		envelope["nextRow"] = stop
	}
	result := []any{}
	combis := []any{}
	groups := map[string]map[string]any{}
	for _, r := range rows[min(start, len(rows)):stop] {
		row := v.row(r)
		switch {
		case v.body["categorizeEvents"] != true:
			result = append(result, row)
		case r.combi:
			combis = append(combis, row)
		default:
			group := groups[r.key.category]
			if group == nil {
				group = map[string]any{"eventCategory": row["eventCategory"], "categoryData": []any{}}
				groups[r.key.category] = group
				result = append(result, group)
			}
			delete(row, "eventCategory")
			group["categoryData"] = append(group["categoryData"].([]any), row)
		}
	}
	envelope["result"] = append(result, combis...)
	return envelope
}

func (v *naiveView) row(r naiveRow) map[string]any {
	row := r.metrics.encode(map[string]any{})
	if r.combi {
		row["combiLabel"] = r.key.name
	} else {
		row["eventCategory"], row["eventName"] = naiveCategory(r.key.category), r.key.name
	}
	if v.body["segmentBy"] == nil {
		return row
	}
	sorting, _ := v.body["sorting"].(map[string]any)
	labels := naiveSorted(r.segments)
	slices.SortFunc(labels, func(a, b string) int {
		return naiveDirected(sorting["segments"], sorting["segmentsDirection"], r.segments[a], r.segments[b], cmp.Compare(a, b))
	})
	segments := []any{}
	for _, label := range labels {
		segments = append(segments, r.segments[label].encode(map[string]any{"segmentLabel": label}))
	}
	row["segments"] = segments
	return row
}

// lifetimeHistogram returns a question of the lifetime histogram.
func (g *questionGenerator) lifetimeHistogram() map[string]any {
	body := g.rangeQuestion()
	g.maybe(body, "globalFilters", g.filters)
	body["events"] = g.events()
	if g.IntN(2) > 0 {
		return body
	}
	lower, upper := map[string]any{}, map[string]any{}
	for name := range naiveAverages {
		if g.IntN(3) == 0 {
			continue
		}
		step := 0.01
		low := g.pick(0.0, 0.05, 0.1, 0.999, 1.004).(float64)
		if name == "eventCount" {
			step, low = 1, float64(1+g.IntN(3))
		}
		lower[name] = low
		var edges []any
		at := low
		for range g.IntN(4) {
			edges = append(edges, at)
			at += step * float64(1+g.IntN(40))
		}
		if len(edges) == 0 || g.IntN(2) == 0 {
			edges = append(edges, "inf")
		}
		upper[name] = edges
	}
	body["lowerBounds"], body["binUpperBounds"] = lower, upper
	return body
}

// lifetimeTable returns a question of the lifetime data table.
func (g *questionGenerator) lifetimeTable() map[string]any {
	body := g.rangeQuestion()
	g.maybe(body, "globalFilters", g.filters)
	g.maybe(body, "events", func() any { return g.events() })
	if g.IntN(2) == 0 {
		g.segmentBy(body)
	}
	g.maybe(body, "categorizeEvents", func() any { return g.IntN(3) > 0 })
	if g.IntN(3) > 0 {
		sorting := map[string]any{}
		g.maybe(sorting, "events", func() any { return g.pick("alpha", "eventCounts", "uniqueUsersUsedAtLeastOnce") })
		g.maybe(sorting, "eventsDirection", func() any { return g.pick("asc", "desc") })
		g.maybe(sorting, "segments", func() any {
			return g.pick("alpha", "active", "eventCounts", "uniqueUsersUsedAtLeastOnce", "percentUsedAtLeastOnce")
		})
		g.maybe(sorting, "segmentsDirection", func() any { return g.pick("asc", "desc") })
		body["sorting"] = sorting
	}
	if g.IntN(3) == 0 {
		g.maybe(body, "startAtRow", func() any { return float64(g.IntN(6)) })
		g.maybe(body, "limit", func() any { return float64(1 + g.IntN(5)) })
	}
	return body
}

func TestLifetimeHistogramAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) {
		g.check("eventTracking/lifetime/histogram", g.withGroupBy(g.lifetimeHistogram))
	})
}

func TestLifetimeTableAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) {
		g.check("eventTracking/lifetime/dataTable", g.withGroupBy(g.lifetimeTable))
	})
}

func TestLostLifetimeHistogramAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) {
		g.check("eventTracking/churn/lifetime/histogram", g.withLossRule(g.withGroupBy(g.lifetimeHistogram)))
	})
}

func TestLostLifetimeTableAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) {
		g.check("eventTracking/churn/lifetime/dataTable", g.withLossRule(g.withGroupBy(g.lifetimeTable)))
	})
}

// TestLifetimeTableByPages: the pages of a table have all of its rows, each
// once.
func TestLifetimeTableByPages(t *testing.T) {
	againstRandomEvents(t, 30, func(g *questionGenerator) {
		body := g.withGroupBy(g.lifetimeTable)
		delete(body, "startAtRow")
		delete(body, "limit")
		delete(body, "categorizeEvents")
		whole := g.w.envelope("eventTracking/lifetime/dataTable/1", body)["result"].([]any)
		var pages []any
		for next := json.Number("0"); next != ""; {
			body["startAtRow"], body["limit"] = next, 1+g.IntN(3)
			page := g.w.envelope("eventTracking/lifetime/dataTable/1", body)
			pages = append(pages, page["result"].([]any)...)
			next, _ = page["nextRow"].(json.Number)
		}
		if got, want := fmt.Sprint(pages), fmt.Sprint(whole); got != want {
			g.t.Errorf("question %v\nrows of all pages %s\nrows of the table %s", body, got, want)
		}
	})
}
