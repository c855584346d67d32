package query

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"weir/schemas"
)

// usageOf is what a client did in a range of days.
type naiveUsage struct{ days, sessions, minutes int64 }

func (n *naiveReport) usageIn(id string, b naiveBucket) naiveUsage {
	days, ms := map[string]bool{}, int64(0)
	var out naiveUsage
	for _, e := range n.clients[id] {
		if !b.has(naiveDay(e)) {
			continue
		}
		days[naiveDay(e).String()] = true
		if e.Name == schemas.SessionStart {
			out.sessions++
		}
		if e.Name == schemas.SessionStop && e.RuntimeMS != nil {
			ms += *e.RuntimeMS
		}
	}
	for out.minutes*60000 < ms {
		out.minutes++
	}
	out.days = int64(len(days))
	return out
}

// naiveBins are labels with their largest number; the last may be open.
type naiveBins []struct {
	label string
	most  int64
}

func (b naiveBins) of(n int64) string {
	for _, bin := range b {
		if n <= bin.most {
			return bin.label
		}
	}
	return "?"
}

func naiveAutomatic(numbers []int64, ladder []int64, least int64, label func(int64) string) naiveBins {
	var bins naiveBins
	add := func(label string, most int64) {
		bins = append(bins, struct {
			label string
			most  int64
		}{label, most})
	}
	if len(numbers) == 0 {
		return nil
	}
	slices.Sort(numbers)
	reach := int64(0)
	for i, v := range numbers { // the smallest that 95 % do not exceed
		if float64(i+1) >= 0.95*float64(len(numbers)) {
			reach = v
			break
		}
	}
	factor := int64(1)
	for _, f := range []int64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000} {
		if factor = f; ladder[5]*f >= reach {
			break
		}
	}
	low := least
	for i, step := range ladder {
		high := step * factor
		switch {
		case i == 0 && least == 0:
			add("≤ "+label(high), high)
		case low == high:
			add(label(low), high)
		default:
			add(label(low)+" - "+label(high), high)
		}
		low = high + 1
		if high >= reach {
			break
		}
	}
	if numbers[len(numbers)-1] >= low {
		add("≥ "+label(low), 1<<60)
	}
	return bins
}

func (n *naiveReport) distribution(body map[string]any, b naiveBucket) any {
	filters, _ := body["globalFilters"].(map[string]any)
	var who []map[string]int64
	numbers := map[string][]int64{}
	for id := range n.clients {
		u := n.usageIn(id, b)
		if u.days == 0 || !n.matches(filters, id, b.to) {
			continue
		}
		m := map[string]int64{"activeDays": u.days, "sessions": u.sessions, "runtime": u.minutes}
		who = append(who, m)
		for name, v := range m {
			numbers[name] = append(numbers[name], v)
		}
	}
	plain := func(v int64) string { return fmt.Sprint(v) }
	clock := func(v int64) string { return fmt.Sprintf("%d:%02d", v/60, v%60) }
	bins := map[string]naiveBins{
		"activeDays": naiveAutomatic(numbers["activeDays"], []int64{1, 2, 3, 5, 8, 12}, 1, plain),
		"sessions":   naiveAutomatic(numbers["sessions"], []int64{1, 2, 3, 5, 8, 12}, 0, plain),
		"runtime":    naiveAutomatic(numbers["runtime"], []int64{5, 15, 30, 60, 120, 240}, 0, clock),
	}
	out := map[string]any{}
	for name := range bins {
		rows := map[string]any{}
		for _, bin := range bins[name] {
			row := map[string]any{}
			users := 0
			for other := range bins {
				if other == name {
					continue
				}
				counts := map[string]int{}
				for _, bin := range bins[other] {
					counts[bin.label] = 0
				}
				row[other] = counts
			}
			for _, c := range who {
				if bins[name].of(c[name]) != bin.label {
					continue
				}
				users++
				for other := range row {
					row[other].(map[string]int)[bins[other].of(c[other])]++
				}
			}
			row["users"] = users
			rows[bin.label] = row
		}
		out[name] = rows
	}
	return out
}

