package report

import (
	"cmp"
	"context"
	"slices"

	"weir/schemas/rollup"
)

// optOuts is when the clients of a pass were opted out. As published, clients
// that opted out are not active. A client is out on a day if the last value of
// optOut.current that it reported up to the end of that day is true: on the day
// on which it opts out already, and no longer on the day on which it opts in
// again. Only clients that were out at the end of some day are kept.
type optOuts struct {
	units map[int64][]optOutDay // ascending by day; by id, or by unit where a unit is several clients
}

// optOutDay is the last observation of a day.
type optOutDay struct {
	day          Day
	out          bool
	time, offset int64
}

// optOutBytes is about the size of an observation in memory, and of the client
// that it is the first of.
const optOutBytes = 120

// gatherOptOuts adds when clients were opted out. Nearly all products have few
// such clients or none, and then the first scan yields next to nothing.
func (q *base) gatherOptOuts(ctx context.Context, src Source, workers []*clientStats) error {
	if !q.needs.optOuts {
		return nil
	}
	var clients []int64
	for o, err := range src.OptOuts(ctx, OptOutScan{OnlyOut: true}) {
		if err != nil {
			return err
		}
		for _, cs := range workers {
			if markOptOut(cs, o) {
				clients = append(clients, o.Client)
			}
		}
	}
	if len(clients) == 0 {
		return nil
	}
	if q.group != "" {
		clients = nil // others of the same unit may have opted in again
	}
	for o, err := range src.OptOuts(ctx, OptOutScan{Clients: clients}) {
		for _, cs := range workers {
			if err == nil {
				err = addOptOut(cs, o)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// optOutKey returns the key of a client in optOuts.units; false for clients of
// other ranges and those without a unit.
func optOutKey(cs *clientStats, client int64) (int64, bool) {
	if !cs.clients.has(client) {
		return 0, false
	}
	if cs.q.group == "" {
		return client, true
	}
	u, known := cs.unitIndex.find(client)
	return int64(u), known
}

// markOptOut notes a client that was out at the end of a day, and reports
// whether it is new.
func markOptOut(cs *clientStats, o rollup.OptOut) bool {
	key, ok := optOutKey(cs, o.Client)
	if _, known := cs.optOuts.units[key]; !ok || known || !o.Out {
		return false
	}
	if cs.optOuts.units == nil {
		cs.optOuts.units = map[int64][]optOutDay{}
	}
	cs.optOuts.units[key] = nil
	cs.bytes += optOutBytes
	return true
}

// addOptOut adds an observation of a unit that was marked.
func addOptOut(cs *clientStats, o rollup.OptOut) error {
	key, ok := optOutKey(cs, o.Client)
	days, marked := cs.optOuts.units[key]
	if !ok || !marked {
		return nil
	}
	seen := optOutDay{day: cs.q.zone.Day(o.Time), out: o.Out, time: o.Time, offset: o.Offset}
	i, found := slices.BinarySearchFunc(days, seen.day, func(d optOutDay, day Day) int { return cmp.Compare(d.day, day) })
	switch {
	case !found:
		cs.optOuts.units[key] = slices.Insert(days, i, seen)
		cs.bytes += optOutBytes
	case cmp.Or(cmp.Compare(seen.time, days[i].time), cmp.Compare(seen.offset, days[i].offset)) > 0:
		days[i] = seen
	}
	return cs.checkMemory()
}

// optedOutOn reports whether a unit was opted out at the end of a day.
func optedOutOn(cs *clientStats, u int32, d Day) bool {
	if len(cs.optOuts.units) == 0 {
		return false
	}
	key := int64(u)
	if cs.q.group == "" {
		key = cs.units[u].id
	}
	days := cs.optOuts.units[key]
	i, _ := slices.BinarySearchFunc(days, d+1, func(seen optOutDay, day Day) int { return cmp.Compare(seen.day, day) })
	return i > 0 && days[i-1].out
}

// optedOutNow reports whether the latest value that a unit reported is true.
func optedOutNow(cs *clientStats, u int32) bool { return optedOutOn(cs, u, maxDay) }
