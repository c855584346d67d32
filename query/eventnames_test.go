package query

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"weir/query/cost"
	"weir/query/report"
)

// firstKeys returns the events of the model that were seen first.
func (n *naiveReport) firstKeys(most int) []naiveKey {
	first := map[naiveKey]int64{}
	for i := range n.events {
		e := &n.events[i]
		if at, known := first[e.key]; e.tracked() && (!known || e.Time < at) {
			first[e.key] = e.Time
		}
	}
	all := slices.SortedFunc(maps.Keys(first), func(a, b naiveKey) int {
		return cmp.Or(cmp.Compare(first[a], first[b]), cmp.Compare(a.category, b.category), cmp.Compare(a.name, b.name))
	})
	return all[:min(most, len(all))]
}

// withOthers returns the model with all events but some called OtherEvents.
// Events that are not collected as basic keep their names if the report leaves
// them out.
func (n *naiveReport) withOthers(named []naiveKey, onlyBasic bool) *naiveReport {
	out := *n
	out.events = slices.Clone(n.events)
	for i := range out.events {
		e := &out.events[i]
		if e.tracked() && !slices.Contains(named, e.key) && (!onlyBasic || !n.flags[e.key].notBasic) {
			e.key, e.Name, e.Category = naiveKey{name: report.OtherEvents}, report.OtherEvents, nil
		}
	}
	return &out
}

// TestEventsBeyondTheNamedAreCountedTogether asks the reports that list events of
// products that have more than they name: all others are as if they had one name.
func TestEventsBeyondTheNamedAreCountedTogether(t *testing.T) {
	againstRandomEvents(t, 60, func(g *questionGenerator) {
		const most = 3
		g.w.reporting.reports.cost = cost.Limits{EventNames: most}
		named, all := g.naive.firstKeys(most), g.naive
		if len(all.firstKeys(most+1)) == most {
			return
		}
		for path, body := range map[string]map[string]any{
			"eventTracking/basic/dataTable":    {"startDate": "1970-01-01", "stopDate": "NOW"},
			"eventTracking/lifetime/dataTable": g.lifetimeTable(),
			"clientPropertyList":               {"properties": []any{"lifetimeEventUsage"}},
		} {
			delete(body, "events") // a question that names events gets those
			delete(body, "eventProperties")
			delete(body, "globalFilters") // they may name events too
			basic := path == "eventTracking/basic/dataTable"
			if path == "clientPropertyList" && len(g.pageKeys()) <= most || basic && len(g.basicKeys(all)) <= most {
				continue
			}
			g.naive = all.withOthers(named, basic)
			got := g.w.envelope(path+"/1", body)
			if got["moreEvents"] != true {
				t.Errorf("%s: moreEvents is %v", path, got["moreEvents"])
			}
			g.checkWith(path, body, map[string]any{"moreEvents": true})
			g.naive = all
		}
	})
}

// pageKeys returns the events of the clients of the first page of a list.
func (g *questionGenerator) pageKeys() map[naiveKey]bool {
	ids := map[string]bool{}
	for i := range g.naive.events {
		ids[fmt.Sprint(g.naive.events[i].Client)] = true
	}
	page := slices.Sorted(maps.Keys(ids))
	page = page[:min(len(page), g.naive.pageSize)]
	keys := map[naiveKey]bool{}
	for i := range g.naive.events {
		if e := &g.naive.events[i]; e.tracked() && slices.Contains(page, fmt.Sprint(e.Client)) {
			keys[naiveKey{e.key.category, e.Name}] = true
		}
	}
	return keys
}

// basicKeys returns the events that are collected as basic.
func (*questionGenerator) basicKeys(n *naiveReport) map[naiveKey]bool {
	keys := map[naiveKey]bool{}
	for i := range n.events {
		if e := &n.events[i]; e.tracked() && !n.flags[e.key].notBasic {
			keys[e.key] = true
		}
	}
	return keys
}
