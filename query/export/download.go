package export

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
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
	files, err := f.registry.Exports(ctx, q.Product, q.Kind.Code)
	if err != nil {
		return registry.ExportFile{}, view.Coverage{}, err
	}
	var last registry.ExportFile
	for _, file := range files {
		if file.First != period.FirstDay() || file.Last != period.LastDay() {
			continue
		}
		if file.Version > 0 {
			return file, view.Coverage{Watermark: file.Watermark, AsOf: period.End()}, nil
		}
		last = file
	}
	state, err := f.closeState(ctx)
	if err != nil {
		return registry.ExportFile{}, view.Coverage{}, err
	}
	if !period.Daily() || period.First.Before(state.next.First) || period.First.After(state.today.First) {
		return registry.ExportFile{}, view.Coverage{}, noFile(q.Kind.FileName(q.Product, period))
	}
	return f.buildOpen(ctx, q, last, period)
}

// buildOpen builds the file of an open day, unless last, the build before, has
// exactly the events of now and what this version writes of them.
func (f *Files) buildOpen(ctx context.Context, q Question, last registry.ExportFile, day Period) (registry.ExportFile, view.Coverage, error) {
	place, err := f.acquireBuild(ctx, q.Account)
	if err != nil {
		return last, view.Coverage{}, err
	}
	defer place.Release()
	v, err := f.views.Plan(ctx, view.Request{
		Columns: tailColumns(q.Kind.Columns), Filter: columns.Filter{Products: []int64{q.Product}}, Watermark: q.Watermark, Rollups: valueTables(),
	})
	if err != nil {
		return last, view.Coverage{}, err
	}
	defer v.Close()
	coverage := v.Coverage()
	current := strings.HasPrefix(last.Key, keyPrefix(q.Product, q.Kind))
	if current && last.Watermark == coverage.Watermark && time.Since(last.Built) < f.cfg.DownloadTTL {
		return last, coverage, nil
	}
	file, err := f.build(ctx, scanJob(v, q.Kind, q.Product, day, f.cfg.ClientBytes), coverage.Watermark)
	if err != nil {
		return file, coverage, err
	}
	// A build is given out for one DownloadTTL, and each link works for another:
	// its object must outlive both.
	return file, coverage, f.registry.SaveTemporaryExport(ctx, file, 2*f.cfg.DownloadTTL+expiryMargin)
}

// acquireBuild waits until a client of the account may have a file built, at most
// Config.BuildWait; then it fails with a 503. The caller releases the place when it
// has built.
func (f *Files) acquireBuild(ctx context.Context, account string) (*places.Place, error) {
	place, err := f.builds.Acquire(ctx, account)
	if errors.Is(err, places.ErrBusy) {
		f.metrics.rejected.WithLabelValues("busy").Inc()
		return nil, &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: "busy", Detail: "too many files are being built, try again", RetryAfter: 15,
		}
	}
	return place, err
}
