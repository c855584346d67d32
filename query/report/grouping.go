package report

import (
	"context"
	"errors"
	"hash/fnv"
)

// grouping says which clients are counted as one: those that have the same
// value now. Clients without one are not counted.
type grouping struct {
	of    part // of the values
	index index
	units map[string]int32 // by the value as it is written
	bytes int64            // of units
}

// groupings calls pass for groups of clients, for as many at once as fit.
func (q *Question) groupings(ctx context.Context, src Source, pass func(*grouping) error) error {
	by := base{given: q.given, zone: q.zone, days: q.days, moment: latest}
	by.given.Bytes /= 2 // the other half is of the groups
	at, err := by.props.use("groupBy", q.group)
	if err != nil {
		return err
	}
	value := &by.props.all[at]
	return inParts(func(p part) error {
		g := &grouping{of: p, units: map[string]int32{}}
		err := g.gather(ctx, src, &by, value)
		if err == nil {
			err = pass(g)
		}
		if errors.Is(err, ErrFull) && len(g.units) == 1 {
			return wrong("groupBy", "more clients have one value of %s than can be looked at together", q.group)
		}
		return err
	})
}

// gather reads the current value of every client. It keeps those whose value is
// of the part.
func (g *grouping) gather(ctx context.Context, src Source, by *base, value *usedProperty) error {
	err := inParts(func(p part) error {
		f := newFacts(by, p)
		if err := each(src.Clients(ctx, by.clientsScan()), []*facts{f}, (*facts).addClients); err != nil {
			return err
		}
		return g.add(f, value)
	})
	if errors.Is(err, errGroups) {
		return ErrFull // of the part of g, whatever part of the clients was read
	}
	return err
}

// errGroups says that there are more groups than fit.
var errGroups = errors.New("more groups than fit")

func (g *grouping) add(f *facts, value *usedProperty) error {
	for u := range f.units {
		code := f.valueCode(int32(u), value, maxDay)
		if code == 0 || !g.has(f.values[code].Text) {
			continue
		}
		g.index.put(f.units[u].id, g.unit(f.values[code].Text))
	}
	if g.index.bytes()+g.bytes > f.most {
		return errGroups
	}
	return nil
}

func (g *grouping) has(value string) bool {
	if g.of.whole() {
		return true
	}
	h := fnv.New64a()
	h.Write([]byte(value))
	return g.of.has(int64(h.Sum64()))
}

func (g *grouping) unit(value string) int32 {
	at, known := g.units[value]
	if !known {
		at = int32(len(g.units))
		g.units[value] = at
		g.bytes += int64(len(value)) + 64
	}
	return at
}
