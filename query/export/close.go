package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"weir/query/view"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
)

// closeState says how far days have closed.
type closeState struct {
	next    Period         // the first day whose files are not all built
	today   Period         // the day that events arrive on; next, if the logs have passed the coming midnight already
	reached time.Time      // the log of every shard has passed it: days that end by then are closed
	snap    *lake.Snapshot // of events, by which this is so
	empty   bool           // nothing has ever been stored
}

// due reports whether the next day has closed.
func (c closeState) due() bool { return !c.empty && !c.next.End().After(c.reached) }

// closeState reads how far days have closed. Days close by log time, which never
// runs back within a shard: once the log of a shard has passed the end of a day,
// no event of that day can come from it any more. Every shard counts, also one
// that was never written to: until its owner has written a tick into it, an
// event of the day may still be on its way (schemas/DESIGN.md "Closing a day").
func (f *Files) closeState(ctx context.Context) (closeState, error) {
	c, err := f.firstOpenDay(ctx)
	c.today = DayOf(time.Now())
	if c.next.First.After(c.today.First) {
		c.today = c.next
	}
	return c, err
}

// firstOpenDay is the day after the last recorded one, or the day of the first
// arrival if none was ever recorded.
func (f *Files) firstOpenDay(ctx context.Context) (closeState, error) {
	var c closeState
	snap, err := f.lake.Load(ctx, lake.Events)
	if err != nil {
		return c, err
	}
	shards, err := f.owners.ShardCount(ctx)
	if err != nil {
		return c, err
	}
	c.snap, c.reached = snap, logTimeReached(snap.ShardStates(), shards)
	through, err := f.registry.ExportedThrough(ctx)
	if err != nil {
		return c, err
	}
	if through != "" {
		day, err := time.Parse(time.DateOnly, through)
		c.next = DayOf(day).Next()
		return c, err
	}
	files, err := snap.Files(ctx)
	if err != nil {
		return c, err
	}
	c.next, c.empty = DayOf(time.Now()), len(files) == 0
	for _, file := range files {
		if day := DayOf(time.UnixMilli(file.Min.Arrival)); day.First.Before(c.next.First) {
			c.next = day
		}
	}
	return c, nil
}

// logTimeReached returns the log time that every one of shards has reached; it
// is zero while there is no shard.
func logTimeReached(states lake.ShardStates, shards int) time.Time {
	if shards == 0 {
		return time.Time{}
	}
	least := int64(math.MaxInt64)
	for shard := range shards {
		least = min(least, states[int32(shard)].LogTime) // 0 for a shard that was never committed
	}
	return time.UnixMilli(least).UTC()
}

// closeDays builds the files of all days that have closed, one day after the
// other.
func (f *Files) closeDays(ctx context.Context) error {
	for {
		state, err := f.closeState(ctx)
		if err != nil {
			return err
		}
		if !state.due() {
			return nil
		}
		if err := f.closeDay(ctx, state); err != nil {
			return fmt.Errorf("close day %s: %w", state.next.FirstDay(), err)
		}
		f.metrics.through.Set(float64(state.next.End().Unix()))
		f.log.InfoContext(ctx, "day closed", "day", state.next.FirstDay())
	}
}

// closeDay builds the files of the day state.next, and those of its month when
// it is the month's last day, and then records the day.
//
// Closing a day cannot be undone: downloads and lists give its files as they are
// from then on, and the day is never looked at again. So it is recorded last,
// when each file is recorded; a crash before repeats the day, and finds the files
// that it had built already.
func (f *Files) closeDay(ctx context.Context, state closeState) error {
	v, err := f.closedView(ctx, state.snap)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := buildDay(ctx, f, v, state.next); err != nil {
		return err
	}
	if month := MonthOf(state.next.First); month.Last.Equal(state.next.Last) {
		if err := f.closeMonth(ctx, v, month); err != nil {
			return err
		}
	}
	return f.registry.FinishExports(ctx, state.next.FirstDay(), v.Watermark().String())
}

// buildDay builds and records the files of a day that are not recorded yet.
func buildDay(ctx context.Context, f *Files, v *view.View, day Period) error {
	want, err := countByProduct(ctx, v, day)
	if err != nil {
		return err
	}
	rows := map[int64]int64{} // raw files have all events
	for key, n := range want {
		if key.kind == rawCode {
			rows[key.product] = n
		}
	}
	if err := f.dropSwitchedOff(ctx, want); err != nil {
		return err
	}
	if err := dropRecorded(ctx, f, day, want); err != nil {
		return err
	}
	d := dayFiles{Files: f, view: v, day: day, want: want}
	return d.build(ctx, rows)
}

// dropRecorded leaves out the files that are recorded already.
func dropRecorded(ctx context.Context, f *Files, period Period, want map[fileKey]int64) error {
	recorded, err := f.registry.ExportsWithin(ctx, period.FirstDay(), period.LastDay())
	if err != nil {
		return err
	}
	for _, file := range recorded {
		if file.First == period.FirstDay() && file.Last == period.LastDay() {
			delete(want, fileKey{file.Product, file.Kind})
		}
	}
	return nil
}

