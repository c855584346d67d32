package report

import (
	"context"
	"errors"
	"hash/fnv"

	"weir/schemas/property"
)

// grouping says which clients groupBy counts as one: those with the same
// current value. Clients without a value are not counted.
type grouping struct {
	hashes    hashRange // of the hash of the values
	unitIndex clientIndex
	units     map[string]int32 // by the text of the value
	bytes     int64            // of units, approximately
}

// forEachGrouping calls pass for the clients of some values at a time, as many
// values as fit the memory. Passes are by the hash of the value and not of the
// client, because all clients of a value must be in one pass.
func (q *Question) forEachGrouping(ctx context.Context, src Source, pass func(*grouping) error) error {
	by := base{params: q.params, zone: q.zone, days: q.days, asOf: asOfNow}
	by.params.Bytes /= 2 // the other half is for the grouping
	by.props.cost = q.params.Cost
	at, err := by.props.use("groupBy", q.group)
	if err != nil {
		return err
	}
	value := &by.props.all[at]
	return forEachRange(func(p hashRange) error {
		g := &grouping{hashes: p, units: map[string]int32{}}
		err := g.gather(ctx, src, &by, value)
		if err == nil {
			err = pass(g)
		}
		if errors.Is(err, ErrFull) && len(g.units) == 1 {
			return fieldErrorf("groupBy", "more clients have one value of %s than can be looked at together", q.group)
		}
		return err
	})
}

// gather reads the current value of every client and keeps the clients whose
// value is in the range of the grouping.
func (g *grouping) gather(ctx context.Context, src Source, by *base, value *usedProperty) error {
	err := forEachRange(func(p hashRange) error {
		cs := newClientStats(by, p)
		if err := forEachBatch(ctx, src.Clients(ctx, by.clientsScan()), []*clientStats{cs}, (*clientStats).addClients); err != nil {
			return err
		}
		return g.add(cs, value)
	})
	if errors.Is(err, errGroups) {
		return ErrFull // makes the range of values smaller, not that of clients
	}
	return err
}

// errGroups says that the groups need more memory than allowed. It differs from
// ErrFull, which makes a pass over clients smaller and would not help here.
var errGroups = errors.New("more groups than fit")

// add adds the clients of one pass.
func (g *grouping) add(cs *clientStats, value *usedProperty) error {
	for u := range cs.units {
		code := cs.valueCode(int32(u), value, maxDay)
		if code == 0 || !g.inRange(cs.values[code].Text) {
			continue
		}
		g.unitIndex.put(cs.units[u].id, g.unitOf(cs.values[code].Text))
	}
	if g.unitIndex.bytes()+g.bytes > cs.maxBytes {
		return errGroups
	}
	return nil
}

// inRange reports whether a value is in the range of hashes.
func (g *grouping) inRange(value string) bool {
	if g.hashes.whole() {
		return true
	}
	h := fnv.New64a()
	h.Write([]byte(value))
	return g.hashes.has(int64(h.Sum64()))
}

// unitOf returns the unit of a value, and adds one if it is new.
func (g *grouping) unitOf(value string) int32 {
	at, known := g.units[value]
	if !known {
		at = int32(len(g.units))
		g.units[value] = at
		g.bytes += int64(len(value)) + 64
	}
	return at
}

// readGroupBy reads groupBy: clients with the same current value of that
// property count as one. Custom properties qualify only with the type that the
// product's owner gives them for this.
func (q *base) readGroupBy(b *Body) error {
	name := text(b.GroupBy)
	switch {
	case name == "" || name == property.NameClientID:
		return nil
	case name == property.NameMachineID || name == property.NameLicenseKey:
	case property.IsCustom(name) && q.params.Types[name] == property.TypeGrouping:
	case property.IsCustom(name):
		return fieldErrorf("groupBy", "%s is of type %d: only custom properties of type %d can be counted by", name, max(property.TypeDefault, q.params.Types[name]), property.TypeGrouping)
	default:
		return fieldErrorf("groupBy", "%q is not clientId, machineId, licenseKey or a custom property of type %d", name, property.TypeGrouping)
	}
	q.group, q.props.grouped = name, true
	return nil
}

// refuseGroupBy refuses a groupBy in reports that have none.
func (*base) refuseGroupBy(b *Body) error {
	if name := text(b.GroupBy); name != "" && name != property.NameClientID {
		return fieldErrorf("groupBy", "this report counts by clientId alone")
	}
	return nil
}
