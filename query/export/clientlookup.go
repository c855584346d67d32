package export

import (
	"context"
	"fmt"
	"iter"
	"math"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/rollup"
)

// lookUp fills the values of g, which have their rows, with the properties of their
// clients. It scans each table once for all products of g.
//
// It needs little of the history. The rollup of clients names each property that a
// client ever reported, and when last; events with $client are read on the days of
// the rows alone; and of the days before, the rollup client_days is read backwards,
// for those clients alone of which a property was not found yet.
func lookUp(ctx context.Context, v *view.View, g *clientGroup) error {
	if g.empty() {
		return nil
	}
	l := clientLookup{view: v, group: g}
	for _, step := range []func(context.Context) error{l.learnClients, l.learnBeyond, l.readDays, l.lookBack} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return g.seal()
}

// clientLookup is one lookUp.
type clientLookup struct {
	view  *view.View
	group *clientGroup
}

// learnClients reads which properties each client ever reported, and their last values.
func (l *clientLookup) learnClients(ctx context.Context) error {
	g := l.group
	f := columns.Filter{Products: g.products, Clients: g.list(anyClient)}
	for b, err := range view.StoredClients(ctx, l.view, f, g.wants()) {
		if err != nil {
			return fmt.Errorf("read clients: %w", err)
		}
		for i, id := range b.Client {
			for _, v := range g.of(b.Product, i) {
				c := v.find(id)
				if c == nil {
					continue
				}
				c.seen = min(c.seen, b.First[i])
				if err := v.eachStamp(b.Properties[i], func(at stamp, reported *propertySet) { v.learnStored(c, at, reported) }); err != nil {
					return err
				}
			}
		}
		if err := g.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// eachStamp calls do for each observation of stored properties.
func (v *clientValues) eachStamp(properties string, do func(stamp, *propertySet)) error {
	return rollup.EachStamp(properties, func(time, offset int64, values string) {
		do(stamp{time, offset}, v.objects.propertySetOf(values))
	})
}

// learnBeyond reads the events that the rollups do not have yet, of all times, and
// then decides which properties are needed.
func (l *clientLookup) learnBeyond(ctx context.Context) error {
	g := l.group
	f := columns.Filter{Products: g.products, Clients: g.list(anyClient)}
	events := view.EventsBeyond(ctx, l.view, g.columns(), f, valueTables()...)
	err := g.eachObservation(events, func(v *clientValues, c *rowClient, at stamp, reported *propertySet) {
		c.seen = min(c.seen, at.time)
		if reported != nil {
			v.learn(c, at, reported)
		}
	})
	for v := range g.all() {
		v.decideNeeds()
	}
	return err
}

// eachObservation calls do for the events of clients that g has; reported is nil for
// those without $client.
func (g *clientGroup) eachObservation(
	events iter.Seq2[arrow.Record, error], do func(v *clientValues, c *rowClient, at stamp, reported *propertySet),
) error {
	for rec, err := range events {
		if err != nil {
			return err
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		g.beginBatch(rows.ClientProps.DictionaryLen())
		for i := range rows.Rows {
			for _, v := range g.of(rows.Product, i) {
				if c := v.find(rows.Client[i]); c != nil {
					do(v, c, stamp{rows.TimeMS(i), rows.Offset[i]}, v.objects.ownProperties(&rows.ClientProps, i))
				}
			}
		}
		if err := g.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// observeReported is what eachObservation does once it is known what is needed.
func observeReported(v *clientValues, c *rowClient, at stamp, reported *propertySet) {
	if reported != nil {
		v.observe(c, at, reported)
	}
}

// readDays reads all observations on the days of the rows.
func (l *clientLookup) readDays(ctx context.Context) error {
	g := l.group
	if err := g.observeHeld(); err != nil {
		return err
	}
	for _, days := range g.dayRanges() {
		if days.clients != nil && len(days.clients) == 0 {
			continue
		}
		f := columns.Filter{
			Products: g.products, Clients: days.clients, TimeFrom: int64(days.from) * dayMS, TimeTo: int64(days.to) * dayMS,
		}
		for _, f := range g.withoutHeld(f) {
			if err := g.eachObservation(l.view.Events(ctx, g.columns(), f), observeReported); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookBack reads the days before the rows from client_days, the newest first: a
// day, then ever longer ranges, each for the clients that need it.
func (l *clientLookup) lookBack(ctx context.Context) error {
	const growth = 4
	g, end := l.group, int32(math.MaxInt32)
	for width := int32(1); ; width = min(width*growth, 1<<20) {
		var wanted bool
		if end, wanted = g.lastWanted(end); !wanted {
			return nil
		}
		from := end - width
		list := g.list(func(v *clientValues, c *rowClient) bool {
			last, wanted := v.wantsBefore(c, end)
			return wanted && last > from
		})
		f := columns.Filter{Products: g.products, Clients: list, TimeFrom: int64(from) * dayMS, TimeTo: int64(end) * dayMS}
		if err := l.readStoredDays(ctx, f); err != nil {
			return err
		}
		end = from
	}
}

// readStoredDays reads the last values of the days of f.
func (l *clientLookup) readStoredDays(ctx context.Context, f columns.Filter) error {
	g := l.group
	for b, err := range view.StoredDays(ctx, l.view, f, g.wants()) {
		if err != nil {
			return fmt.Errorf("read client days: %w", err)
		}
		for i, code := range b.Client.Codes {
			for _, v := range g.of(b.Product, i) {
				c := v.find(b.Client.Values[code])
				if c == nil || c.need == 0 {
					continue
				}
				if err := v.eachStamp(b.Properties[i], func(at stamp, reported *propertySet) { v.observe(c, at, reported) }); err != nil {
					return err
				}
			}
		}
		if err := g.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// lastWanted returns the end of the days that some client wants to be read from
// client_days, of those before end.
func (g *clientGroup) lastWanted(end int32) (last int32, wanted bool) {
	last = math.MinInt32
	for v := range g.all() {
		for i := range v.clients {
			if to, wants := v.wantsBefore(&v.clients[i], end); wants {
				last, wanted = max(last, to), true
			}
		}
	}
	return last, wanted
}

// wantsBefore returns the end of the days before end that are wanted of c: those
// before its first row while something is missing, and those between its first and
// last row, as readDays reads only days that have rows.
func (v *clientValues) wantsBefore(c *rowClient, end int32) (last int32, wants bool) {
	if c.need == 0 {
		return 0, false
	}
	first, to := rollup.Day(c.first.time), min(rollup.Day(c.last.time), end)
	if to-first > 1 {
		return to, true
	}
	to = min(first, end)
	if rollup.Day(c.seen) >= to || v.missing(c, to) == 0 {
		return 0, false
	}
	return to, true
}
