package query

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"
)

// The naive model's filters and segments.

// naiveTest applies a filter or a segment, without includeNull, to a value that
// is not null.
func naiveTest(f map[string]any, v any) bool {
	text := naiveText(v)
	switch f["type"] {
	case "string":
		return text == f["value"]
	case "stringArray":
		return slices.Contains(f["value"].([]any), any(text))
	case "regex":
		return regexp.MustCompile(f["value"].(string)).MatchString(text)
	case "number":
		x, ok := naiveNumber(v)
		return ok && x == f["value"]
	case "numberRange":
		x, ok := naiveNumber(v)
		return ok && (f["min"] == nil || x >= f["min"].(float64)) && (f["max"] == nil || x <= f["max"].(float64))
	case "date", "dateRange":
		day := text[:min(len(text), len(time.DateOnly))]
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return false
		}
		if f["type"] == "date" {
			return day == f["value"]
		}
		return (f["min"] == nil || day >= f["min"].(string)) && (f["max"] == nil || day <= f["max"].(string))
	case "boolean":
		return naiveTrue(v) && f["value"] == true || naiveFalse(v) && f["value"] == false
	}
	return false
}

// naiveMatch applies a filter to a value; nil is null.
func naiveMatch(f map[string]any, v any) bool {
	if v == nil {
		return f["includeNull"] == true
	}
	return naiveTest(f, v)
}

// matches applies globalFilters to a unit as known before a day.
func (v *naiveView) matches(u *naiveUnit, before time.Time) bool {
	filters, _ := v.body["globalFilters"].(map[string]any)
	for name, f := range filters {
		if !u.matches(name, f, before) {
			return false
		}
	}
	return true
}

func (u *naiveUnit) matches(name string, f any, before time.Time) bool {
	switch name {
	case "licenseStatus", "optOut", "backOff":
		all, many := f.([]any)
		if !many {
			all = []any{f}
		}
		return slices.ContainsFunc(all, func(f any) bool { return u.flagged(name, f.(map[string]any), before) })
	case "os", "geography", "gpu":
		return u.nested(name, f.(map[string]any), before)
	case "lifetimeEventUsage":
		return u.used(f.(map[string]any))
	}
	return naiveMatch(naiveWanted(name, f.(map[string]any)), u.value(name, before))
}

// naiveWanted returns a filter or a segment with its texts as the values of the
// property are spelled.
func naiveWanted(name string, f map[string]any) map[string]any {
	f = maps.Clone(f)
	switch f["type"] {
	case "string":
		f["value"] = naiveText(naiveSpelled(name, f["value"]))
	case "stringArray":
		var texts []any
		for _, text := range f["value"].([]any) {
			texts = append(texts, naiveText(naiveSpelled(name, text)))
		}
		f["value"] = texts
	}
	return f
}

// flagged reports whether all flags that f names have the values it gives.
func (u *naiveUnit) flagged(name string, f map[string]any, before time.Time) bool {
	for flag, want := range f {
		if flag != "segmentLabel" && naiveTrue(u.value(name+"."+flag, before)) != want {
			return false
		}
	}
	return true
}

// nested reports whether one of the levels matches.
func (u *naiveUnit) nested(name string, f map[string]any, before time.Time) bool {
	for level, want := range f {
		if level == "type" {
			continue
		}
		in, ok := want.(map[string]any)
		if !ok {
			in = map[string]any{"value": want}
		}
		full := map[string]any{"includeNull": in["includeNull"]}
		if in["value"] != nil {
			full["type"], full["value"] = f["type"], in["value"]
		}
		if naiveMatch(full, u.value(name+"."+level, before)) {
			return true
		}
	}
	return false
}

func (u *naiveUnit) used(f map[string]any) bool {
	if _, combi := f["combiArray"]; !combi {
		f = map[string]any{"combiArray": []any{f}, "min": f["min"], "max": f["max"]}
	}
	count := 0.0
	for _, e := range u.events {
		if naiveRequested(f, e) {
			count++
		}
	}
	low, high := f["min"], f["max"]
	if low == nil && high == nil {
		low = 1.0
	}
	return (low == nil || count >= low.(float64)) && (high == nil || count <= high.(float64))
}

// naiveRequested reports whether an element of "events", a single event or a
// combination, includes an event.
func naiveRequested(asked map[string]any, e naiveEvent) bool {
	combi, ok := asked["combiArray"].([]any)
	if !ok {
		combi = []any{map[string]any{"category": asked["category"], "name": asked["name"]}}
	}
	return e.tracked() && slices.ContainsFunc(combi, func(m any) bool { return naiveMember(m.(map[string]any), e.key) })
}

