package query

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/schemas"
)

// The naive model of the reports reads the question as it was sent, looks at raw
// events alone, as often as it takes, and shares no code with what it checks.

// naiveReport is all events of a product, with what its owner decided.
type naiveReport struct {
	events   []naiveEvent
	flags    map[naiveKey]naiveFlags // of the events that are not both basic and advanced
	pageSize int                     // clients on a page of the list
}

// naiveEvent is an event with its JSON decoded.
type naiveEvent struct {
	stored
	key                     naiveKey
	clientProps, eventProps map[string]any // $client and own properties; numbers as they were written
	day                     time.Time      // midnight UTC of its date in the zone of the question
	out                     bool           // its unit was opted out at the end of that day
}

// naiveKey is the category and the name of an event; "" is no category.
type naiveKey struct{ category, name string }

// naiveFlags say which reports an event is left out of.
type naiveFlags struct{ notBasic, notAdvanced bool }

func newNaiveReport(product int64, events []stored) *naiveReport {
	n := &naiveReport{flags: map[naiveKey]naiveFlags{}, pageSize: 200}
	for _, e := range events {
		if e.Product != product {
			continue
		}
		one := naiveEvent{stored: e, key: naiveKey{name: e.Name}, clientProps: naiveObject(e.ClientProps), eventProps: naiveObject(e.Properties)}
		if e.Category != nil {
			one.key.category = *e.Category
		}
		n.events = append(n.events, one)
	}
	return n
}

func naiveObject(text []byte) map[string]any {
	out := map[string]any{}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	d.Decode(&out)
	return out
}

// tracked reports whether the event is neither the start nor the stop of a
// session.
func (e *naiveEvent) tracked() bool {
	return e.Name != schemas.SessionStart && e.Name != schemas.SessionStop
}

// naiveView is the events that one question is about, in its time zone and by
// unit.
type naiveView struct {
	*naiveReport
	body  map[string]any
	today time.Time // midnight UTC of the date in the zone
	units []*naiveUnit
}

// naiveUnit is one client, or the clients of one value of groupBy.
type naiveUnit struct {
	id       string
	events   []naiveEvent // by (time, offset)
	lifetime naiveUsage
}

// naiveEnd is after all days.
var naiveEnd = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// naiveZone returns the time zone of a question.
func naiveZone(body map[string]any) *time.Location {
	name, _ := body["timeZone"].(string) // "" is UTC
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil // a test that uses it fails
	}
	return zone
}

