package report

import (
	"context"
	"errors"
)

// grouping says which clients are counted as one: those that have the same
// value now. Clients without one are not counted.
type grouping struct {
	index index // client → unit, −1 of clients that are not counted
	units int   // how many there are
}

// grouping reads every client's value; nil where clients count by themselves.
func (q *Question) grouping(ctx context.Context, src Source) (*grouping, error) {
	if q.group == "" {
		return nil, nil //nolint:nilnil // most questions have none
	}
	by := base{given: q.given, zone: q.zone, days: q.days, moment: latest}
	property, err := by.props.use("groupBy", q.group)
	if err != nil {
		return nil, err
	}
	f := newFacts(&by, part{to: wholePart}, nil)
	err = each(src.Clients(ctx, Scan{Properties: true}), []*facts{f}, (*facts).addClients)
	if errors.Is(err, errFull) {
		return nil, wrong("groupBy", "the product has too many clients to count them by %s at once", q.group)
	}
	if err != nil {
		return nil, err
	}
	g := &grouping{}
	units := map[string]int32{} // by the value as it is written
	for u := range f.units {
		code := f.valueCode(int32(u), &by.props.all[property], maxDay)
		if code == 0 {
			g.index.put(f.units[u].id, -1)
			continue
		}
		at, known := units[f.values[code].Text]
		if !known {
			at = int32(g.units)
			units[f.values[code].Text] = at
			g.units++
		}
		g.index.put(f.units[u].id, at)
	}
	return g, nil
}