func TestUsageDistributionAgainstRawEvents(t *testing.T) {
	worlds(t, 100, func(t *testing.T, g *asker, naive *naiveReport) {
		body := map[string]any{}
		g.some(body, "globalFilters", g.filters)
		stop := g.IntN(40)
		start := stop + g.IntN(40)
		body["startDate"], body["stopDate"] = g.w.date(start), g.w.date(stop)
		b := naiveBuckets(naive.today.AddDate(0, 0, -start), naive.today.AddDate(0, 0, -stop), nil)[0]
		g.check(t, "engagement/usageDistribution", body, naive.distribution(sent(t, body), b))
	})
}

// naiveTwo rounds n ÷ d half away from zero to two decimals.
func naiveTwo(n, d *big.Rat) any {
	if d.Sign() == 0 {
		return 0.0
	}
	q := new(big.Rat).Quo(n, d)
	q.Mul(q, big.NewRat(100, 1))
	if q.Sign() < 0 {
		q.Sub(q, big.NewRat(1, 2))
	} else {
		q.Add(q, big.NewRat(1, 2))
	}
	whole := new(big.Int).Quo(q.Num(), q.Denom())
	f, _ := new(big.Rat).SetFrac(whole, big.NewInt(100)).Float64()
	return f
}

// naiveSums are those of some days.
type naiveSums struct {
	users, sessions, hours *big.Rat
	count, value           map[string]*big.Rat // by category and name, joined by "/"
	values                 map[string]int
}

func (n *naiveReport) sums(b naiveBucket) naiveSums {
	s := naiveSums{new(big.Rat), new(big.Rat), new(big.Rat), map[string]*big.Rat{}, map[string]*big.Rat{}, map[string]int{}}
	for id := range n.clients {
		if u := n.usageIn(id, b); u.days > 0 {
			s.users.Add(s.users, big.NewRat(1, 1))
			s.sessions.Add(s.sessions, big.NewRat(u.sessions, 1))
		}
		for _, e := range n.clients[id] {
			if !b.has(naiveDay(e)) {
				continue
			}
			if e.Name == schemas.SessionStart || e.Name == schemas.SessionStop {
				if e.Name == schemas.SessionStop && e.RuntimeMS != nil {
					s.hours.Add(s.hours, big.NewRat(*e.RuntimeMS, 3600000))
				}
				continue
			}
			key := "/" + e.Name
			if e.Category != nil {
				key = *e.Category + key
			}
			if s.count[key] == nil {
				s.count[key], s.value[key] = new(big.Rat), new(big.Rat)
			}
			s.count[key].Add(s.count[key], big.NewRat(1, 1))
			if e.Value != nil {
				s.values[key]++
				s.value[key].Add(s.value[key], new(big.Rat).SetFrac(e.Value.BigInt(), big.NewInt(1_000_000_000)))
			}
		}
	}
	return s
}

func naiveFloat(r *big.Rat) float64 { f, _ := r.Float64(); return f }

func (s naiveSums) usage(count *big.Rat) map[string]any {
	return map[string]any{
		"cumulativeUsageCount": naiveFloat(count), "averageCountPerUser": naiveTwo(count, s.users),
		"averageCountPerSession": naiveTwo(count, s.sessions), "averageCountPerRuntimeHour": naiveTwo(count, s.hours),
	}
}

func (s naiveSums) custom(count, value *big.Rat, values int) map[string]any {
	if values == 0 {
		return map[string]any{}
	}
	return map[string]any{
		"cumulativeValue": naiveFloat(value), "averageValuePerUser": naiveTwo(value, s.users),
		"averageValuePerSession": naiveTwo(value, s.sessions), "averageValuePerRuntimeHour": naiveTwo(value, s.hours),
		"averageValuePerUsageCount": naiveTwo(value, count),
	}
}

