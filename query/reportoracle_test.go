package query

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"weir/schemas"
)

// The naive model of the reports: it reads the question as it was sent, looks
// at raw events alone, as often as it takes, and shares no code with what it
// checks.
type naiveReport struct {
	clients map[string][]stored // events of the product
	today   time.Time           // its midnight
}

func newNaiveReport(product int64, events []stored, today time.Time) *naiveReport {
	n := &naiveReport{clients: map[string][]stored{}, today: today}
	for _, e := range events {
		if e.Product == product {
			id := strconv.FormatInt(e.Client, 10)
			n.clients[id] = append(n.clients[id], e)
		}
	}
	return n
}

func naiveDay(e stored) time.Time { return time.UnixMilli(e.Time).UTC().Truncate(24 * time.Hour) }

// naiveBucket is some days of the range; to is exclusive.
type naiveBucket struct {
	key      string
	from, to time.Time
}

func (b naiveBucket) has(t time.Time) bool { return !t.Before(b.from) && t.Before(b.to) }

func naiveBuckets(start, stop time.Time, split any) []naiveBucket {
	var out []naiveBucket
	for d := start; !d.After(stop); d = d.AddDate(0, 0, 1) {
		key := "all"
		switch split {
		case "day":
			key = d.Format(time.DateOnly)
		case "week":
			monday := d
			for monday.Weekday() != time.Monday {
				monday = monday.AddDate(0, 0, -1)
			}
			key = monday.Format(time.DateOnly)
		case "month":
			key = d.Format("2006-01") + "-01"
		}
		if len(out) == 0 || out[len(out)-1].key != key {
			out = append(out, naiveBucket{key: key, from: d})
		}
		out[len(out)-1].to = d.AddDate(0, 0, 1)
	}
	return out
}

var naiveStandard = []string{
	"prodVersion", "C01", "os.platform", "os.version", "geography.country", "licenseStatus.activated", "licenseStatus.expired",
}

// value is a property of a client as known before an instant; nil is null.
func (n *naiveReport) value(id, name string, before time.Time) any {
	events := n.clients[id]
	first, last, runs, runtime := events[0], events[0], 0, int64(0)
	for _, e := range events {
		if e.Time < first.Time {
			first = e
		}
		if e.Time > last.Time {
			last = e
		}
		if e.Name == schemas.SessionStart {
			runs++
		}
		if e.Name == schemas.SessionStop && e.RuntimeMS != nil {
			runtime += *e.RuntimeMS
		}
	}
	switch name {
	case "clientId":
		return id
	case "dateInstalled":
		return naiveDay(first).Format(time.DateOnly)
	case "dateLastSeen":
		return naiveDay(last).Format(time.DateOnly)
	case "lifetimeSessionCount":
		return float64(runs)
	case "lifetimeRuntimeMinutes":
		return float64(runtime / 60000)
	}
	var found *stored
	var value any
	for i, e := range events {
		if slices.Contains(naiveStandard, name) && !time.UnixMilli(e.Time).Before(before) {
			continue
		}
		said := map[string]any{}
		json.Unmarshal(e.ClientProps, &said)
		v, there := said[name]
		if there && (found == nil || e.Time > found.Time || (e.Time == found.Time && e.offset > found.offset)) {
			found, value = &events[i], v
		}
	}
	if value == "" || value == "<NULL>" {
		return nil
	}
	return value
}

func naiveText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func naiveNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil
	}
	return 0, false
}

func naiveTrue(v any) bool { return v == true || v == "Y" }

// holds is a filter or segment without its nulls, on a value that is not null.
func naiveHolds(f map[string]any, v any) bool {
	within := func(x any, less func(a, b any) bool) bool {
		return (f["min"] == nil || !less(x, f["min"])) && (f["max"] == nil || !less(f["max"], x))
	}
	switch f["type"] {
	case "string":
		return naiveText(v) == f["value"]
	case "stringArray":
		for _, want := range f["value"].([]any) {
			if naiveText(v) == want {
				return true
			}
		}
	case "regex":
		return regexp.MustCompile(f["value"].(string)).MatchString(naiveText(v))
	case "number":
		x, ok := naiveNumber(v)
		return ok && x == f["value"]
	case "numberRange":
		x, ok := naiveNumber(v)
		return ok && within(x, func(a, b any) bool { return a.(float64) < b.(float64) })
	case "date":
		return naiveText(v) == f["value"]
	case "dateRange":
		return within(naiveText(v), func(a, b any) bool { return a.(string) < b.(string) })
	case "boolean":
		return naiveTrue(v) == f["value"]
	}
	return false
}