// closedView returns a view of what is committed. It has every event of a day
// that snap, or a snapshot before it, shows as closed.
func (f *Files) closedView(ctx context.Context, snap *lake.Snapshot) (*view.View, error) {
	at := view.Watermark{}
	for shard, state := range snap.ShardStates() {
		at[shard] = state.Next
	}
	return f.views.Plan(ctx, view.Request{LakeOnly: true, Watermark: at, Rollups: valueTables()})
}

// fileKey names one file of a day or month.
type fileKey struct {
	product int64
	kind    string
}

// countByProduct counts the events of a day by product and kind.
func countByProduct(ctx context.Context, v *view.View, day Period) (map[fileKey]int64, error) {
	counts := map[fileKey]int64{}
	kinds, rows := Kinds(), NewRows()
	for rec, err := range v.Events(ctx, append(WantColumns(), columns.ProductID), arrivedIn(day)) {
		if err != nil {
			return nil, err
		}
		if err := rows.Bind(rec); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		for i := range rows.Rows {
			for _, k := range kinds {
				if k.Wants(rows, i) {
					counts[fileKey{rows.Product[i], k.Code}]++
				}
			}
		}
	}
	return counts, nil
}

// dropSwitchedOff leaves out the raw files of products whose switch is off. A day
// that closes without its file never gets one.
func (f *Files) dropSwitchedOff(ctx context.Context, want map[fileKey]int64) error {
	products, err := f.registry.ListProducts(ctx, "")
	if err != nil {
		return err
	}
	for _, p := range products {
		if !p.RawExport {
			delete(want, fileKey{p.ID, rawCode})
		}
	}
	return nil
}

// closeMonth builds the monthly files of each product and kind that has files of
// the month's days, of those files. A month with a daily file that is of no use is
// built from the events, so that one lost object does not hold up every day to
// come.
func (f *Files) closeMonth(ctx context.Context, v *view.View, month Period) error {
	files, err := f.registry.ExportsWithin(ctx, month.FirstDay(), month.LastDay())
	if err != nil {
		return err
	}
	monthly := map[string]bool{}
	for _, k := range Kinds() {
		monthly[k.Code] = k.Monthly
	}
	want, days := map[fileKey]int64{}, map[fileKey][]registry.ExportFile{}
	for _, file := range files {
		if file.First == file.Last && monthly[file.Kind] {
			key := fileKey{file.Product, file.Kind}
			want[key] += file.Rows
			days[key] = append(days[key], file)
		}
	}
	if err := dropRecorded(ctx, f, month, want); err != nil {
		return err
	}
	var failed failures
	for _, k := range Kinds() {
		for _, product := range productsOf(want, k.Code) {
			if failed.stop(ctx) {
				break
			}
			key := fileKey{product, k.Code}
			failed.add(buildMonth(ctx, f, v, monthJob(f.bucket, k, product, month, days[key]), want[key]))
		}
	}
	return failed.err(ctx)
}

// buildMonth builds and records the file of job, of the events if daily files are of no
// use.
func buildMonth(ctx context.Context, f *Files, v *view.View, job buildJob, rows int64) error {
	err := f.buildAndRecord(ctx, job, v, rows)
	if !unusable(err) {
		return err
	}
	f.log.WarnContext(ctx, "monthly export could not be made of its daily files, building it from the events",
		"month", job.period.FirstDay(), "product", job.product, "kind", job.kind.Code, "err", err)
	return f.buildAndRecord(ctx, scanJob(v, job.kind, job.product, job.period, f.cfg.ClientBytes), v, rows)
}

// buildAndRecord builds one file of a closed period and records it for good.
//
// A recorded file is never built again and its object never deleted, so the
// rows are compared with an independent count first: a file that is short would
// stay so. Of two processes that build the same file the first one is recorded;
// the object of the other stays on the list of objects to delete.
func (f *Files) buildAndRecord(ctx context.Context, job buildJob, v *view.View, rows int64) error {
	file, err := f.build(ctx, job, v.Watermark().String())
	if err != nil {
		return err
	}
	if file.Rows != rows {
		return fmt.Errorf("export %s has %d rows, counted were %d", file.Key, file.Rows, rows)
	}
	file.Version = 1
	if err := f.registry.SaveExport(ctx, file); err != nil && !errors.Is(err, registry.ErrExists) {
		return err
	}
	return nil
}

// productsOf lists the products that have a file of kind, ascending.
func productsOf(want map[fileKey]int64, kind string) []int64 {
	var products []int64
	for key := range want {
		if key.kind == kind {
			products = append(products, key.product)
		}
	}
	slices.SortFunc(products, cmp.Compare)
	return products
}
