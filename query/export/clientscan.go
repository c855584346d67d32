package export

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/rollup"
)

// maxListedClients is how many clients a filter names at most; with more, rows of
// all clients are read and those of others are left out here.
const maxListedClients = 1 << 16

// dayMS is the length of a day in milliseconds.
const dayMS = 86_400_000

// rowSource is the rows of a file or those of last lines, which are written with the
// properties of their clients. It is read in passes.
type rowSource interface {
	// find adds the rows of the pass to v.
	find(ctx context.Context, v *clientValues) error
	// write writes the rows of the pass with the values of v.
	write(ctx context.Context, v *clientValues) error
}

// observationColumns are the columns of an event that make an observation.
func observationColumns() []string {
	return []string{columns.ClientID, columns.Time, columns.Offset, columns.Client}
}

// valueTables are the rollups that a clientScan reads.
func valueTables() []lake.Table { return []lake.Table{lake.ClientDays, lake.Clients} }

// clientScan finds for some rows of one product the properties of their clients at
// each of these rows, and has the rows written with them: of each property what the
// row itself reports, else the latest that was reported before it, by event time and
// then offset. All that is in the view counts, whenever it arrived.
//
// It needs little of the history. The rollup of clients names each property that a
// client ever reported, and when last; events with $client are read on the days of
// the rows alone; and of the days before, the rollup client_days is read backwards,
// for those clients alone of which a property was not found yet.
type clientScan struct {
	view     *view.View // planned with valueTables and, for the tail, observationColumns
	product  int64
	all      bool  // every property is wanted, and not those with a column alone
	maxBytes int64 // of what is kept of clients; more of them take several passes
	rows     rowSource
}

// run reads and writes the rows of part, in as many passes as memory needs, and
// returns their number. A pass that does not fit has written nothing.
func (s *clientScan) run(ctx context.Context, part clientRange) (passes int, err error) {
	values := newClientValues(part, s.all, s.maxBytes)
	err = s.fill(ctx, values)
	if errors.Is(err, errFull) {
		halves, ok := part.halves(values)
		if ok {
			return s.runHalves(ctx, halves)
		}
		values = newClientValues(part, s.all, math.MaxInt64) // of one client at one millisecond
		err = s.fill(ctx, values)
	}
	if err != nil {
		return 0, err
	}
	return 1, s.rows.write(ctx, values)
}

func (s *clientScan) runHalves(ctx context.Context, halves [2]clientRange) (passes int, err error) {
	for _, half := range halves {
		n, err := s.run(ctx, half)
		if err != nil {
			return 0, err
		}
		passes += n
	}
	return passes, nil
}

// fill fills v with the clients of the rows and their properties.
func (s *clientScan) fill(ctx context.Context, v *clientValues) error {
	if err := s.rows.find(ctx, v); err != nil {
		return err
	}
	if len(v.clients) == 0 {
		return nil
	}
	for _, step := range []func(context.Context, *clientValues) error{s.learnClients, s.learnBeyond, s.readDays, s.lookBack} {
		if err := step(ctx, v); err != nil {
			return err
		}
	}
	return v.seal()
}