func (n *naiveReport) matches(filters map[string]any, id string, before time.Time) bool {
	for name, f := range filters {
		if !n.matchesOne(name, f, id, before) {
			return false
		}
	}
	return true
}

func (n *naiveReport) matchesOne(name string, f any, id string, before time.Time) bool {
	one := func(f map[string]any, v any) bool {
		if v == nil {
			return f["includeNull"] == true
		}
		return naiveHolds(f, v)
	}
	flags := func(f map[string]any) bool {
		for flag, want := range f {
			if flag != "segmentLabel" && naiveTrue(n.value(id, name+"."+flag, before)) != want {
				return false
			}
		}
		return true
	}
	switch name {
	case "licenseStatus":
		for _, f := range f.([]any) {
			if flags(f.(map[string]any)) {
				return true
			}
		}
		return false
	case "os", "geography", "gpu":
		m := f.(map[string]any)
		for level, want := range m {
			if level == "type" {
				continue
			}
			in, ok := want.(map[string]any)
			if !ok {
				in = map[string]any{"value": want}
			}
			full := map[string]any{"includeNull": in["includeNull"]}
			if in["value"] != nil {
				full["type"], full["value"] = m["type"], in["value"]
			}
			if one(full, n.value(id, name+"."+level, before)) {
				return true
			}
		}
		return false
	case "lifetimeEventUsage":
		return n.usage(f.(map[string]any), id)
	}
	return one(f.(map[string]any), n.value(id, name, before))
}

func (n *naiveReport) usage(f map[string]any, id string) bool {
	combi, ok := f["combiArray"].([]any)
	if !ok {
		combi = []any{f}
	}
	count := 0.0
	for _, e := range n.clients[id] {
		for _, c := range combi {
			c := c.(map[string]any)
			name, category := e.Name == c["name"], e.Category != nil && *e.Category == c["category"]
			if c["nameType"] == "regex" {
				name = regexp.MustCompile(c["name"].(string)).MatchString(e.Name)
			}
			if e.Category == nil || *e.Category == "" {
				category = c["category"] == nil || c["category"] == ""
			}
			if name && category {
				count++
				break
			}
		}
	}
	low, high := f["min"], f["max"]
	if low == nil && high == nil {
		low = 1.0
	}
	return (low == nil || count >= low.(float64)) && (high == nil || count <= high.(float64))
}

// series are the labels that a client has in a level.
func (n *naiveReport) series(level map[string]any, id string, before time.Time) map[string]int {
	out := map[string]int{}
	name := level["property"].(string)
	for i, s := range level["segments"].([]any) {
		s := s.(map[string]any)
		label, in := n.seriesOf(name, s, id, before)
		if _, has := out[label]; in && !has {
			out[label] = i
		}
	}
	return out
}

