package export

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/lake"
)

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
	return lookUp(ctx, s.view, clientsOf(s.product, v))
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
		v.objects.beginBatch(rows.ClientProps.DictionaryLen())
		for i := range rows.Rows {
			if id, at := rows.Client[i], rows.TimeMS(i); v.part.has(id, at) && r.out.kind.Wants(rows, i) {
				v.addRow(id, stamp{at, rows.Offset[i]}, v.objects.ownProperties(&rows.ClientProps, i))
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
