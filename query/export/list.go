package export

import (
	"context"
	"fmt"
	"time"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/registry"
)

// defaultRowBytes is assumed to be the CSV of a row before any file was built.
const defaultRowBytes = 256

// Listing has all files of one kind and product, each by ascending day.
type Listing struct {
	Open   []OpenDay
	Closed []ClosedFile
}

// OpenDay is a day whose file can still change.
type OpenDay struct {
	Day      Period
	Complete bool                // no more events can come: the file is about to be built for good
	Rows     int64               // events as of the listing
	CSVBytes int64               // an estimate, unless the last build has all events
	Last     registry.ExportFile // the last build; zero without one
}

// ClosedFile is a file that never changes again.
type ClosedFile struct {
	Period Period
	File   registry.ExportFile
}

// List finds the files of q, and says what it included. Today's file is always
// listed, another open day only if it has events.
func (f *Files) List(ctx context.Context, q Question) (Listing, view.Coverage, error) {
	var all Listing
	files, err := f.registry.Exports(ctx, q.Product, q.Kind.Code)
	if err != nil {
		return all, view.Coverage{}, err
	}
	builds, rowBytes := map[string]registry.ExportFile{}, int64(defaultRowBytes)
	for _, file := range files {
		period, err := ParsePeriod(file.First, file.Last)
		if err != nil {
			return all, view.Coverage{}, fmt.Errorf("export %s: %w", file.Key, err)
		}
		if file.Rows > 0 {
			rowBytes = (file.CSVBytes - q.Kind.HeaderBytes()) / file.Rows
		}
		if file.Version == 0 {
			builds[file.First] = file
			continue
		}
		all.Closed = append(all.Closed, ClosedFile{period, file})
	}
	open, coverage, err := f.openDays(ctx, q)
	if err != nil {
		return all, coverage, err
	}
	for i := range open {
		o := &open[i]
		o.Last = builds[o.Day.FirstDay()]
		o.CSVBytes = q.Kind.HeaderBytes() + o.Rows*rowBytes
		if o.Last.Rows == o.Rows && o.Last.CSVBytes > 0 {
			o.CSVBytes = o.Last.CSVBytes
		}
	}
	all.Open = open
	return all, coverage, nil
}

// openDays counts the events of the days whose files are not all built yet.
func (f *Files) openDays(ctx context.Context, q Question) ([]OpenDay, view.Coverage, error) {
	place, err := f.views.AcquireScan(ctx, q.Account)
	if err != nil {
		return nil, view.Coverage{}, err
	}
	defer place.Release()
	state, err := f.closeState(ctx)
	if err != nil {
		return nil, view.Coverage{}, err
	}
	names := append(WantColumns(), columns.Arrival)
	filter := columns.Filter{Products: []int64{q.Product}, ArrivalFrom: state.next.First.UnixMilli()}
	v, err := f.views.Plan(ctx, view.Request{Columns: names, Filter: filter, Watermark: q.Watermark})
	if err != nil {
		return nil, view.Coverage{}, err
	}
	defer v.Close()
	counts, err := countByDay(ctx, v, q.Kind, names, filter)
	if err != nil {
		return nil, view.Coverage{}, err
	}
	var open []OpenDay
	for d := state.next; !d.First.After(state.today.First); d = d.Next() {
		if n := counts[d.First]; n > 0 || d == state.today {
			open = append(open, OpenDay{Day: d, Rows: n, Complete: !d.End().After(state.reached)})
		}
	}
	return open, v.Coverage(), nil
}

// countByDay counts the events of f that kind wants, by midnight of the day of
// their arrival.
func countByDay(ctx context.Context, v *view.View, kind Kind, names []string, f columns.Filter) (map[time.Time]int64, error) {
	counts := map[time.Time]int64{}
	rows := NewRows()
	for rec, err := range v.Events(ctx, names, f) {
		if err != nil {
			return nil, err
		}
		if err := rows.Bind(rec); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		for i := range rows.Rows {
			if kind.Wants(rows, i) {
				counts[DayOf(time.UnixMicro(int64(rows.Arrival[i]))).First]++
			}
		}
	}
	return counts, nil
}
