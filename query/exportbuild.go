package query

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"golang.org/x/sync/errgroup"

	"weir/query/export"
	"weir/schemas/columns"
	"weir/schemas/registry"
)

// exportJob is a file to be built.
type exportJob struct {
	kind    export.Kind
	product int64
	days    export.Days
	rows    iter.Seq2[arrow.Record, error] // events of product and days; those that kind does not want are left out
}

// build makes the file of job and puts it under a key of its own, as one
// stream: scan, CSV, deflate and upload run at once and hold a few blocks each,
// whatever the number of rows. Nothing is left behind but an object that the
// registry knows it has to delete, until the caller says otherwise.
func (s *Service) build(ctx context.Context, job exportJob, watermark string) (registry.ExportFile, error) {
	start := time.Now()
	f := registry.ExportFile{
		Product: job.product, Kind: job.kind.Code, First: job.days.FirstDay(), Last: job.days.LastDay(),
		Key: job.key(), Watermark: watermark, Built: start.UTC().Truncate(time.Microsecond),
	}
	if err := s.deps.Registry.BeginExport(ctx, f.Key, abandonedAfter); err != nil {
		return f, err
	}
	if err := s.stream(ctx, job, &f); err != nil {
		return f, fmt.Errorf("build export %s: %w", f.Key, err)
	}
	s.exports.metrics.built(f, time.Since(start))
	s.log.InfoContext(ctx, "export built", "key", f.Key, "rows", f.Rows, "csv_bytes", f.CSVBytes,
		"zip_bytes", f.ZipBytes, "duration_ms", time.Since(start).Milliseconds())
	return f, nil
}

// key is new each time, so that no build ever touches what another one has
// made.
func (j exportJob) key() string {
	return strconv.FormatInt(j.product, 10) + "/" + j.kind.Code + "/" + rand.Text() + "/" + j.kind.FileName(j.product, j.days)
}

// stream runs the stages. The writing end of the pipe tells the upload why it
// ends, so that what is cut short is never put as if it were whole.
func (s *Service) stream(ctx context.Context, job exportJob, f *registry.ExportFile) error {
	g, ctx := errgroup.WithContext(ctx)
	from, to := io.Pipe()
	g.Go(func() error {
		sizes, err := export.WriteZip(ctx, to, s.member(job, f.Built), func(ctx context.Context, w io.Writer) error {
			rows, err := job.kind.WriteCSV(ctx, w, job.rows)
			f.Rows = rows
			return err
		})
		f.CSVBytes = sizes.Raw
		to.CloseWithError(err)
		return err
	})
	g.Go(func() error {
		n, err := s.exports.bucket.Upload(ctx, f.Key, from)
		f.ZipBytes = n
		from.CloseWithError(err)
		return err
	})
	return g.Wait()
}

func (s *Service) member(job exportJob, at time.Time) export.Member {
	return export.Member{
		Name: job.kind.MemberName(job.product, job.days), Modified: at,
		Level: s.cfg.DeflateLevel, Workers: s.exports.workers,
	}
}

// arrivedIn asks for the events of products, or of all when none is named,
// that arrived in days.
func arrivedIn(days export.Days, products ...int64) columns.Filter {
	return columns.Filter{Products: products, ArrivalFrom: days.First.UnixMilli(), ArrivalTo: days.End().UnixMilli()}
}