// learnClients reads which properties each client ever reported, and their last values.
func (s *clientScan) learnClients(ctx context.Context, v *clientValues) error {
	f := columns.Filter{Products: []int64{s.product}, Clients: v.list(func(*rowClient) bool { return true })}
	for b, err := range view.StoredClients(ctx, s.view, f, rollup.WantProperties) {
		if err != nil {
			return fmt.Errorf("read clients: %w", err)
		}
		for i, id := range b.Client {
			c := v.find(id)
			if c == nil {
				continue
			}
			c.seen = min(c.seen, b.First[i])
			if err := v.eachStamp(b.Properties[i], func(at stamp, reported *propertySet) { v.learn(c, at, reported) }); err != nil {
				return err
			}
		}
		if err := v.checkMemory(); err != nil {
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
func (s *clientScan) learnBeyond(ctx context.Context, v *clientValues) error {
	f := columns.Filter{Products: []int64{s.product}, Clients: v.list(func(*rowClient) bool { return true })}
	events := view.EventsBeyond(ctx, s.view, observationColumns(), f, valueTables()...)
	err := v.eachObservation(events, func(c *rowClient, at stamp, reported *propertySet) {
		c.seen = min(c.seen, at.time)
		if reported != nil {
			v.learn(c, at, reported)
		}
	})
	v.decideNeeds()
	return err
}

// eachObservation calls do for the events of clients that v has; reported is nil for
// those without $client.
func (v *clientValues) eachObservation(
	events iter.Seq2[arrow.Record, error], do func(c *rowClient, at stamp, reported *propertySet),
) error {
	for rec, err := range events {
		if err != nil {
			return err
		}
		rows, err := columns.Bind(rec)
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		v.beginBatch(rows.ClientProps.DictionaryLen())
		for i := range rows.Rows {
			if c := v.find(rows.Client[i]); c != nil {
				do(c, stamp{rows.TimeMS(i), rows.Offset[i]}, v.ownProperties(&rows.ClientProps, i))
			}
		}
		if err := v.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// readDays reads all observations on the days of the rows.
func (s *clientScan) readDays(ctx context.Context, v *clientValues) error {
	for _, days := range v.dayRanges() {
		if days.clients != nil && len(days.clients) == 0 {
			continue
		}
		f := columns.Filter{
			Products: []int64{s.product}, Clients: days.clients, TimeFrom: int64(days.from) * dayMS, TimeTo: int64(days.to) * dayMS,
		}
		err := v.eachObservation(s.view.Events(ctx, observationColumns(), f), func(c *rowClient, at stamp, reported *propertySet) {
			if reported != nil {
				v.observe(c, at, reported)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dayRange is days that are read at once; to is not included.
type dayRange struct {
	from, to int32
	clients  []int64 // in need that have rows on these days; nil is all
}

// dayRanges returns the days of the rows. Neighbours are one range: all days of
// many clients, and days of few clients while they stay few.
func (v *clientValues) dayRanges() []dayRange {
	var out []dayRange
	needing := v.list(func(c *rowClient) bool { return c.need != 0 })
	few := false // the last range has few clients
	for _, day := range slices.Sorted(maps.Keys(v.days)) {
		d := v.days[day]
		clients := needing
		if !d.many {
			clients = v.needing(d.clients)
		}
		last := len(out) - 1
		if last >= 0 && out[last].to == day && few == !d.many && (d.many || len(out[last].clients) < 4*maxDayClients) {
			out[last].to = day + 1
			if few {
				out[last].clients = union(out[last].clients, clients)
			}
			continue
		}
		out, few = append(out, dayRange{day, day + 1, clients}), !d.many
	}
	return out
}

// needing returns those of clients that need something, ascending; not nil.
func (v *clientValues) needing(clients []int64) []int64 {
	out := []int64{}
	for _, id := range clients {
		if v.find(id).need != 0 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// union returns the elements of two lists, ascending.
func union(a, b []int64) []int64 {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// list returns the clients that match, ascending and not nil; nil if they are more
// than a filter may name.
func (v *clientValues) list(match func(*rowClient) bool) []int64 {
	out := []int64{}
	for i := range v.clients {
		if !match(&v.clients[i]) {
			continue
		}
		if len(out) == maxListedClients {
			return nil
		}
		out = append(out, v.clients[i].id)
	}
	slices.Sort(out)
	return out
}

// lookBack reads the days before the rows from client_days, the newest first: a
// day, then ever longer ranges, each for the clients that need it.
func (s *clientScan) lookBack(ctx context.Context, v *clientValues) error {
	const growth = 4
	end := int32(math.MaxInt32)
	for width := int32(1); ; width = min(width*growth, 1<<20) {
		var wanted bool
		if end, wanted = v.lastWanted(end); !wanted {
			return nil
		}
		from := end - width
		list := v.list(func(c *rowClient) bool {
			last, wanted := v.wantsBefore(c, end)
			return wanted && last > from
		})
		f := columns.Filter{Products: []int64{s.product}, Clients: list, TimeFrom: int64(from) * dayMS, TimeTo: int64(end) * dayMS}
		if err := s.readStoredDays(ctx, v, f); err != nil {
			return err
		}
		end = from
	}
}

// readStoredDays reads the last values of the days of f.
func (s *clientScan) readStoredDays(ctx context.Context, v *clientValues, f columns.Filter) error {
	for b, err := range view.StoredDays(ctx, s.view, f, rollup.WantProperties) {
		if err != nil {
			return fmt.Errorf("read client days: %w", err)
		}
		for i, code := range b.Client.Codes {
			c := v.find(b.Client.Values[code])
			if c == nil || c.need == 0 {
				continue
			}
			if err := v.eachStamp(b.Properties[i], func(at stamp, reported *propertySet) { v.observe(c, at, reported) }); err != nil {
				return err
			}
		}
		if err := v.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

// lastWanted returns the end of the days that some client wants to be read from
// client_days, of those before end.
func (v *clientValues) lastWanted(end int32) (last int32, wanted bool) {
	last = math.MinInt32
	for i := range v.clients {
		if to, wants := v.wantsBefore(&v.clients[i], end); wants {
			last, wanted = max(last, to), true
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
	if rollup.Day(c.seen) >= to || v.missing(c) == 0 {
		return 0, false
	}
	return to, true
}

// fileRows are the rows of a file: the events of a kind that arrived in a period.
type fileRows struct {
	view   *view.View
	filter columns.Filter
	out    *csvFile
}

// findColumns are the columns by which the rows of a file are found.
func findColumns() []string { return append(observationColumns(), WantColumns()...) }

func (r *fileRows) find(ctx context.Context, v *clientValues) error {
	f, rows := r.filter, NewRows()
	f.TimeFrom, f.TimeTo = v.part.narrow(f.TimeFrom, f.TimeTo)
	for rec, err := range r.view.Events(ctx, findColumns(), f) {
		if err != nil {
			return err
		}
		if err := rows.Bind(rec); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		v.beginBatch(rows.ClientProps.DictionaryLen())
		for i := range rows.Rows {
			if id, at := rows.Client[i], rows.TimeMS(i); v.part.has(id, at) && r.out.kind.Wants(rows, i) {
				v.addRow(id, stamp{at, rows.Offset[i]}, v.ownProperties(&rows.ClientProps, i))
			}
		}
		if err := v.checkMemory(); err != nil {
			return err
		}
	}
	return nil
}

func (r *fileRows) write(ctx context.Context, v *clientValues) error {
	f := r.filter
	f.TimeFrom, f.TimeTo = v.part.narrow(f.TimeFrom, f.TimeTo)
	return r.out.add(ctx, r.view.Events(ctx, scanColumns(r.out.kind.Columns), f), v)
}

// scanColumns returns names and the observationColumns.
func scanColumns(names []string) []string { return withColumns(names, observationColumns()...) }

// tailColumns returns what the tail must have for a scan of names: also what the
// filters of its scans compare.
func tailColumns(names []string) []string {
	return withColumns(scanColumns(names), append(WantColumns(), columns.ProductID, columns.Arrival)...)
}

// withColumns returns names and those of more that are not among them.
func withColumns(names []string, more ...string) []string {
	out := slices.Clone(names)
	for _, name := range more {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}