func (n *naiveReport) seriesOf(name string, s map[string]any, id string, before time.Time) (label string, in bool) {
	if name == "licenseStatus" {
		return naiveLabel(s), n.matchesOne(name, []any{s}, id, before)
	}
	v := n.value(id, name, before)
	switch {
	case v == nil:
		return "<NULL>", s["includeNull"] == true
	case s["split"] == true:
		return naiveText(v), naiveHolds(s, v)
	}
	return naiveLabel(s), naiveHolds(s, v)
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

// statuses says what a client is in a bucket.
func (n *naiveReport) statuses(body map[string]any, id string, b naiveBucket) map[string]bool {
	first, last, active := n.clients[id][0].Time, n.clients[id][0].Time, false
	for _, e := range n.clients[id] {
		first, last = min(first, e.Time), max(last, e.Time)
		active = active || b.has(naiveDay(e))
	}
	out := map[string]bool{}
	for _, status := range body["clientStatus"].([]any) {
		switch status {
		case "new":
			out["new"] = b.has(naiveDay(stored{Event: schemas.Event{Time: first}}))
		case "active":
			out["active"] = active
		case "lost":
			seen := naiveDay(stored{Event: schemas.Event{Time: last}})
			declared := seen.AddDate(0, 0, int(body["daysUntilDeclaredLost"].(float64)))
			on := seen
			if body["dateReportedLost"] == "dateDeclaredLost" {
				on = declared
			}
			out["lost"] = !declared.After(n.today) && b.has(on)
		}
	}
	return out
}

// counted is a client in a bucket.
type naiveCounted struct {
	id     string
	bucket naiveBucket
	is     map[string]bool
}

// count answers generic/dateRange, and generic/current where there is no end.
func (n *naiveReport) count(body map[string]any, buckets []naiveBucket) any {
	levels, _ := body["levels"].(map[string]any)
	filters, _ := body["globalFilters"].(map[string]any)
	var who []naiveCounted
	for id := range n.clients {
		for _, b := range buckets {
			if n.matches(filters, id, b.to) {
				who = append(who, naiveCounted{id, b, n.statuses(body, id, b)})
			}
		}
	}
	if body["dateSplit"] == nil {
		if len(levels) == 0 {
			return map[string]any{"totals": naiveTotals(body, who, buckets[0])}
		}
		return n.nest(body, levels, 1, who, buckets)[buckets[0].key]
	}
	out := map[string]any{}
	nested := n.nest(body, levels, 1, who, buckets)
	for _, b := range buckets {
		if len(levels) == 0 {
			out[b.key] = naiveTotals(body, who, b)
		} else {
			out[b.key] = nested[b.key]
		}
	}
	return out
}

func naiveTotals(body map[string]any, who []naiveCounted, b naiveBucket) map[string]any {
	out := map[string]any{}
	for _, status := range body["clientStatus"].([]any) {
		count := 0.0
		for _, c := range who {
			if c.bucket == b && c.is[status.(string)] {
				count++
			}
		}
		out[status.(string)] = count
	}
	return out
}

// nest is {"levelN": {label: {"totals", "levelN+1"}}} by bucket key.
func (n *naiveReport) nest(body, levels map[string]any, depth int, who []naiveCounted, buckets []naiveBucket) map[string]map[string]any {
	out := map[string]map[string]any{}
	name := fmt.Sprint("level", depth)
	level, ok := levels[name].(map[string]any)
	for _, b := range buckets {
		out[b.key] = map[string]any{}
		if ok {
			out[b.key][name] = map[string]any{}
		}
	}
	if !ok {
		return out
	}
	parts, segment := map[string][]naiveCounted{}, map[string]int{}
	for _, c := range who {
		if !c.is["new"] && !c.is["active"] && !c.is["lost"] {
			continue
		}
		for label, i := range n.series(level, c.id, c.bucket.to) {
			parts[label] = append(parts[label], c)
			if at, known := segment[label]; !known || i < at {
				segment[label] = i
			}
		}
	}
	n.fixed(level, parts, segment)
	for label, part := range parts {
		inner := n.nest(body, levels, depth+1, part, buckets)
		for _, b := range buckets {
			inner[b.key]["totals"] = naiveTotals(body, part, b)
			out[b.key][name].(map[string]any)[label] = inner[b.key]
		}
	}
	return out
}

// fixed adds the series that are always there and drops those over a limit.
func (*naiveReport) fixed(level map[string]any, parts map[string][]naiveCounted, segment map[string]int) {
	for i, s := range level["segments"].([]any) {
		s := s.(map[string]any)
		if s["split"] != true {
			parts[naiveLabel(s)] = append([]naiveCounted(nil), parts[naiveLabel(s)]...)
		}
		if s["includeNull"] == true {
			parts["<NULL>"] = append([]naiveCounted(nil), parts["<NULL>"]...)
		}
		limit, limited := s["limit"].(float64)
		if !limited {
			continue
		}
		var labels []string
		for label := range parts {
			if at, known := segment[label]; known && at == i && label != "<NULL>" {
				labels = append(labels, label)
			}
		}
		size := func(label string) (sum int) {
			for _, c := range parts[label] {
				for _, is := range c.is {
					if is {
						sum++
					}
				}
			}
			return sum
		}
		sort.Slice(labels, func(i, j int) bool {
			if a, b := size(labels[i]), size(labels[j]); a != b {
				return a > b
			}
			return strings.Compare(labels[i], labels[j]) < 0
		})
		for _, label := range labels[min(len(labels), int(limit)):] {
			delete(parts, label)
		}
	}
}
