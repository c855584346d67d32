package query

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// engagement answers engagement/churnAndEngagement.
func (v *naiveView) engagement() any {
	in := v.days()
	cohort := slices.DeleteFunc(slices.Clone(v.units), func(u *naiveUnit) bool {
		return !in.has(u.first()) || u.outNow() || !v.matches(u, u.first().AddDate(0, 0, 1))
	})
	stop := in.to.AddDate(0, 0, -1)
	out := map[string]any{}
	switch v.body["segmentBy"] {
	case nil:
		out["totals"] = v.periods(cohort, in.from, stop)
	case "installationMonth":
		for from := in.from; in.has(from); {
			next := time.Date(from.Year(), from.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			month := naiveBucket{from: from, to: next}
			part := slices.DeleteFunc(slices.Clone(cohort), func(u *naiveUnit) bool { return !month.has(u.first()) })
			out[naiveStart("month", from)] = v.periods(part, from, stop)
			from = next
		}
	default:
		install := func(u *naiveUnit) time.Time { return u.first().AddDate(0, 0, 1) }
		for label, part := range v.segments(cohort, install) {
			out[label] = v.periods(part, in.from, stop)
		}
	}
	return out
}

// periods returns how many clients of a cohort are engaged and lost by each
// period, from the period of one day to that of another, among those that were
// installed so many periods before.
func (v *naiveView) periods(cohort []*naiveUnit, from, stop time.Time) any {
	out := map[string]any{}
	for p := 0; p <= v.period(stop)-v.period(from); p++ {
		all, lost := int64(0), int64(0)
		for _, u := range cohort {
			if v.period(stop)-v.period(u.first()) < p {
				continue
			}
			all++
			declared := u.last().AddDate(0, 0, int(v.body["daysUntilDeclaredLost"].(float64)))
			if !declared.After(v.today) && v.period(u.last())-v.period(u.first()) < p {
				lost++
			}
		}
		out[fmt.Sprint(p)] = map[string]any{
			"engaged": all - lost, "engagedPercent": naivePercent(all-lost, all), "lost": lost, "lostPercent": naivePercent(lost, all),
		}
	}
	return out
}

// period returns the number of the day, week or month of d.
func (v *naiveView) period(d time.Time) int {
	day, _ := time.Parse(time.DateOnly, naiveStart(v.body["dateSplit"], d))
	if v.body["dateSplit"] == "month" {
		return day.Year()*12 + int(day.Month())
	}
	days := int(day.Unix() / (24 * 60 * 60))
	if v.body["dateSplit"] == "week" {
		return days / 7 // Mondays lie seven days apart
	}
	return days
}

// churnHistogram answers churn/histogram/days, sessions and runtime.
func (v *naiveView) churnHistogram(metric string) any {
	var numbers []int64
	for _, u := range v.lostUnits() {
		switch metric {
		case "days":
			numbers = append(numbers, int64(len(u.lifetime.days)))
		case "sessions":
			numbers = append(numbers, u.lifetime.sessions)
		case "runtime":
			numbers = append(numbers, u.lifetime.minutes())
		}
	}
	switch metric {
	case "days":
		return naiveHistogram(numbers, naiveLadder, 1, naivePlain)
	case "sessions":
		return naiveHistogram(numbers, naiveLadder, 0, naivePlain)
	}
	return naiveHistogram(numbers, []int64{5, 15, 30, 60, 120, 240}, 0, naiveClock)
}

// engagement returns a question of churnAndEngagement.
func (g *questionGenerator) engagement() map[string]any {
	body := g.rangeQuestion()
	g.maybe(body, "globalFilters", g.filters)
	body["daysUntilDeclaredLost"], body["dateSplit"] = float64(1+g.IntN(30)), g.pick("day", "week", "month")
	switch g.IntN(3) {
	case 0:
		g.segmentBy(body)
	case 1:
		body["segmentBy"] = "installationMonth"
	}
	return body
}

// churnHistogram returns a question of the churn histograms.
func (g *questionGenerator) churnHistogram() map[string]any {
	body := g.withLossRule(g.rangeQuestion())
	g.maybe(body, "globalFilters", g.filters)
	return body
}

func TestEngagementAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) { g.check("engagement/churnAndEngagement", g.engagement()) })
}

func TestLossHistogramsAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) {
		g.check("churn/histogram/"+g.pick("days", "sessions", "runtime").(string), g.churnHistogram())
	})
}
