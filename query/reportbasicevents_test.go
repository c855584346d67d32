package query

import (
	"math/big"
	"slices"
	"testing"

	"weir/schemas"
)

// usageDistribution answers engagement/usageDistribution.
func (v *naiveView) usageDistribution() any {
	b := v.days()
	var who []map[string]int64
	numbers := map[string][]int64{}
	for _, u := range v.units {
		if !u.active(b) || !v.matches(u, b.to) {
			continue
		}
		use := u.activeUsage(b)
		m := map[string]int64{"activeDays": int64(len(use.days)), "sessions": use.sessions, "runtime": use.minutes()}
		who = append(who, m)
		for name, n := range m {
			numbers[name] = append(numbers[name], n)
		}
	}
	bins := map[string][]naiveBin{
		"activeDays": naiveAutomatic(numbers["activeDays"], naiveLadder, 1, false, naivePlain),
		"sessions":   naiveAutomatic(numbers["sessions"], naiveLadder, 0, true, naivePlain),
		"runtime":    naiveAutomatic(numbers["runtime"], []int64{5, 15, 30, 60, 120, 240}, 0, true, naiveClock),
	}
	out := map[string]any{}
	for name := range bins {
		rows := map[string]any{}
		for _, bin := range bins[name] {
			rows[bin.label] = naiveCrossTable(bins, name, bin, who)
		}
		out[name] = rows
	}
	return out
}

// naiveCrossTable returns one bin of a metric, by the bins of the other two.
func naiveCrossTable(bins map[string][]naiveBin, name string, bin naiveBin, who []map[string]int64) any {
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
		if naiveBinLabel(bins[name], c[name]) != bin.label {
			continue
		}
		users++
		for other := range row {
			row[other].(map[string]int)[naiveBinLabel(bins[other], c[other])]++
		}
	}
	row["users"] = users
	return row
}

// naiveSums are the sums of all units over some days.
type naiveSums struct {
	users, sessions, ms int64
	count, values       map[naiveKey]int64
	value               map[naiveKey]*big.Int
}

func (v *naiveView) sums(b naiveBucket) naiveSums {
	s := naiveSums{count: map[naiveKey]int64{}, values: map[naiveKey]int64{}, value: map[naiveKey]*big.Int{}}
	for _, u := range v.units {
		use := u.usage(b)
		if u.active(b) {
			s.users++
		}
		s.sessions += use.sessions
		s.ms += use.ms
		for key, n := range use.counts {
			s.count[key] += n
			s.values[key] += use.values[key]
			if s.value[key] == nil {
				s.value[key] = new(big.Int)
			}
			if use.sums[key] != nil {
				s.value[key].Add(s.value[key], use.sums[key])
			}
		}
	}
	return s
}

// by divides a number of billionths by users, sessions, hours of runtime, or
// another number.
func (s naiveSums) by(units *big.Int, divisor string, other int64) any {
	n := new(big.Rat).SetFrac(units, big.NewInt(1_000_000_000))
	switch divisor {
	case "users":
		return naiveRound(n, big.NewRat(s.users, 1), 2)
	case "sessions":
		return naiveRound(n, big.NewRat(s.sessions, 1), 2)
	case "runtime":
		return naiveRound(n, big.NewRat(s.ms, 3_600_000), 2)
	}
	return naiveRound(n, big.NewRat(other, 1), 2)
}

func naiveBillions(n int64) *big.Int {
	return new(big.Int).Mul(big.NewInt(n), big.NewInt(1_000_000_000))
}

func (s naiveSums) usage(count int64) map[string]any {
	n := naiveBillions(count)
	return map[string]any{
		"cumulativeUsageCount": count, "averageCountPerUser": s.by(n, "users", 0),
		"averageCountPerSession": s.by(n, "sessions", 0), "averageCountPerRuntimeHour": s.by(n, "runtime", 0),
	}
}