// naiveDate returns midnight UTC of the date in a zone.
func naiveDate(t time.Time, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// view returns the events that a question is about when it is asked at a time.
func (n *naiveReport) view(body map[string]any, now time.Time) *naiveView {
	zone := naiveZone(body)
	v := &naiveView{naiveReport: n, body: body, today: naiveDate(now, zone)}
	asked, _ := body["eventProperties"].(map[string]any)
	clients := map[string]*naiveUnit{}
	for _, e := range n.events {
		if !naiveEventFilter(asked, e.eventProps) {
			continue
		}
		id := strconv.FormatInt(e.Client, 10)
		if clients[id] == nil {
			clients[id] = &naiveUnit{id: id}
		}
		e.day = naiveDate(time.UnixMilli(e.Time), zone)
		clients[id].events = append(clients[id].events, e)
	}
	v.group(clients)
	return v
}

// group makes units of clients.
func (v *naiveView) group(clients map[string]*naiveUnit) {
	units := map[string]*naiveUnit{}
	by, _ := v.body["groupBy"].(string)
	for id, c := range clients {
		c.sort()
		if by != "" && by != "clientId" {
			same := c.value(by, naiveEnd)
			if same == nil {
				continue
			}
			id = naiveText(same)
		}
		if units[id] == nil {
			units[id] = &naiveUnit{id: id}
		}
		units[id].events = append(units[id].events, c.events...)
	}
	for _, id := range slices.Sorted(maps.Keys(units)) {
		u := units[id]
		u.sort()
		u.findOptOuts()
		u.lifetime = u.usage(naiveAllDays)
		v.units = append(v.units, u)
	}
}

func (u *naiveUnit) sort() {
	slices.SortFunc(u.events, func(a, b naiveEvent) int {
		if a.Time != b.Time {
			return int(max(-1, min(1, a.Time-b.Time)))
		}
		return int(a.offset - b.offset)
	})
}

// findOptOuts says of each event whether the unit was opted out at the end of its
// day: whether the last event up to then that has the flag says so.
func (u *naiveUnit) findOptOuts() {
	out := false
	for i := range u.events {
		if flag, there := u.events[i].clientProps["optOut.current"]; there {
			out = naiveTrue(flag)
		}
		for same := i; same >= 0 && u.events[same].day.Equal(u.events[i].day); same-- {
			u.events[same].out = out
		}
	}
}

// outNow reports whether the unit is opted out now.
func (u *naiveUnit) outNow() bool { return u.events[len(u.events)-1].out }

// naiveEventFilter reports whether an event's own properties match all filters.
func naiveEventFilter(filters, own map[string]any) bool {
	for name, f := range filters {
		v := own[name]
		if _, object := v.(map[string]any); object {
			v = nil
		}
		if v == "" || v == "<NULL>" {
			v = nil
		}
		if !naiveMatch(f.(map[string]any), v) {
			return false
		}
	}
	return true
}

func (u *naiveUnit) first() time.Time { return u.events[0].day }
func (u *naiveUnit) last() time.Time  { return u.events[len(u.events)-1].day }

// naiveBucket is some days of the range; to is excluded.
type naiveBucket struct {
	key      string
	from, to time.Time
}

func (b naiveBucket) has(t time.Time) bool { return !t.Before(b.from) && t.Before(b.to) }

// naiveAllDays is a bucket of all days.
var naiveAllDays = naiveBucket{to: naiveEnd}

// date reads a date of the question.
func (v *naiveView) date(text any) time.Time {
	if back, relative := strings.CutPrefix(text.(string), "NOW"); relative {
		ago, _ := strconv.Atoi(back) // "" is 0, "-3" is three days ago
		return v.today.AddDate(0, 0, ago)
	}
	day, _ := time.Parse(time.DateOnly, text.(string))
	return day
}

// days returns the range of the question as one bucket.
func (v *naiveView) days() naiveBucket {
	return naiveBucket{key: "all", from: v.date(v.body["startDate"]), to: v.date(v.body["stopDate"]).AddDate(0, 0, 1)}
}

// buckets returns the range of the question, cut by dateSplit.
func (v *naiveView) buckets() []naiveBucket {
	var out []naiveBucket
	in := v.days()
	for d := in.from; d.Before(in.to); d = d.AddDate(0, 0, 1) {
		key := naiveStart(v.body["dateSplit"], d)
		if v.body["dateSplit"] == nil {
			key = "all"
		}
		if len(out) == 0 || out[len(out)-1].key != key {
			out = append(out, naiveBucket{key: key, from: d})
		}
		out[len(out)-1].to = d.AddDate(0, 0, 1)
	}
	return out
}

// naiveStart returns the first day of the day, week or month of d.
func naiveStart(split any, d time.Time) string {
	switch split {
	case "week":
		for d.Weekday() != time.Monday {
			d = d.AddDate(0, 0, -1)
		}
	case "month":
		d = d.AddDate(0, 0, 1-d.Day())
	}
	return d.Format(time.DateOnly)
}

// naiveStandard reports whether a property has a value of each day.
func naiveStandard(name string) bool {
	group, _, _ := strings.Cut(name, ".")
	switch group {
	case "prodVersion", "prodEdition", "prodBuild", "prodLanguage", "licenseType", "licenseStatus", "os", "osLanguage", "geography":
		return true
	}
	return len(name) == 3 && name[0] == 'C' && name >= "C01" && name <= "C20"
}

var naiveContinents = map[string]string{"DE": "EU", "MT": "EU", "US": "NA", "NZ": "OC", "NP": "AS", "BR": "SA", "ZA": "AF", "AQ": "AN", "UK": "EU", "GERMANY": "EU"}

// value returns a property as known before a day; nil is null.
func (u *naiveUnit) value(name string, before time.Time) any {
	switch name {
	case "clientId":
		return u.id
	case "dateInstalled":
		return u.first().Format(time.DateOnly)
	case "dateLastSeen":
		return u.last().Format(time.DateOnly)
	case "lifetimeSessionCount":
		return naiveWhole(u.lifetime.sessions)
	case "lifetimeRuntimeMinutes":
		return naiveWhole(u.lifetime.ms / 60_000)
	case "geography.continent":
		if country := u.value("geography.country", before); country != nil && naiveContinents[strings.ToUpper(naiveText(country))] != "" {
			return naiveContinents[strings.ToUpper(naiveText(country))]
		}
	}
	var value any
	for _, e := range u.events {
		if v, there := e.clientProps[name]; there && (!naiveStandard(name) || e.day.Before(before)) {
			value = v
		}
	}
	if value == "" || value == "<NULL>" {
		value = nil
	}
	switch group, _, _ := strings.Cut(name, "."); group {
	case "licenseStatus", "optOut", "backOff":
		return fmt.Sprint(value != nil && naiveTrue(value)) // a flag is never null
	}
	return naiveSpelled(name, value)
}

// naiveSpelled returns a value of a property of numbers or booleans in its one
// spelling, and any other as it is.
func naiveSpelled(name string, value any) any {
	if value == nil {
		return nil
	}
	if slices.Contains(naiveNumbers, name) {
		if n, ok := naiveNumber(value); ok {
			text, _ := json.Marshal(n)
			return json.Number(text)
		}
	}
	group, _, _ := strings.Cut(name, ".")
	if slices.Contains([]string{"touchScreen", "licenseStatus", "optOut", "backOff"}, group) && (naiveTrue(value) || naiveFalse(value)) {
		return fmt.Sprint(naiveTrue(value))
	}
	return value
}

func naiveText(v any) string {
	if list, ok := v.([]any); ok {
		text, _ := json.Marshal(list)
		return string(text)
	}
	return fmt.Sprint(v)
}

var naiveNumberPattern = regexp.MustCompile(`^[ \t\r\n]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t\r\n]*$`)

func naiveNumber(v any) (float64, bool) {
	text := naiveText(v)
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return n, err == nil && naiveNumberPattern.MatchString(text)
}

func naiveTrue(v any) bool {
	return slices.Contains([]string{"true", "1", "y", "yes"}, strings.ToLower(strings.TrimSpace(naiveText(v))))
}

func naiveFalse(v any) bool {
	return slices.Contains([]string{"false", "0", "n", "no"}, strings.ToLower(strings.TrimSpace(naiveText(v))))
}

// activeUsage is usage on the days on which the unit was not opted out.
func (u *naiveUnit) activeUsage(in naiveBucket) naiveUsage {
	active := naiveUnit{events: slices.DeleteFunc(slices.Clone(u.events), func(e naiveEvent) bool { return e.out })}
	return active.usage(in)
}

// naiveUsage is the activity of a unit on some days.
type naiveUsage struct {
	days, weeks, months map[string]bool
	sessions, ms        int64
	counts              map[naiveKey]int64
	values              map[naiveKey]int64    // events with a value
	sums                map[naiveKey]*big.Int // of their values, in units of 10^-9
}

func (u *naiveUnit) usage(in naiveBucket) naiveUsage {
	out := naiveUsage{
		days: map[string]bool{}, weeks: map[string]bool{}, months: map[string]bool{},
		counts: map[naiveKey]int64{}, values: map[naiveKey]int64{}, sums: map[naiveKey]*big.Int{},
	}
	for _, e := range u.events {
		if !in.has(e.day) {
			continue
		}
		out.days[naiveStart("day", e.day)] = true
		out.weeks[naiveStart("week", e.day)] = true
		out.months[naiveStart("month", e.day)] = true
		switch {
		case e.tracked():
			out.counts[e.key]++
			if e.Value != nil {
				if out.sums[e.key] == nil {
					out.sums[e.key] = new(big.Int)
				}
				out.values[e.key]++
				out.sums[e.key].Add(out.sums[e.key], e.Value.BigInt())
			}
		case e.Name == schemas.SessionStart:
			out.sessions++
		case e.RuntimeMS != nil:
			out.ms += *e.RuntimeMS
		}
	}
	return out
}

// minutes returns the runtime in minutes, rounded up.
func (u naiveUsage) minutes() int64 {
	minutes := u.ms / 60_000
	if u.ms > minutes*60_000 {
		minutes++
	}
	return minutes
}

func naiveWhole(n int64) json.Number { return naiveDecimal(big.NewInt(n), 0) }

// naiveDecimal returns n × 10^-digits without trailing zeros.
func naiveDecimal(n *big.Int, digits int) json.Number {
	text := new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)).FloatString(digits)
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return json.Number(text)
}

// naiveRound returns n ÷ d with the given number of decimals, halves away from
// zero; null if d is 0.
func naiveRound(n, d *big.Rat, digits int) any {
	if d.Sign() == 0 {
		return nil
	}
	q := new(big.Rat).Quo(n, d)
	q.Mul(q, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
	half := big.NewRat(int64(q.Sign()), 2)
	q.Add(q, half)
	return naiveDecimal(new(big.Int).Quo(q.Num(), q.Denom()), digits)
}

// naivePer returns n ÷ d with two decimals.
func naivePer(n, d int64) any { return naiveRound(big.NewRat(n, 1), big.NewRat(d, 1), 2) }

// naivePercent returns n as a percentage of d.
func naivePercent(n, d int64) any {
	return naiveRound(big.NewRat(100*n, 1), big.NewRat(d, 1), 1)
}