func naiveMember(m map[string]any, key naiveKey) bool {
	like := func(text string, kind, want any) bool {
		if kind == "regex" {
			return regexp.MustCompile(want.(string)).MatchString(text)
		}
		return text == want
	}
	if !like(key.name, m["nameType"], m["name"]) {
		return false
	}
	if key.category == "" || m["category"] == nil || m["category"] == "" {
		return key.category == "" && (m["category"] == nil || m["category"] == "")
	}
	return like(key.category, m["categoryType"], m["category"])
}

// series returns the labels of a unit in a level, with the segment of each.
func (u *naiveUnit) series(level map[string]any, before time.Time) map[string]int {
	out := map[string]int{}
	for i, s := range level["segments"].([]any) {
		label, in := u.seriesOf(level["property"].(string), s.(map[string]any), before)
		if _, has := out[label]; in && !has {
			out[label] = i
		}
	}
	return out
}

func (u *naiveUnit) seriesOf(name string, s map[string]any, before time.Time) (label string, in bool) {
	switch name {
	case "licenseStatus", "optOut", "backOff":
		return naiveLabel(s), u.flagged(name, s, before)
	}
	v := u.value(name, before)
	switch {
	case v == nil:
		return "<NULL>", s["includeNull"] == true
	case s["split"] == true:
		return naiveText(v), naiveTest(naiveWanted(name, s), v)
	}
	return naiveLabel(s), naiveTest(naiveWanted(name, s), v)
}

func naiveLabel(s map[string]any) string {
	if l, ok := s["segmentLabel"].(string); ok {
		return l
	}
	if s["type"] == nil {
		return "<NULL>"
	}
	return naiveText(s["value"])
}

// naiveSeries divides members among the series of a level. Given labels are
// always there; size decides which series a limit keeps.
func naiveSeries[T any](level map[string]any, members []T, series func(T) map[string]int, size func([]T) int) map[string][]T {
	out, segment := map[string][]T{}, map[string]int{}
	for _, one := range members {
		for label, i := range series(one) {
			out[label] = append(out[label], one)
			if at, known := segment[label]; !known || i < at {
				segment[label] = i
			}
		}
	}
	for i, s := range level["segments"].([]any) {
		s := s.(map[string]any)
		if s["split"] != true {
			out[naiveLabel(s)] = append([]T(nil), out[naiveLabel(s)]...)
		}
		if s["includeNull"] == true {
			out["<NULL>"] = append([]T(nil), out["<NULL>"]...)
		}
		limit, limited := s["limit"].(float64)
		if !limited {
			continue
		}
		var labels []string
		for label := range out {
			if at, known := segment[label]; known && at == i && label != "<NULL>" {
				labels = append(labels, label)
			}
		}
		sort.Slice(labels, func(i, j int) bool {
			if a, b := size(out[labels[i]]), size(out[labels[j]]); a != b {
				return a > b
			}
			return strings.Compare(labels[i], labels[j]) < 0
		})
		for _, label := range labels[min(len(labels), int(limit)):] {
			delete(out, label)
		}
	}
	return out
}

// segments divides units by segmentBy; before returns the day before which
// their values are read.
func (v *naiveView) segments(units []*naiveUnit, before func(*naiveUnit) time.Time) map[string][]*naiveUnit {
	level := map[string]any{"property": v.body["segmentBy"], "segments": v.body["segments"]}
	return naiveSeries(level, units,
		func(u *naiveUnit) map[string]int { return u.series(level, before(u)) },
		func(part []*naiveUnit) int { return len(part) })
}

// naiveStatus is the statuses of a unit in a bucket.
type naiveStatus struct {
	unit   *naiveUnit
	bucket naiveBucket
	is     map[string]bool
}

// lost returns the day on which a unit is reported as lost; false while it is
// not lost.
func (v *naiveView) lost(u *naiveUnit) (time.Time, bool) {
	declared := u.last().AddDate(0, 0, int(v.body["daysUntilDeclaredLost"].(float64)))
	lost := !declared.After(v.today) && !u.outNow()
	if v.body["dateReportedLost"] == "dateDeclaredLost" {
		return declared, lost
	}
	return u.last(), lost
}