func (s naiveSums) custom(count int64, value *big.Int, values int64) map[string]any {
	if values == 0 {
		return map[string]any{}
	}
	return map[string]any{
		"cumulativeValue": naiveDecimal(value, 9), "averageValuePerUser": s.by(value, "users", 0),
		"averageValuePerSession": s.by(value, "sessions", 0), "averageValuePerRuntimeHour": s.by(value, "runtime", 0),
		"averageValuePerUsageCount": s.by(value, "count", count),
	}
}

// eventTable answers eventTracking/basic/dataTable.
func (v *naiveView) eventTable() any {
	s := v.sums(v.days())
	names := map[string][]string{} // by category
	for key := range s.count {
		if !v.flags[key].notBasic {
			names[key.category] = append(names[key.category], key.name)
		}
	}
	out := []any{}
	for _, category := range naiveSorted(names) {
		count, value, values := int64(0), new(big.Int), int64(0)
		events := map[string]any{}
		for _, name := range names[category] {
			key := naiveKey{category, name}
			count += s.count[key]
			value.Add(value, s.value[key])
			values += s.values[key]
			events[name] = map[string]any{
				"eventUsage": s.usage(s.count[key]), "eventCustomValues": s.custom(s.count[key], s.value[key], s.values[key]),
			}
		}
		out = append(out, map[string]any{
			"category": naiveCategory(category), "categoryUsageSummary": s.usage(count),
			"categoryCustomValuesSummary": s.custom(count, value, values), "categoryEventsData": events,
		})
	}
	return out
}

func naiveSorted[V any](m map[string]V) []string {
	var out []string
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// naiveCategory returns a category as answers have it; null for none.
func naiveCategory(category string) any {
	if category == "" {
		return nil
	}
	return category
}

// naiveKeyOf returns the key of a single event of a request.
func naiveKeyOf(e map[string]any) naiveKey {
	category, _ := e["category"].(string)
	return naiveKey{category, e["name"].(string)}
}

// timeline answers eventTracking/basic/timeline.
func (v *naiveView) timeline() any {
	out := map[string]any{}
	for _, b := range v.buckets() {
		s := v.sums(b)
		row := []any{}
		for _, e := range v.body["events"].([]any) {
			key := naiveKeyOf(e.(map[string]any))
			if v.flags[key].notBasic {
				continue
			}
			of := naiveBillions(s.count[key])
			if v.body["dataView"] == "customValues" {
				if of = s.value[key]; of == nil {
					of = new(big.Int)
				}
			}
			var answer any = naiveDecimal(of, 9)
			if divisor, ok := v.body["divisor"].(string); ok {
				answer = s.by(of, divisor, s.count[key])
			}
			row = append(row, map[string]any{"category": naiveCategory(key.category), "name": key.name, "value": answer})
		}
		out[b.key] = row
	}
	return out
}

func TestUsageDistributionAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) {
		body := g.rangeQuestion()
		g.maybe(body, "globalFilters", g.filters)
		g.check("engagement/usageDistribution", body)
	})
}

func TestEventTableAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) { g.check("eventTracking/basic/dataTable", g.rangeQuestion()) })
}

func TestEventTimelineAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) { g.check("eventTracking/basic/timeline", g.timeline()) })
}

// timeline returns a question of eventTracking/basic/timeline.
func (g *questionGenerator) timeline() map[string]any {
	body := g.rangeQuestion()
	body["dateSplit"], body["dataView"] = g.pick("day", "week", "month"), g.pick("usageCounts", "usageCount")
	divisors := []any{nil, "users", "sessions", "runtime"}
	if g.IntN(2) == 0 {
		body["dataView"] = "customValues"
		divisors = append(divisors, "usageCounts")
	}
	body["divisor"] = g.pick(divisors...)
	var events []any
	asked := map[naiveKey]bool{}
	for len(events) == 0 || g.IntN(3) > 0 {
		e := map[string]any{
			"category": g.pick(nil, "", "File", "Édition", "none"), "name": g.pick("Open", "Save", "Print", schemas.SessionStart),
		}
		if key := naiveKeyOf(e); !asked[key] {
			asked[key] = true
			events = append(events, e)
		}
	}
	body["events"] = events
	return body
}
