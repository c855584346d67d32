package query

import (
	"slices"
	"testing"
	"time"
)

// fullReport answers eventTracking/advanced/fullReport.
func (v *naiveView) fullReport() any {
	in := v.days()
	units := slices.DeleteFunc(slices.Clone(v.units), func(u *naiveUnit) bool { return !u.active(in) || !v.matches(u, in.to) })
	if v.body["segmentBy"] == nil {
		return v.advanced(units, in)
	}
	out := map[string]any{}
	for label, part := range v.segments(units, func(*naiveUnit) time.Time { return in.to }) {
		out[label] = v.advanced(part, in)
	}
	return out
}

// advanced returns one element for each requested event.
func (v *naiveView) advanced(units []*naiveUnit, in naiveBucket) any {
	out := []any{}
	for _, asked := range v.body["events"].([]any) {
		asked := asked.(map[string]any)
		if asked["combiLabel"] == nil && v.flags[naiveKeyOf(asked)].notAdvanced {
			continue
		}
		var count, users, sessionsUsed, sessionsAll int64
		var counts []int64
		for _, u := range units {
			n := int64(0)
			for _, e := range u.events {
				if in.has(e.day) && !e.out && naiveRequested(asked, e) && !v.flags[e.key].notAdvanced {
					n++
				}
			}
			sessions := u.activeUsage(in).sessions
			sessionsAll += sessions
			if n > 0 {
				users++
				count += n
				sessionsUsed += sessions
				counts = append(counts, n)
			}
		}
		bins := naiveAutomatic(counts, naiveLadder, 1, false, naivePlain)
		frequency := map[string]int{}
		for _, b := range bins {
			frequency[b.label] = 0
		}
		for _, n := range counts {
			frequency[naiveBinLabel(bins, n)]++
		}
		row := naiveEventName(asked)
		row["eventCounts"], row["usageFrequency"] = count, frequency
		row["averageEventCountPerSessionUsedAtLeastOnce"], row["averageEventCountPerSessionAll"] = naivePer(count, sessionsUsed), naivePer(count, sessionsAll)
		row["averageEventCountPerUserAtLeastOnce"], row["averageEventCountPerUserAll"] = naivePer(count, users), naivePer(count, int64(len(units)))
		row["uniqueUsersUsedAtLeastOnce"], row["uniqueUsersNeverUsed"] = users, int64(len(units))-users
		out = append(out, row)
	}
	return out
}

// fullReport returns a question of eventTracking/advanced/fullReport.
func (g *questionGenerator) fullReport() map[string]any {
	body := g.rangeQuestion()
	g.maybe(body, "globalFilters", g.filters)
	body["events"] = g.events()
	if g.IntN(2) == 0 {
		g.segmentBy(body)
	}
	return body
}

func TestFullReportAgainstRawEvents(t *testing.T) {
	againstRandomEvents(t, 200, func(g *questionGenerator) { g.check("eventTracking/advanced/fullReport", g.fullReport()) })
}