func (n *naiveReport) table(b naiveBucket) any {
	s := n.sums(b)
	out := []any{}
	for _, category := range []string{"", "File", "Édition"} {
		count, value, values := new(big.Rat), new(big.Rat), 0
		events := map[string]any{}
		for key := range s.count {
			name, ours := strings.CutPrefix(key, category+"/")
			if !ours {
				continue
			}
			count.Add(count, s.count[key])
			value.Add(value, s.value[key])
			values += s.values[key]
			events[name] = map[string]any{
				"eventUsage": s.usage(s.count[key]), "eventCustomValues": s.custom(s.count[key], s.value[key], s.values[key]),
			}
		}
		if len(events) == 0 {
			continue
		}
		var named any
		if category != "" {
			named = category
		}
		out = append(out, map[string]any{
			"category": named, "categoryUsageSummary": s.usage(count), "categoryCustomValuesSummary": s.custom(count, value, values),
			"categoryEventsData": events,
		})
	}
	return out
}

func TestEventTableAgainstRawEvents(t *testing.T) {
	worlds(t, 100, func(t *testing.T, g *asker, naive *naiveReport) {
		stop := g.IntN(40)
		start := stop + g.IntN(40)
		body := map[string]any{"startDate": g.w.date(start), "stopDate": fmt.Sprint("NOW-", stop)}
		b := naiveBuckets(naive.today.AddDate(0, 0, -start), naive.today.AddDate(0, 0, -stop), nil)[0]
		g.check(t, "eventTracking/basic/dataTable", body, naive.table(b))
	})
}

func (n *naiveReport) timeline(body map[string]any, buckets []naiveBucket) any {
	out := map[string]any{}
	for _, b := range buckets {
		s := n.sums(b)
		row := []any{}
		for _, e := range body["events"].([]any) {
			e := e.(map[string]any)
			key := "/" + e["name"].(string)
			if category, ok := e["category"].(string); ok {
				key = category + key
			}
			count, value := new(big.Rat), new(big.Rat)
			if s.count[key] != nil {
				count, value = s.count[key], s.value[key]
			}
			of := count
			if body["dataView"] == "customValues" {
				of = value
			}
			var answer any = naiveFloat(of)
			switch body["divisor"] {
			case "users":
				answer = naiveTwo(of, s.users)
			case "sessions":
				answer = naiveTwo(of, s.sessions)
			case "runtime":
				answer = naiveTwo(of, s.hours)
			case "usageCounts":
				answer = naiveTwo(of, count)
			}
			row = append(row, map[string]any{"category": e["category"], "name": e["name"], "value": answer})
		}
		out[b.key] = row
	}
	return out
}

func TestEventTimelineAgainstRawEvents(t *testing.T) {
	worlds(t, 100, func(t *testing.T, g *asker, naive *naiveReport) {
		body := map[string]any{"dateSplit": g.pick("day", "week", "month"), "dataView": "usageCounts"}
		divisors := []any{nil, "users", "sessions", "runtime"}
		if g.IntN(2) == 0 {
			body["dataView"] = "customValues"
			divisors = append(divisors, "usageCounts")
		}
		body["divisor"] = g.pick(divisors...)
		var events []any
		for range 1 + g.IntN(4) {
			events = append(events, map[string]any{
				"category": g.pick(nil, "File", "Édition", "none"), "name": g.pick("Open", "Save", "Print", schemas.SessionStart),
			})
		}
		body["events"] = events
		stop := g.IntN(40)
		start := stop + g.IntN(40)
		body["startDate"], body["stopDate"] = g.w.date(start), g.w.date(stop)
		buckets := naiveBuckets(naive.today.AddDate(0, 0, -start), naive.today.AddDate(0, 0, -stop), body["dateSplit"])
		g.check(t, "eventTracking/basic/timeline", body, naive.timeline(sent(t, body), buckets))
	})
}
