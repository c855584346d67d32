package query

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"weir/query/export"
	"weir/schemas/columns"
	"weir/schemas/lake"
	"weir/schemas/registry"
)

const (
	exportLock  = "exports"
	lockTTL     = 2 * time.Minute
	lockRenewal = 30 * time.Second
	sweepAtOnce = 100 // objects deleted between two looks at the clock
)

// runExports builds the files of days as they close, and deletes what nobody
// can download any more, until ctx ends. What fails is tried again: everything
// that is done is recorded, and doing it twice changes nothing.
func (s *Service) runExports(ctx context.Context) error {
	if s.exports.bucket == nil {
		<-ctx.Done()
		return nil
	}
	owner := rand.Text()
	tick := time.NewTicker(s.cfg.CloseEvery)
	defer tick.Stop()
	for {
		if err := s.tend(ctx, owner); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "exports are not tended, trying again", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tend does what there is to do, unless another process does.
func (s *Service) tend(ctx context.Context, owner string) error {
	due, err := s.exportsDue(ctx)
	if err != nil || !due {
		return err
	}
	err = s.deps.Registry.Lock(ctx, exportLock, owner, lockTTL)
	if errors.Is(err, registry.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	err = s.holding(ctx, owner, func(ctx context.Context) error {
		return errors.Join(s.closeDays(ctx), s.sweep(ctx))
	})
	// The lock ends also when ctx has, so that another process need not wait.
	free, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockRenewal)
	defer cancel()
	return errors.Join(err, s.deps.Registry.Unlock(free, exportLock, owner))
}

// exportsDue says whether a day has closed or an object can go. Looking writes
// nothing, as most looks find nothing.
func (s *Service) exportsDue(ctx context.Context) (bool, error) {
	c, err := s.closing(ctx)
	if err != nil || c.due() {
		return err == nil, err
	}
	keys, err := s.deps.Registry.PendingDeletes(ctx, 1)
	return len(keys) > 0, err
}

// holding runs fn and keeps the lock meanwhile; fn is cancelled when it is
// lost. The lock only saves work: a file that two build is recorded once.
func (s *Service) holding(ctx context.Context, owner string, fn func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	g.Go(func() error {
		defer cancel()
		return fn(ctx)
	})
	g.Go(func() error {
		tick := time.NewTicker(lockRenewal)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
			if err := s.deps.Registry.Lock(ctx, exportLock, owner, lockTTL); err != nil && ctx.Err() == nil {
				return err
			}
		}
	})
	return g.Wait()
}

// closingState is how far days have closed.
type closingState struct {
	next  export.Days    // the first day whose files are not all built
	today export.Days    // the day that events arrive on; next, when logs are already past the midnight to come
	until time.Time      // the log of every shard has passed this: days that end by then are closed
	snap  *lake.Snapshot // of events, by which this is so
	none  bool           // nothing has ever been stored
}

// due says whether the next day has closed.
func (c closingState) due() bool { return !c.none && !c.next.End().After(c.until) }

// closing reads how far days have closed (rule 8). Every shard counts, also
// one that was never written to: until its owner has written a tick into it,
// nobody knows that nothing is on its way.
func (s *Service) closing(ctx context.Context) (closingState, error) {
	c, err := s.closed(ctx)
	c.today = export.DayOf(time.Now())
	if c.next.First.After(c.today.First) {
		c.today = c.next
	}
	return c, err
}

func (s *Service) closed(ctx context.Context) (closingState, error) {
	var c closingState
	snap, err := s.deps.Lake.Load(ctx, lake.Events)
	if err != nil {
		return c, err
	}
	shards, err := s.owners.count(ctx)
	if err != nil {
		return c, err
	}
	c.snap, c.until = snap, passed(snap.ShardStates(), shards)
	through, err := s.deps.Registry.ExportedThrough(ctx)
	if err != nil {
		return c, err
	}
	if through != "" {
		day, err := time.Parse(time.DateOnly, through)
		c.next = export.DayOf(day).Next()
		return c, err
	}
	files, err := snap.Files(ctx)
	if err != nil {
		return c, err
	}
	c.next, c.none = export.DayOf(time.Now()), len(files) == 0
	for _, f := range files {
		if day := export.DayOf(time.UnixMilli(f.Min.Arrival)); day.First.Before(c.next.First) {
			c.next = day
		}
	}
	return c, nil
}

// passed is the time that the log of every one of shards has reached.
func passed(v lake.ShardStates, shards int) time.Time {
	if shards == 0 {
		return time.Time{}
	}
	least := int64(math.MaxInt64)
	for shard := range shards {
		least = min(least, v[int32(shard)].LogTime) // 0 when the shard is not there
	}
	return msTime(least)
}

// closeDays builds the files of all days that have closed, day by day.
func (s *Service) closeDays(ctx context.Context) error {
	for {
		c, err := s.closing(ctx)
		if err != nil {
			return err
		}
		if !c.due() {
			return nil
		}
		if err := s.closeDay(ctx, c); err != nil {
			return fmt.Errorf("close day %s: %w", c.next.FirstDay(), err)
		}
		s.exports.metrics.through.Set(float64(c.next.End().Unix()))
		s.log.InfoContext(ctx, "day closed", "day", c.next.FirstDay())
	}
}

// closeDay builds the files of the day c.next, and those of its month when it
// is the last one of it, and then records the day. Each file is recorded as it
// is built, so that a crash repeats at most one.
func (s *Service) closeDay(ctx context.Context, c closingState) error {
	v, err := s.closedView(ctx, c.snap)
	if err != nil {
		return err
	}
	defer v.close()
	want, err := census(ctx, v, c.next)
	if err != nil {
		return err
	}
	if err := s.buildClosed(ctx, v, c.next, want); err != nil {
		return err
	}
	if month := export.MonthOf(c.next.First); month.Last.Equal(c.next.Last) {
		if err := s.closeMonth(ctx, v, month); err != nil {
			return err
		}
	}
	return s.deps.Registry.FinishExports(ctx, c.next.FirstDay(), v.watermark.String())
}

// closedView is what is committed. It has every event of a day that a snapshot
// before it, or snap itself, shows as closed.
func (s *Service) closedView(ctx context.Context, snap *lake.Snapshot) (*view, error) {
	at := watermark{}
	for shard, state := range snap.ShardStates() {
		at[shard] = state.Next
	}
	return s.plan(ctx, question{lakeOnly: true, watermark: at})
}

// exportOf says which file of a day or month is meant.
type exportOf struct {
	product int64
	kind    string
}

// census counts the events of a day by product and kind.
func census(ctx context.Context, v *view, day export.Days) (map[exportOf]int64, error) {
	counts := map[exportOf]int64{}
	kinds, rows := export.Kinds(), export.NewRows()
	for rec, err := range v.events(ctx, append(export.WantColumns(), columns.ProductID), arrivedIn(day)) {
		if err != nil {
			return nil, err
		}
		if err := rows.Bind(rec); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		for i := range rows.Rows {
			for _, k := range kinds {
				if k.Wants(rows, i) {
					counts[exportOf{rows.Product[i], k.Code}]++
				}
			}
		}
	}
	return counts, nil
}

// closeMonth builds the files of a month, of whatever has files of its days.
func (s *Service) closeMonth(ctx context.Context, v *view, month export.Days) error {
	files, err := s.deps.Registry.ExportsWithin(ctx, month.FirstDay(), month.LastDay())
	if err != nil {
		return err
	}
	want := map[exportOf]int64{}
	for _, f := range files {
		if f.First == f.Last {
			want[exportOf{f.Product, f.Kind}] += f.Rows
		}
	}
	for _, k := range export.Kinds() {
		if !k.Monthly {
			for of := range want {
				if of.kind == k.Code {
					delete(want, of)
				}
			}
		}
	}
	return s.buildClosed(ctx, v, month, want)
}

// buildClosed builds and records the files of days that are not recorded yet,
// and holds each to the number of rows it must have.
func (s *Service) buildClosed(ctx context.Context, v *view, days export.Days, want map[exportOf]int64) error {
	there, err := s.deps.Registry.ExportsWithin(ctx, days.FirstDay(), days.LastDay())
	if err != nil {
		return err
	}
	for _, f := range there {
		if f.First == days.FirstDay() && f.Last == days.LastDay() {
			delete(want, exportOf{f.Product, f.Kind})
		}
	}
	for _, k := range export.Kinds() {
		for _, product := range productsOf(want, k.Code) {
			filter := arrivedIn(days, product)
			job := exportJob{kind: k, product: product, days: days, rows: v.events(ctx, k.Columns, filter)}
			f, err := s.build(ctx, job, v.watermark.String())
			if err != nil {
				return err
			}
			if rows := want[exportOf{product, k.Code}]; f.Rows != rows {
				return fmt.Errorf("export %s has %d rows, counted were %d", f.Key, f.Rows, rows)
			}
			f.Version = 1
			if err := s.deps.Registry.SaveExport(ctx, f); err != nil && !errors.Is(err, registry.ErrExists) {
				return err
			}
		}
	}
	return nil
}

func productsOf(want map[exportOf]int64, kind string) []int64 {
	var products []int64
	for of := range want {
		if of.kind == kind {
			products = append(products, of.product)
		}
	}
	slices.SortFunc(products, cmp.Compare)
	return products
}

// sweep deletes objects that nobody can want any more: builds that died, and
// builds of open files whose links have all expired.
func (s *Service) sweep(ctx context.Context) error {
	for {
		keys, err := s.deps.Registry.PendingDeletes(ctx, sweepAtOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := s.exports.bucket.Delete(ctx, keys...); err != nil {
			return err
		}
		if err := s.deps.Registry.ForgetExports(ctx, keys...); err != nil {
			return err
		}
		s.log.InfoContext(ctx, "old exports deleted", "objects", len(keys))
	}
}
