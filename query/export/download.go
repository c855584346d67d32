package export

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"weir/query/view"
	"weir/schemas"
	"weir/schemas/columns"
	"weir/schemas/objects"
	"weir/schemas/places"
	"weir/schemas/registry"
)

// expiryMargin is how long an object outlives its last link, for downloads that
// began in time.
const expiryMargin = time.Hour

// DownloadURL returns a link to the named file, signed now, and what the file
// includes. endpoint is the object store as the client sees it; "" is the
// store's own address.
func (f *Files) DownloadURL(ctx context.Context, q Question, name, endpoint string) (string, view.Coverage, error) {
	if f.bucket == nil {
		return "", view.Coverage{}, &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: "no_exports", Detail: "no bucket for exports is configured",
		}
	}
	period, ok := q.Kind.PeriodOf(q.Product, name)
	if !ok {
		return "", view.Coverage{}, noFile(name)
	}
	file, coverage, err := f.file(ctx, q, period)
	if err != nil {
		return "", coverage, err
	}
	link, err := f.bucket.Presign(ctx, objects.PresignInput{Key: file.Key, Endpoint: endpoint, FileName: name, TTL: f.cfg.DownloadTTL})
	return link, coverage, err
}

// noFile is the same 404 for a name that no file can have and for a file that does
// not exist.
func noFile(name string) error {
	return &schemas.RequestError{
		Status: http.StatusNotFound, Code: "not_found", Detail: "fileName: there is no file " + strconv.Quote(name),
	}
}

// file returns the recorded file of a closed period, or a build of an open day
// that has all its events as of now.
func (f *Files) file(ctx context.Context, q Question, period Period) (registry.ExportFile, view.Coverage, error) {
	file, closed, err := recorded(ctx, f, q, period)
	if err != nil || closed {
		return file, view.Coverage{Watermark: file.Watermark, AsOf: period.End()}, err
	}
	state, err := f.closeState(ctx)
	if err != nil {
		return registry.ExportFile{}, view.Coverage{}, err
	}
	if !period.Daily() || period.First.Before(state.next.First) || period.First.After(state.today.First) {
		return registry.ExportFile{}, view.Coverage{}, noFile(q.Kind.FileName(q.Product, period))
	}
	return f.buildOpen(ctx, q, period)
}

// recorded returns the file of a period, and whether it is closed; else it is the
// last build of an open day, or zero.
func recorded(ctx context.Context, f *Files, q Question, period Period) (last registry.ExportFile, closed bool, err error) {
	files, err := f.registry.Exports(ctx, q.Product, q.Kind.Code)
	for _, file := range files {
		if file.First == period.FirstDay() && file.Last == period.LastDay() {
			return file, file.Version > 0, nil
		}
	}
	return last, false, err
}

// buildOpen builds the file of an open day, unless the build before has exactly the
// rows of now and what this version writes of them. One build of a file runs at a
// time.
func (f *Files) buildOpen(ctx context.Context, q Question, day Period) (registry.ExportFile, view.Coverage, error) {
	wait, cancel := context.WithTimeout(ctx, f.cfg.BuildWait)
	defer cancel()
	unlock, err := f.locks.lock(wait, q.Kind.FileName(q.Product, day))
	if err != nil {
		if ctx.Err() == nil {
			err = busy(f)
		}
		return registry.ExportFile{}, view.Coverage{}, err
	}
	defer unlock()
	place, err := f.acquireBuild(ctx, q.Account)
	if err != nil {
		return registry.ExportFile{}, view.Coverage{}, err
	}
	defer place.Release()
	v, err := f.views.Plan(ctx, view.Request{
		Columns: withColumns(tailColumns(q.Kind.Columns), identityColumns()...), Filter: columns.Filter{Products: []int64{q.Product}},
		Watermark: q.Watermark, Rollups: valueTables(),
	})
	if err != nil {
		return registry.ExportFile{}, view.Coverage{}, err
	}
	defer v.Close()
	rows, err := identity(ctx, v, q.Product, day)
	if err != nil {
		return registry.ExportFile{}, view.Coverage{}, err
	}
	last, _, err := recorded(ctx, f, q, day)
	if err != nil {
		return last, view.Coverage{}, err
	}
	if same, err := current(ctx, f, q, last, rows); err != nil || same {
		return last, v.Coverage(), err
	}
	if err := room(ctx, f, q.Product); err != nil {
		return last, v.Coverage(), err
	}
	job := scanJob(v, q.Kind, q.Product, day, f.cfg.ClientBytes)
	job.rows = rows
	file, err := f.build(ctx, job, v.Coverage().Watermark)
	if err != nil {
		return file, v.Coverage(), err
	}
	if err := f.registry.SaveTemporaryExport(ctx, file, openDayTTL(f), f.cfg.DownloadTTL+replacedMargin); err != nil {
		abandon(ctx, f, file.Key)
		return file, v.Coverage(), err
	}
	return file, v.Coverage(), nil
}

// acquireBuild waits until a client of the account may have a file built, at most
// Config.BuildWait; then it fails with a 503. The caller releases the place when it
// has built.
func (f *Files) acquireBuild(ctx context.Context, account string) (*places.Place, error) {
	place, err := f.builds.Acquire(ctx, account)
	if errors.Is(err, places.ErrBusy) {
		return nil, busy(f)
	}
	return place, err
}

func busy(f *Files) error {
	f.metrics.rejected.WithLabelValues("busy").Inc()
	return &schemas.RequestError{
		Status: http.StatusServiceUnavailable, Code: "busy", Detail: "too many files are being built, try again", RetryAfter: 15,
	}
}