// active reports whether a unit was active on a day of a bucket: with an event,
// and not opted out.
func (u *naiveUnit) active(in naiveBucket) bool {
	return slices.ContainsFunc(u.events, func(e naiveEvent) bool { return in.has(e.day) && !e.out })
}

// activeNow reports whether a unit is active in generic/current: seen since
// startDate, not lost and not opted out.
func (v *naiveView) activeNow(u *naiveUnit, since naiveBucket) bool {
	days, given := v.body["daysUntilDeclaredLost"].(float64)
	if !given && v.body["startDate"] == nil {
		days, given = 40, true
	}
	lost := given && !u.last().AddDate(0, 0, int(days)).After(v.today)
	return since.has(u.last()) && !lost && !u.outNow()
}

// statuses returns the requested statuses of a unit in a bucket.
func (v *naiveView) statuses(u *naiveUnit, b naiveBucket) map[string]bool {
	out := map[string]bool{}
	for _, status := range v.body["clientStatus"].([]any) {
		switch status {
		case "new":
			out["new"] = b.has(u.first()) && !u.events[0].out
			if v.body["stopDate"] == nil {
				out["new"] = b.has(u.first()) && v.activeNow(u, b)
			}
		case "active":
			out["active"] = u.active(b)
			if v.body["stopDate"] == nil {
				out["active"] = v.activeNow(u, b)
			}
		case "lost":
			on, lost := v.lost(u)
			out["lost"] = lost && b.has(on)
		}
	}
	return out
}

// dateRange answers generic/dateRange.
func (v *naiveView) dateRange() any {
	answer := v.count(v.buckets())
	if v.body["dateSplit"] == nil {
		return answer["all"]
	}
	return answer
}

// current answers generic/current.
func (v *naiveView) current() any {
	all := naiveAllDays
	if v.body["startDate"] != nil {
		all.from = v.date(v.body["startDate"])
	}
	return v.count([]naiveBucket{all})[""]
}

// count returns the counts of each bucket.
func (v *naiveView) count(buckets []naiveBucket) map[string]map[string]any {
	levels, _ := v.body["levels"].(map[string]any)
	var who []naiveStatus
	for _, u := range v.units {
		for _, b := range buckets {
			if v.matches(u, b.to) {
				who = append(who, naiveStatus{u, b, v.statuses(u, b)})
			}
		}
	}
	if len(levels) > 0 {
		return v.encodeLevel(1, who, buckets)
	}
	out := map[string]map[string]any{}
	for _, b := range buckets {
		if out[b.key] = v.totals(who, b); v.body["dateSplit"] == nil {
			out[b.key] = map[string]any{"totals": out[b.key]}
		}
	}
	return out
}

func (v *naiveView) totals(who []naiveStatus, b naiveBucket) map[string]any {
	out := map[string]any{}
	for _, status := range v.body["clientStatus"].([]any) {
		count := 0
		for _, c := range who {
			if c.bucket == b && c.is[status.(string)] {
				count++
			}
		}
		out[status.(string)] = count
	}
	return out
}

// encodeLevel returns {"levelN": {label: {"totals", "levelN+1"}}} by the key of
// the bucket.
func (v *naiveView) encodeLevel(depth int, who []naiveStatus, buckets []naiveBucket) map[string]map[string]any {
	out := map[string]map[string]any{}
	name := fmt.Sprint("level", depth)
	level, ok := v.body["levels"].(map[string]any)[name].(map[string]any)
	for _, b := range buckets {
		out[b.key] = map[string]any{}
		if ok {
			out[b.key][name] = map[string]any{}
		}
	}
	if !ok {
		return out
	}
	who = slices.DeleteFunc(slices.Clone(who), func(c naiveStatus) bool { return !c.is["new"] && !c.is["active"] && !c.is["lost"] })
	parts := naiveSeries(level, who, func(c naiveStatus) map[string]int { return c.unit.series(level, c.bucket.to) }, naiveSum)
	for label, part := range parts {
		inner := v.encodeLevel(depth+1, part, buckets)
		for _, b := range buckets {
			inner[b.key]["totals"] = v.totals(part, b)
			out[b.key][name].(map[string]any)[label] = inner[b.key]
		}
	}
	return out
}

// naiveSum returns the sum of all requested counts.
func naiveSum(who []naiveStatus) (sum int) {
	for _, c := range who {
		for _, is := range c.is {
			if is {
				sum++
			}
		}
	}
	return sum
}
