package query

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"weir/query/export"
	"weir/schemas"
	"weir/schemas/objects"
	"weir/schemas/registry"
)

const (
	abandonedAfter = 24 * time.Hour // a build that is not finished by then is dead; its object is deleted
	maxDeflaters   = 8              // of one build: with their blocks and the parts of the upload what it holds in memory
	lendMargin     = time.Hour      // an object lives on after its last link has expired, for downloads that began in time
)

// exportBucket is the part of the object store that exports need.
type exportBucket interface {
	Upload(ctx context.Context, key string, r io.Reader) (int64, error)
	Presign(ctx context.Context, in objects.PresignInput) (string, error)
	Delete(ctx context.Context, keys ...string) error
}

// exportState is what exports keep in a Service.
type exportState struct {
	bucket  exportBucket  // nil gives no files out
	builds  chan struct{} // one for each build that a client waits for
	workers int           // of deflate, in each build
	metrics *exportMetrics
}

func (s *Service) openExports() error {
	m, err := newExportMetrics(s.deps.Metrics)
	if err != nil {
		return err
	}
	s.exports = exportState{builds: make(chan struct{}, s.cfg.Builds), workers: min(runtime.GOMAXPROCS(0), maxDeflaters), metrics: m}
	if s.deps.Exports != nil {
		s.exports.bucket = s.deps.Exports
	}
	return nil
}

// getDownloadURL answers with a link to a file, made now and signed now.
func (s *Service) getDownloadURL(w http.ResponseWriter, r *http.Request, q exportQuestion) error {
	var body struct {
		FileName *string `json:"fileName"`
	}
	if err := s.readBody(w, r, &body); err != nil {
		return err
	}
	if body.FileName == nil {
		return badField("fileName", "is missing")
	}
	if s.exports.bucket == nil {
		return &schemas.RequestError{Status: http.StatusServiceUnavailable, Code: "no_exports", Detail: "no bucket for exports is configured"}
	}
	days, ok := q.kind.DaysOf(q.product.ID, *body.FileName)
	if !ok {
		return noFile(*body.FileName)
	}
	f, err := s.file(r.Context(), w.Header(), q, days)
	if err != nil {
		return err
	}
	link, err := s.exports.bucket.Presign(r.Context(), objects.PresignInput{
		Key: f.Key, Endpoint: s.publicEndpoint(r), FileName: *body.FileName, TTL: s.cfg.DownloadTTL,
	})
	if err != nil {
		return err
	}
	return s.writeAnswer(w, struct {
		DownloadURL string `json:"downloadUrl"`
	}{link})
}

func noFile(name string) error {
	return notFound("fileName: there is no file " + strconv.Quote(name))
}

// publicEndpoint is the object store as the client sees it: what an operator
// says; else the store's own address, which is "", if clients reach it; else
// where the client asks us.
func (s *Service) publicEndpoint(r *http.Request) string {
	if s.cfg.PublicEndpoint != "" || s.cfg.DirectLinks {
		return s.cfg.PublicEndpoint
	}
	if s.https(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// file is the closed file of days, or a build of the open one that has all
// events there are now.
func (s *Service) file(ctx context.Context, h http.Header, q exportQuestion, days export.Days) (registry.ExportFile, error) {
	files, err := s.deps.Registry.Exports(ctx, q.product.ID, q.kind.Code)
	if err != nil {
		return registry.ExportFile{}, err
	}
	var last registry.ExportFile
	for _, f := range files {
		if f.First != days.FirstDay() || f.Last != days.LastDay() {
			continue
		}
		if f.Version > 0 {
			h.Set(headerWatermark, f.Watermark)
			h.Set(headerAsOf, days.End().Format("2006-01-02T15:04:05.000Z"))
			return f, nil
		}
		last = f
	}
	state, err := s.closing(ctx)
	if err != nil {
		return registry.ExportFile{}, err
	}
	if !days.Daily() || days.First.Before(state.next.First) || days.First.After(state.today.First) {
		return registry.ExportFile{}, noFile(q.kind.FileName(q.product.ID, days))
	}
	return s.openBuild(ctx, h, q, last, days)
}

// openBuild builds the file of an open day, unless last, the build before,
// holds exactly what is there now.
func (s *Service) openBuild(ctx context.Context, h http.Header, q exportQuestion, last registry.ExportFile, days export.Days) (registry.ExportFile, error) {
	done, err := s.mayBuild(ctx)
	if err != nil {
		return last, err
	}
	defer done()
	filter := arrivedIn(days, q.product.ID)
	v, err := s.plan(ctx, question{columns: q.kind.Columns, filter: filter, watermark: q.want})
	if err != nil {
		return last, err
	}
	defer v.close()
	v.headers(h)
	if last.Watermark == v.watermark.String() && time.Since(last.Built) < s.cfg.DownloadTTL {
		return last, nil
	}
	job := exportJob{kind: q.kind, product: q.product.ID, days: days, rows: v.events(ctx, q.kind.Columns, filter)}
	f, err := s.build(ctx, job, v.watermark.String())
	if err != nil {
		return f, err
	}
	// Links to it are given out for one DownloadTTL and work for another.
	return f, s.deps.Registry.SaveTemporaryExport(ctx, f, 2*s.cfg.DownloadTTL+lendMargin)
}

// mayBuild waits for a place among the builds. The caller calls done when it
// has built.
func (s *Service) mayBuild(ctx context.Context) (done func(), err error) {
	wait := time.NewTimer(s.cfg.ScanWait)
	defer wait.Stop()
	select {
	case s.exports.builds <- struct{}{}:
		return func() { <-s.exports.builds }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a build: %w", ctx.Err())
	case <-wait.C:
		return nil, &schemas.RequestError{
			Status: http.StatusServiceUnavailable, Code: "busy", Detail: "too many files are being built, try again", RetryAfter: 15,
		}
	}
}
